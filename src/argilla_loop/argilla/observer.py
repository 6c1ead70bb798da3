"""What the working dataset holds, kept in memory and read again where it may have changed.

Reading all records of a large dataset takes most of a turn. Argilla lists records in the order in which they were
added, so the newest ones, the open batch among them, are the end of that list, and its total tells whether records
were deleted. An observation reads that end. The rest is read again page by page between two looks, so every change is
seen within a bounded time, whether or not anything said that there was one. Nothing here has to last: a new process
reads everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from argilla_loop.domain import LoggedRecord
from argilla_loop.policy.plan import MAX_BATCH

log = structlog.get_logger(__name__)

WHOLE = 300  # a dataset of so many records is read whole each time: one short page
OVERLAP = 20  # records before the open batch that are read with it, to notice that the list has moved
PAGE = 250  # records that one step of reading again takes: a tenth to a third of a second (benchmarks/observe.md)
REST = (
    9.0  # for each second of reading again, so many without: Argilla works for us a tenth of the time at most
)
PASS_SECONDS = 600.0  # after which everything is read again though nothing said that anything has changed


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in the order in which they were added, and how many there are in all."""

    records: Sequence[LoggedRecord]
    total: int


class Listing(Protocol):
    """What an observer needs of a dataset."""

    edits: int  # how often this process has changed records that were there before

    def scan(self) -> Iterator[LoggedRecord]:
        """Every record, in the order in which they were added."""

    def page(self, offset: int, limit: int) -> Page:
        """At most ``limit`` records from position ``offset`` on, in the same order as ``scan``."""


class Observer:
    """All records of one dataset.

    Args:
        dataset: where they lie.
        whole: a dataset of at most so many records is read whole at each observation.
        clock: seconds; for tests.
    """

    def __init__(
        self, dataset: Listing, *, whole: int = WHOLE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dataset, self._whole, self._clock = dataset, whole, clock
        self._records: list[LoggedRecord] = []
        self._ids: list[str] = []
        self._known = False
        self._edits = dataset.edits
        self._cursor = 0  # where reading again goes on
        self._rests_until = float("-inf")
        self._pass: object = None  # the activity at which this pass began
        self._passed: object = None  # the activity that the last whole pass has seen
        self._passed_at = float("-inf")

    def observe(self) -> list[LoggedRecord]:
        """All records for a turn: the newest of them as they are now, and in a small dataset all.

        Raises:
            RetryableError, FatalError: Argilla is away, or refuses.
        """
        if len(self._records) <= self._whole:
            self._known = False
        return self.look()

    def look(self) -> list[LoggedRecord]:
        """All records, those of the open batch and after it as they are now; cheap enough while people answer.

        Raises:
            RetryableError, FatalError: Argilla is away, or refuses.
        """
        if not self._known or self._edits != self._dataset.edits or not self._read_end():
            self._read_all()
        return list(self._records)

    def forget(self) -> None:
        """What was seen counts for nothing any more; the next look reads everything."""
        self._known = False

    @property
    def records(self) -> list[LoggedRecord]:
        """All records as they were last seen."""
        return list(self._records)

    def replace(self, fresh: Sequence[LoggedRecord]) -> None:
        """Take over records that somebody else has read meanwhile."""
        positions = {record_id: n for n, record_id in enumerate(self._ids)} if fresh else {}
        for record in fresh:
            if record.id in positions:
                self._records[positions[record.id]] = record

    def read_again(self, activity: object) -> None:
        """Read one more page of what was seen before, where it may have changed and Argilla has had its rest.

        Args:
            activity: changes whenever somebody answers, changes an answer, or takes one back.

        Raises:
            RetryableError, FatalError: Argilla is away, or refuses.
        """
        now = self._clock()
        if not self._known or len(self._records) <= self._whole or now < self._rests_until:
            return
        if self._cursor == 0:
            if activity == self._passed and now - self._passed_at < PASS_SECONDS:
                return
            self._pass = activity
        if not self._read(self._cursor, PAGE):
            self._read_all()
        self._cursor += PAGE
        if self._cursor >= len(self._records):
            self._cursor, self._passed, self._passed_at = 0, self._pass, self._clock()
        self._rests_until = self._clock() + REST * (self._clock() - now)

    def _read_all(self) -> None:
        edits = self._dataset.edits
        records = list(self._dataset.scan())
        self._records, self._ids = records, [record.id for record in records]
        self._known, self._edits, self._cursor = True, edits, 0

    def _read_end(self) -> bool:
        """Read from the open batch to the end; ``False`` where the list is no longer the one that was seen."""
        return self._read(max(_first_of_latest_batch(self._records) - OVERLAP, 0), None)

    def _read(self, start: int, limit: int | None) -> bool:
        """Read ``limit`` records from ``start`` on, or all that follow; ``False`` where the list has moved."""
        fresh: list[LoggedRecord] = []
        while True:
            page = self._dataset.page(start + len(fresh), limit or MAX_BATCH)
            fresh += page.records
            if limit is not None or len(page.records) < MAX_BATCH:
                break
        end = len(self._records) if limit is None else min(start + limit, len(self._records))
        ids = [record.id for record in fresh]
        moved = ids[: end - start] != self._ids[start:end]
        if limit is None:
            moved = moved or page.total != start + len(fresh)
        else:
            moved = moved or page.total < len(self._records)
            fresh, ids = fresh[: end - start], ids[: end - start]  # what is new is read with the end
        if moved:
            log.debug("records_moved", start=start, known=len(self._records), total=page.total)
            return False
        self._records[start:end], self._ids[start:end] = fresh, ids
        return True


def _first_of_latest_batch(records: Sequence[LoggedRecord]) -> int:
    """Position of the first record of the batch with the highest number; the end where no record has a number."""
    numbers = [record.batch for record in records if record.batch is not None]
    if not numbers:
        return len(records)
    latest = max(numbers)
    return next(n for n, record in enumerate(records) if record.batch == latest)
