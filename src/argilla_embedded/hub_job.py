"""Child process that runs one hub import or export.

It reads ``{"name": ..., "arguments": {...}}`` from standard input. The server's process sets the environment variables
that locate the database.
"""

from __future__ import annotations

import asyncio
import json
import sys
from uuid import UUID

from argilla_server.database import async_engine
from argilla_server.jobs import hub_jobs

from argilla_embedded import application, speed
from argilla_embedded.jobs import Jobs


async def main() -> None:
    """Run the job and deliver the webhooks that it triggers, without retries."""
    call = json.load(sys.stdin)
    arguments = {**call["arguments"], "dataset_id": UUID(call["arguments"]["dataset_id"])}
    jobs = Jobs(webhook_retries=())
    jobs.install()
    speed.install()
    application.tune_connections()
    application.prepare_search()
    await getattr(hub_jobs, call["name"])(**arguments)
    await jobs.finish()
    await async_engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
