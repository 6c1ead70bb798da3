"""Folders of our own: for this user alone, whoever makes them first and however often they are deleted meanwhile."""

from __future__ import annotations

from pathlib import Path


def make_own_folder(folder: Path) -> None:
    """Make ``folder``, and whatever is missing above it, for this user alone (0700); what is there stays as it is.

    ``mkdir(mode=0o700, parents=True)`` would make the ones above for everybody.

    Raises:
        OSError: it cannot be made, or there is something else of that name.
    """
    missing = [folder]
    while not missing[-1].exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)
