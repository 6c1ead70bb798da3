"""The identity of the service over restarts: a token in the cache for one process at a time, and its dataset."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from argilla_loop.argilla.protocol import Backend, FoundDataset
from argilla_loop.observability.heartbeat import heartbeat_file
from argilla_loop.settings import Settings
from argilla_loop.settings.files import atomic_write, make_private_folder

log = structlog.get_logger(__name__)


class Identity:
    """A token for the lease; a service that starts again on this machine finds its old token, even after ``kill -9``.

    The file is locked while the process lives, so a second service with the same cache folder gets a different token.
    If the folder cannot be written, each start has a new token, and waits until the previous lease has run out.

    Args:
        file: holds machine and token.
    """

    def __init__(self, file: Path) -> None:
        self.holder = f"{socket.gethostname()}, process {os.getpid()}"
        self._file: IO[str] | None = None
        self.token = self._kept(file) or secrets.token_hex(8)

    def close(self) -> None:
        """Unlock the token for the next process."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _kept(self, path: Path) -> str | None:
        try:
            make_private_folder(path.parent)
            file = self._file = path.open("a+", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            file.seek(0)
            machine, _, token = file.read().strip().partition(" ")
            if machine != socket.gethostname() or not token:  # the folder was copied from another machine
                token = secrets.token_hex(8)
                file.truncate(0)
                file.write(f"{socket.gethostname()} {token}\n")
                file.flush()
        except BlockingIOError:  # another process of this machine uses it
            self.close()
            return None
        except OSError as error:
            log.warning("identity_not_kept", file=str(path), error=str(error))
            self.close()
            return None
        return token


def identity_of(settings: Settings) -> Identity:
    """Return the identity of the service that ``settings`` describe."""
    return Identity(_writer_file(settings))


def working_dataset(settings: Settings, backend: Backend) -> FoundDataset | None:
    """Return the working dataset of ``settings``, even if it was renamed; ``None`` if there is none yet."""
    return backend.find(settings.workspace, settings.dataset, remembered=remembered_dataset(settings))


def remembered_dataset(settings: Settings) -> str | None:
    """Return the id of the dataset that the service of ``settings`` last used on this machine; ``None`` if unknown.

    It finds a dataset that was renamed if our mark in Argilla is gone. Like everything in the cache, it may be lost.
    """
    with suppress(OSError, ValueError):  # missing, unreadable, or not text
        return _dataset_file(settings).read_text(encoding="utf-8").strip() or None
    return None


def remember_dataset(settings: Settings, dataset_id: str) -> None:
    """Store what ``remembered_dataset`` returns; do nothing if the cache cannot be written."""
    if remembered_dataset(settings) != dataset_id:
        with suppress(OSError), atomic_write(_dataset_file(settings)) as unfinished:
            unfinished.write_text(f"{dataset_id}\n", encoding="utf-8")


def _dataset_file(settings: Settings) -> Path:
    return _writer_file(settings).with_suffix(".dataset")


def _writer_file(settings: Settings) -> Path:
    return heartbeat_file(settings).parent.parent / "writer" / heartbeat_file(settings).name
