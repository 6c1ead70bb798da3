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
from typing import TextIO

from argilla_embedded.credentials import load_credentials
from argilla_embedded.index import has_index
from argilla_loop.errors import FatalError

# Names the folder of the switch by which tests make the search index fail; see ``index_faults``.
INDEX_FAULTS_VARIABLE = "EMBEDDED_ARGILLA_TEST_INDEX_FAULTS"

# What a start that came to nothing, or the system, leaves in a folder that is empty otherwise.
_NOBODYS = {"server.lock", "lost+found"}

_MARKER_TEXT = "This folder is kept by `argilla-loop server`.\n"


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
    def marker(self) -> Path:
        """Says that the folder is a server's: only then anything in it is ever deleted."""
        return self.path / ".argilla-loop-home"

    @property
    def scratch(self) -> Path:
        """Temporary files; emptied at every start, so that a killed server leaves nothing behind."""
        return self.path / ".argilla-loop-scratch"

    @property
    def log(self) -> Path:
        """What a server started by ``EmbeddedServer`` prints."""
        return self.path / "server.log"

    def claim(self) -> None:
        """Make the folder, closed to others, or take an empty one or one of an earlier version as it is.

        Raises:
            FatalError: it cannot be made, or it has other things in it and no server was ever run on it.
        """
        try:
            try:
                self.path.mkdir(mode=0o700, parents=True)
            except FileExistsError:
                if self.marker.exists():
                    return
                others = sorted({each.name for each in self.path.iterdir()} - _NOBODYS)
                if others and not self._made_by_earlier_version():
                    more = "" if len(others) == 1 else f" and {len(others) - 1} more"
                    raise FatalError(
                        f"{self.path} is no server's folder and has other things in it ({others[0]}{more}): "
                        "choose a new or an empty one by --home."
                    ) from None
            self.marker.write_text(_MARKER_TEXT, encoding="utf-8")
        except OSError as error:
            raise FatalError(f"Cannot use the folder {self.path}: {error.strerror}.") from error

    def refuse_if_held(self) -> None:
        """Touch nothing, and see whether another server uses the folder.

        Raises:
            FatalError: one does.
        """
        try:
            lock = (self.path / "server.lock").open("r")
        except OSError:
            return
        with lock:
            self._lock(lock)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Claim the folder and keep every other server off it; the lock dies with the process.

        Raises:
            FatalError: the folder cannot be claimed, or another server holds it.
        """
        self.claim()
        try:
            lock = (self.path / "server.lock").open("a")
        except OSError as error:
            raise FatalError(f"Cannot use the folder {self.path}: {error.strerror}.") from error
        with lock:
            self._lock(lock)
            self.forget()
            shutil.rmtree(self.scratch, ignore_errors=True)
            self.scratch.mkdir(mode=0o700, exist_ok=True)
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

    def _lock(self, lock: TextIO) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = self.running()
            where = f" at {running.url} (process {running.pid})" if running else ""
            raise FatalError(
                f"Another server{where} uses {self.path}: stop it first, or choose another folder."
            ) from None

    def _made_by_earlier_version(self) -> bool:
        """Whether the folder holds our credentials, or a database with our index: names alone could be anybody's."""
        try:
            load_credentials(self.path)
        except FatalError:
            return self.database.is_file() and has_index(self.database)
        return True
