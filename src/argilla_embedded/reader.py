"""Read the server's database in a few threads, so that a long search does not block other requests."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from argilla_embedded import slop

Result = TypeVar("Result")

THREADS = 4  # searches that run at once. Chosen, not measured.


class Reader:
    """Runs functions on read-only connections, each in one snapshot of the database."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._local = threading.local()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="search")

    async def read(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Call ``work`` with a connection, in a thread, and return its result."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, work)

    def _run(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._database, isolation_level=None, timeout=15)
            # mode=ro cannot open a write-ahead log unless another connection has it open.
            connection.execute("PRAGMA query_only = ON")
            slop.register(connection)
            self._local.connection = connection
        connection.execute("BEGIN")
        try:
            return work(connection)
        finally:
            connection.execute("ROLLBACK")
