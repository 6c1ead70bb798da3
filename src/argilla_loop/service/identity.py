"""Who this service is, over restarts: a token in the cache that one process at a time may use; and its dataset."""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import find_workspace
from argilla_loop.argilla.v2.working import Working, find_working
from argilla_loop.observability.heartbeat import heartbeat_file
from argilla_loop.settings import Settings
from argilla_loop.settings.files import atomic_write, make_private_folder

log = structlog.get_logger(__name__)


class Identity:
    """A token of our own; a service that starts again on this machine, even after kill -9, finds its old one.

    The file is locked while the process lives, so a second service with the same cache folder gets a token of its own.
    Where the folder cannot be written, each start has a new one, and waits for the lease of the last to run out.

    Args:
        file: holds machine and token.
    """

    def __init__(self, file: Path) -> None:
        self.holder = f"{socket.gethostname()}, process {os.getpid()}"
        self._file: IO[str] | None = None
        self.token = self._kept(file) or secrets.token_hex(8)

    def close(self) -> None:
        """Let the next process have the token."""
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
            if machine != socket.gethostname() or not token:  # a folder that was copied is not us
                token = secrets.token_hex(8)
                file.truncate(0)
                file.write(f"{socket.gethostname()} {token}\n")
                file.flush()
        except BlockingIOError:  # another process of this machine is it
            self.close()
            return None
        except OSError as error:
            log.warning("identity_not_kept", file=str(path), error=str(error))
            self.close()
            return None
        return token


def identity_of(settings: Settings) -> Identity:
    """The identity of the service that ``settings`` describe."""
    return Identity(_writer_file(settings))


def working_dataset(settings: Settings, connection: Connection) -> Working:
    """The working dataset of ``settings``, for commands that look or change what is there; see ``argilla.working``."""
    workspace = find_workspace(connection, settings.workspace)
    return find_working(connection, workspace, settings.dataset, remembered=remembered_dataset(settings))


def remembered_dataset(settings: Settings) -> str | None:
    """Id of the dataset that the service of ``settings`` worked on last, on this machine; ``None`` where none is known.

    It finds a dataset that was renamed, should our mark in Argilla be gone. Like all in the cache it may be lost.
    """
    with suppress(OSError, ValueError):  # not there, not to be read, or no text
        return _dataset_file(settings).read_text(encoding="utf-8").strip() or None
    return None


def remember_dataset(settings: Settings, dataset_id: str) -> None:
    """Keep what ``remembered_dataset`` gives; nothing where the cache cannot be written."""
    if remembered_dataset(settings) != dataset_id:
        with suppress(OSError), atomic_write(_dataset_file(settings)) as unfinished:
            unfinished.write_text(f"{dataset_id}\n", encoding="utf-8")


def _dataset_file(settings: Settings) -> Path:
    return _writer_file(settings).with_suffix(".dataset")


def _writer_file(settings: Settings) -> Path:
    return heartbeat_file(settings).parent.parent / "writer" / heartbeat_file(settings).name
