"""What an accepted record says of its promise after ``argilla-loop migrate`` has changed the labels."""

from __future__ import annotations

CARRIED_OVER = ", carried over"
WITHDRAWN = "withdrawn: a label was added"


def carried_over(written: str | None) -> str | None:
    """Return what a copied record says of the promise that it was accepted under; ``None``: without one."""
    if not written or is_carried_over(written) or is_withdrawn(written):
        return written
    return written + CARRIED_OVER


def is_carried_over(written: str | None) -> bool:
    """Return whether a promise was granted in an earlier dataset, whose answers show it."""
    return (written or "").endswith(CARRIED_OVER)


def is_withdrawn(written: str | None) -> bool:
    """Return whether nothing is promised of an accepted record, because a label was added since."""
    return written == WITHDRAWN
