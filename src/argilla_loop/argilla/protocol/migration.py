"""A dataset that is made from another one, with other labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from argilla_loop.domain import LoggedRecord


class Target(str, Enum):
    """What there is under the name of the new dataset."""

    MISSING = "missing"
    HALF_MADE = "half made"  # by the same migration
    COMPLETE = "complete"  # by the same migration


@dataclass(frozen=True, slots=True)
class Copied:
    """What one pass over the old dataset has copied.

    Attributes:
        records: number of records that the new dataset lacked, or of which it lacked something.
        answers: number of answers that were copied with them.
        gone: number of answers that were left out, because Argilla does not know their users any more.
    """

    records: int
    answers: int
    gone: int


class Migration(Protocol):
    """Makes a dataset from another one, which is only read; every step may be repeated."""

    def target(self) -> Target:
        """Return what there is under the new name.

        Raises:
            SettingsError: another dataset has the name.
        """

    def prepare(self) -> None:
        """Create the new dataset, or complete what a killed process created; services refuse it until ``complete``."""

    def copy(
        self, anew: Callable[[Sequence[LoggedRecord]], bool], begun: Callable[[int], Callable[[int], None]]
    ) -> Copied:
        """Read both datasets, and copy what the new one lacks.

        Args:
            anew: returns, for the records of the old dataset, whether evidence starts anew (``policy.migration``).
            begun: called with the number of records to copy; returns a function that is called with the number of
                records just copied.

        Raises:
            RejectedError: the server refuses a record.
        """

    def complete(self) -> str:
        """Let services work on the new dataset; return its id."""
