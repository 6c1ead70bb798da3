"""The server's process, once its environment is set: argilla_server's app with our engine and jobs, in uvicorn."""

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
from argilla_embedded.home import INDEX_FAULTS_VARIABLE
from argilla_embedded.jobs import Jobs, stale_datasets
from argilla_loop.errors import FatalError

log = structlog.get_logger(__name__)

# What is being answered, and jobs, may take this long once told to stop.
GRACE_SECONDS = 5


def tune_connections() -> None:
    """Spare an fsync for each commit: with the write-ahead log only a power cut can take back the last ones."""
    for engine_ in (async_engine.sync_engine, sync_engine):
        event.listen(engine_, "connect", _tune)


def prepare_search() -> None:
    """Register the engine whose index may fail, where tests ask for it."""
    if INDEX_FAULTS_VARIABLE in os.environ:
        from argilla_embedded import index_faults  # noqa: PLC0415 - only tests need it

        index_faults.faulty_index()
        log.warning("index_faults_for_tests", variable=INDEX_FAULTS_VARIABLE)


# argilla_server warns of itself whenever a user's queue is read.
warnings.filterwarnings("ignore", "Object of type <Record> not in session", SAWarning)


def run(listener: socket.socket, *, webhook_retries: Sequence[float], on_ready: Callable[[], None]) -> None:
    """Serve on ``listener`` until a signal ends it.

    Raises:
        FatalError: the server did not start.
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
        raise FatalError("The server did not start: the lines above say why.")


class _Server(uvicorn.Server):
    """Tells when it is ready, and ends its jobs and connections with itself."""

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
