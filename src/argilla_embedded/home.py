"""The folder of an embedded server. It is private and belongs to one running server at a time."""

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
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.index import has_index

# Environment variable with the folder through which tests make the search index fail; see ``index_faults``.
INDEX_FAULTS_VARIABLE = "EMBEDDED_ARGILLA_TEST_INDEX_FAULTS"

# Files that a failed start or the file system leaves in an otherwise empty folder.
_IGNORED = {"server.lock", "lost+found"}

_MARKER_TEXT = "This folder is kept by `argilla-loop server`.\n"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The content of ``server.json``, which a server writes when it is ready."""

    pid: int
    url: str


@dataclass(frozen=True, slots=True)
class Home:
    """Paths inside the folder ``path``."""

    path: Path

    @property
    def database(self) -> Path:
        """The SQLite database. Back up this file and the credentials."""
        return self.path / "argilla.db"

    @property
    def marker(self) -> Path:
        """The file that marks a server's folder. Nothing is ever deleted in a folder without it."""
        return self.path / ".argilla-loop-home"

    @property
    def scratch(self) -> Path:
        """Folder for temporary files. Every start empties it, which removes the files of a killed server."""
        return self.path / ".argilla-loop-scratch"

    @property
    def log(self) -> Path:
        """The output of a server that ``EmbeddedServer`` started."""
        return self.path / "server.log"

    def claim(self) -> None:
        """Create the folder with mode 0700, or accept an empty folder or one of an earlier version unchanged.

        Raises:
            EmbeddedServerError: the folder cannot be created, or it contains other files and is not a server's.
        """
        try:
            try:
                self.path.mkdir(mode=0o700, parents=True)
            except FileExistsError:
                if self.marker.exists():
                    return
                others = sorted({each.name for each in self.path.iterdir()} - _IGNORED)
                if others and not self._made_by_earlier_version():
                    more = "" if len(others) == 1 else f" and {len(others) - 1} more"
                    raise EmbeddedServerError(
                        f"{self.path} is no server's folder and has other things in it ({others[0]}{more}): "
                        "choose a new or an empty one by --home."
                    ) from None
            self.marker.write_text(_MARKER_TEXT, encoding="utf-8")
        except OSError as error:
            raise EmbeddedServerError(f"Cannot use the folder {self.path}: {error.strerror}.") from error

    def refuse_if_held(self) -> None:
        """Check, without changing anything, that no other server uses the folder.

        Raises:
            EmbeddedServerError: another server uses it.
        """
        try:
            lock = (self.path / "server.lock").open("r")
        except OSError:
            return
        with lock:
            self._lock(lock)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Claim the folder and lock it against other servers; the lock ends with the process.

        Raises:
            EmbeddedServerError: the folder cannot be claimed, or another server holds it.
        """
        self.claim()
        try:
            lock = (self.path / "server.lock").open("a")
        except OSError as error:
            raise EmbeddedServerError(f"Cannot use the folder {self.path}: {error.strerror}.") from error
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
        """Write ``server.json``: this process serves at ``url``."""
        unfinished = self.path / "server.json.tmp"
        unfinished.write_text(json.dumps({"pid": os.getpid(), "url": url}), encoding="utf-8")
        unfinished.replace(self.path / "server.json")

    def forget(self) -> None:
        """Remove ``server.json``."""
        (self.path / "server.json").unlink(missing_ok=True)

    def running(self) -> RunningServer | None:
        """Return the server that ``server.json`` names, which may have been killed since, or None."""
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
            raise EmbeddedServerError(
                f"Another server{where} uses {self.path}: stop it first, or choose another folder."
            ) from None

    def _made_by_earlier_version(self) -> bool:
        """Return whether the folder has readable credentials or a database with this index, whatever its file names."""
        try:
            load_credentials(self.path)
        except EmbeddedServerError:
            return self.database.is_file() and has_index(self.database)
        return True
