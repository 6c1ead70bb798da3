"""Private folders, and files that are written atomically."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)


def make_private_folder(folder: Path) -> None:
    """Create ``folder`` and its missing parents with mode 0700. Existing folders are not changed.

    ``mkdir(mode=0o700, parents=True)`` would create the parents with the default mode.

    Raises:
        OSError: the folder cannot be created, or its name belongs to a file.
    """
    missing = [folder]
    while not missing[-1].exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def replace_folder(unfinished: Path, folder: Path) -> None:
    """Put ``unfinished`` in the place of ``folder``, which may exist; both lie in the same folder.

    Raises:
        OSError: it cannot be put there; what was there before is there again.
    """
    if folder.exists() and any(folder.iterdir()):
        # a rename replaces no folder that has files: the old one makes room first, and returns if that fails
        old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent)) / folder.name
        folder.rename(old)
        try:
            unfinished.rename(folder)
        except OSError:
            old.rename(folder)
            raise
        finally:
            shutil.rmtree(old.parent, ignore_errors=True)
    else:
        unfinished.rename(folder)
    handle = os.open(folder.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def atomic_write(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``target`` that replaces ``target`` when the block ends without an error.

    Several processes may do this at once: each writes its own temporary file, and the last one to finish wins.

    Raises:
        OSError: the folder is not writable.
    """
    make_private_folder(target.parent)
    handle, name = tempfile.mkstemp(prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def text_digest(text: str) -> str:
    """Return the SHA-256 of ``text`` in UTF-8, 64 hexadecimal digits; lone surrogates are encoded as they are."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def files_digest(*paths: Path) -> str:
    """Return the SHA-256 (hex) of the contents of ``paths``, in the given order."""
    total = hashlib.sha256()
    for path in paths:
        one = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                one.update(block)
        total.update(one.digest())
    return total.hexdigest()


def make_private(folder: Path) -> None:
    """Create ``folder`` with mode 0700 if it is missing, and log a warning if other users can write to it.

    Broken files in it are computed again, but a valid file from someone else is used. Whoever can write to the folder
    can therefore influence the service's predictions, but cannot run code: nothing in it is code or a pickle.
    """
    try:
        make_private_folder(folder)
        mode = folder.stat().st_mode
    except OSError:  # the code that uses the folder reports the error and continues without it
        return
    if mode & (stat.S_IWGRP | stat.S_IWOTH):
        log.warning(
            "cache_open_to_others",
            folder=str(folder),
            mode=f"{stat.S_IMODE(mode):o}",
            then="going on; chmod go-w it, or set another cache_dir",
        )
