"""Run argilla_server's application in uvicorn, with this package's search engine and job queue.

The environment must be configured before this module is imported.
"""

from __future__ import annotations

import asyncio
import os
import socket
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import structlog
import uvicorn
from argilla_server import app
from argilla_server.database import async_engine, sync_engine
from sqlalchemy import event
from sqlalchemy.exc import SAWarning

from argilla_embedded import engine, speed
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.home import INDEX_FAULTS_VARIABLE
from argilla_embedded.jobs import Jobs, stale_datasets

log = structlog.get_logger(__name__)

# How long open requests and running jobs may take after a request to stop. Chosen, not measured.
GRACE_SECONDS = 5


def tune_connections() -> None:
    """Skip the fsync after each commit; with the write-ahead log, only a power failure can lose the last commits."""
    for engine_ in (async_engine.sync_engine, sync_engine):
        event.listen(engine_, "connect", _tune)


def prepare_search() -> None:
    """Register the search engine with a faulty index if a test requests it."""
    if INDEX_FAULTS_VARIABLE in os.environ:
        from argilla_embedded import index_faults  # noqa: PLC0415 - needed by tests only

        index_faults.faulty_index()
        log.warning("index_faults_for_tests", variable=INDEX_FAULTS_VARIABLE)


# argilla_server triggers this warning whenever a user's queue is read.
warnings.filterwarnings("ignore", "Object of type <Record> not in session", SAWarning)


def run(listener: socket.socket, *, webhook_retries: Sequence[float], on_ready: Callable[[], None]) -> None:
    """Serve on ``listener`` until a signal stops the server.

    Raises:
        EmbeddedServerError: the server did not start.
    """
    jobs = Jobs(webhook_retries)
    jobs.install()
    speed.install()
    tune_connections()
    prepare_search()
    config = uvicorn.Config(
        app,
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = _Server(config, jobs, on_ready)
    server.run(sockets=[listener])
    if not server.started:
        raise EmbeddedServerError("The server did not start: see the lines above for the reason.")


class _Server(uvicorn.Server):
    """A uvicorn server that reports when it is ready and that stops its jobs and connections on shutdown."""

    def __init__(self, config: uvicorn.Config, jobs: Jobs, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._jobs = jobs
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            for dataset_id in await engine.reader().read(stale_datasets):
                self._jobs.update_statuses(dataset_id)
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        await self._jobs.finish(GRACE_SECONDS)
        await asyncio.wait_for(async_engine.dispose(), GRACE_SECONDS)


def _tune(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()
