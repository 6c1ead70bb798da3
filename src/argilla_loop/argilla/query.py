"""Conditions on the records of a working dataset, in terms that every backend can evaluate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Query:
    """Which records to find: all conditions that are set must hold.

    Attributes:
        answered: at least one user has submitted or discarded the record.
        pending: the backend still shows the record to annotators, because submitted answers are missing.
        batches: the first and the last batch number, both included.
    """

    answered: bool = False
    pending: bool = False
    batches: tuple[int, int] | None = None


ALL = Query()
ANSWERED = Query(answered=True)


def in_batch(number: int) -> Query:
    """Return the query for all records of one batch."""
    return Query(batches=(number, number))
