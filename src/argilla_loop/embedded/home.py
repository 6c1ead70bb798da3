"""The folder of an embedded server: private, and of one server at a time."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from argilla_loop.errors import FatalError

# Names the folder of the switch by which tests make the search index fail; see ``index_faults``.
INDEX_FAULTS_VARIABLE = "EMBEDDED_ARGILLA_TEST_INDEX_FAULTS"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """What a ready server says of itself in ``server.json``."""

    pid: int
    url: str


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside the folder ``path``."""

    path: Path

    @property
    def database(self) -> Path:
        """The one SQLite database: all there is to back up, besides the credentials."""
        return self.path / "argilla.db"

    @property
    def scratch(self) -> Path:
        """Temporary files; emptied at every start, so that a killed server leaves nothing behind."""
        return self.path / "tmp"

    @property
    def log(self) -> Path:
        """What a server started by ``EmbeddedServer`` prints."""
        return self.path / "server.log"

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Create the folder if need be and keep every other server off it; the lock dies with the process.

        Raises:
            FatalError: the folder cannot be made, or another server holds it.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self.path.chmod(0o700)
            lock = (self.path / "server.lock").open("w")
        except OSError as error:
            raise FatalError(f"Cannot use the folder {self.path}: {error.strerror}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                running = self.running()
                where = f" at {running.url} (process {running.pid})" if running else ""
                raise FatalError(
                    f"Another server{where} uses {self.path}: stop it first, or choose another folder."
                ) from None
            self.forget()
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir()
            try:
                yield
            finally:
                self.forget()
                shutil.rmtree(self.scratch, ignore_errors=True)

    def announce(self, url: str) -> None:
        """Say that this process serves at ``url``."""
        unfinished = self.path / "server.json.tmp"
        unfinished.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")
        unfinished.replace(self.path / "server.json")

    def forget(self) -> None:
        """Take the announcement back."""
        (self.path / "server.json").unlink(missing_ok=True)

    def running(self) -> RunningServer | None:
        """The server last announced; it may have been killed since."""
        try:
            return RunningServer(**json.loads((self.path / "server.json").read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
