"""Argilla's background jobs without Redis and rq: webhooks, record statuses, hub import and export.

Tasks in the server's event loop deliver webhooks and update record statuses. Hub jobs block, so they run in a child
process. Retries follow argilla_server's own jobs. Unfinished jobs end with the server: their webhooks are lost, and
statuses are updated at the next start (see ``stale_datasets``).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import argilla_server.api.handlers.v1.jobs as jobs_handler
import structlog
from argilla_server import _app
from argilla_server.database import AsyncSessionLocal
from argilla_server.jobs import dataset_jobs, hub_jobs, webhook_jobs
from argilla_server.models import Webhook
from argilla_server.webhooks.v1.commons import notify_event
from rq.exceptions import NoSuchJobError
from rq.job import JobStatus

log = structlog.get_logger(__name__)

RETRY_AT_ONCE = (0.0, 0.0, 0.0)  # seconds; three retries, as in argilla_server.jobs
KEEP_FINISHED = 1_000  # jobs whose status can still be requested. Chosen, not measured.


@dataclass(slots=True)
class Job:
    """One background job, as the server's API shows it."""

    name: str
    id: str = field(default_factory=lambda: str(uuid4()))
    status: JobStatus = JobStatus.QUEUED

    def get_status(self, refresh: bool = True) -> JobStatus:  # noqa: FBT001, FBT002, ARG002 - rq's signature
        """Return the job's status."""
        return self.status


class Jobs:
    """Runs jobs on the current event loop.

    Args:
        webhook_retries: seconds to wait before each retry of a webhook.
    """

    def __init__(self, webhook_retries: Sequence[float]) -> None:
        self._webhook_retries = tuple(webhook_retries)
        self._jobs: dict[str, Job] = {}
        self._tasks: dict[asyncio.Task[None], Job] = {}

    def fetch(self, job_id: str, connection: object = None) -> Job:  # noqa: ARG002 - rq's signature
        """Return the job with this id, like ``rq.job.Job.fetch``.

        Raises:
            NoSuchJobError: the job does not exist, or was removed because it finished long ago.
        """
        try:
            return self._jobs[job_id]
        except KeyError:
            raise NoSuchJobError(f"No job {job_id}") from None

    def submit(self, name: str, work: Callable[[], Awaitable[None]], waits: Sequence[float]) -> Job:
        """Start ``work`` in the background and retry it after each of ``waits`` (seconds) while it fails."""
        job = Job(name)
        self._jobs[job.id] = job
        while len(self._jobs) > KEEP_FINISHED + len(self._tasks):
            self._jobs.pop(next(iter(self._jobs)))
        task = asyncio.get_running_loop().create_task(_run(job, work, waits))
        self._tasks[task] = job
        task.add_done_callback(self._tasks.pop)
        return job

    def deliver(self, webhook_id: UUID, event: str, timestamp: datetime, data: dict[str, Any]) -> Job:
        """Replace ``notify_event_job.delay``."""

        async def work() -> None:
            async with AsyncSessionLocal() as db:
                webhook = await Webhook.get_or_raise(db, webhook_id)
            # The server's delivery function blocks for up to 20 seconds.
            response = await asyncio.to_thread(notify_event, webhook, event, timestamp, data)
            response.raise_for_status()

        return self.submit(f"webhook {event}", work, self._webhook_retries)

    def update_statuses(self, dataset_id: UUID) -> Job:
        """Replace ``update_dataset_records_status_job.delay``."""
        job = dataset_jobs.update_dataset_records_status_job
        return self.submit("update_record_statuses", lambda: job(dataset_id), RETRY_AT_ONCE)

    def hub_job(self, name: str) -> Callable[..., Job]:
        """Return a replacement for the ``delay`` of the function ``name`` in ``argilla_server.jobs.hub_jobs``."""

        def delay(**arguments: Any) -> Job:
            return self.submit(name, lambda: _run_in_child(name, arguments), RETRY_AT_ONCE)

        return delay

    async def finish(self, timeout: float | None = None) -> None:
        """Cancel pending retries and wait up to ``timeout`` seconds for running jobs; then cancel those too."""
        waiting = [task for task, job in self._tasks.items() if job.status == JobStatus.SCHEDULED]
        for task in waiting:
            task.cancel()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=timeout)
        for task in late:
            task.cancel()
        if waiting or late:
            log.warning("jobs_given_up", waiting=len(waiting), running=len(late))
        if late:
            await asyncio.wait(late)

    def install(self) -> None:
        """Replace rq and Redis by this object, in this process only."""
        _app.configure_redis = lambda: None
        jobs_handler.Job = self
        webhook_jobs.notify_event_job.delay = self.deliver
        dataset_jobs.update_dataset_records_status_job.delay = self.update_statuses
        for job in (hub_jobs.import_dataset_from_hub_job, hub_jobs.export_dataset_to_hub_job):
            job.delay = self.hub_job(job.__name__)


def stale_datasets(db: sqlite3.Connection) -> list[UUID]:
    """Return the datasets with records whose status disagrees with their responses, after a job was interrupted."""
    rows = db.execute(
        "SELECT DISTINCT d.id FROM datasets d JOIN records r ON r.dataset_id = d.id"
        " WHERE (r.status = 'completed') != (json_extract(d.distribution, '$.min_submitted') <="
        " (SELECT count(*) FROM responses x WHERE x.record_id = r.id AND x.status = 'submitted'))"
    )
    return [UUID(id_) for (id_,) in rows]


async def _run(job: Job, work: Callable[[], Awaitable[None]], waits: Sequence[float]) -> None:
    job.status = JobStatus.STARTED
    for attempt, wait in enumerate((*waits, None), start=1):
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - an error in a job must not stop the server
            job.status = JobStatus.FAILED if wait is None else JobStatus.SCHEDULED
            log.warning(
                "job_failed", job=job.name, attempt=attempt, retry_in=wait, error=type(error).__name__
            )
        else:
            job.status = JobStatus.FINISHED
            return
        if wait is not None:
            await asyncio.sleep(wait)


async def _run_in_child(name: str, arguments: dict[str, Any]) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "argilla_embedded.hub_job", stdin=asyncio.subprocess.PIPE
    )
    # Through standard input, because one of the arguments is the user's hub token.
    call = json.dumps({"name": name, "arguments": arguments}, default=str)
    try:
        await child.communicate(call.encode())
    except asyncio.CancelledError:
        child.terminate()
        raise
    if child.returncode:
        raise RuntimeError(f"{name} ended with exit code {child.returncode}")
