"""The records of the working dataset, kept in memory and read again where they may have changed.

Reading all records of a large dataset takes most of a turn. The server lists records in the order in which they were
added, so the newest ones, which include the open batch, are at the end of that list, and its total shows whether
records were deleted. An observation reads that end. The rest is read again page by page between two looks, so every
change is seen within a bounded time, whether or not anything indicated it. This is a cache: a new process reads
everything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog

from argilla_loop.argilla.protocol import Listing
from argilla_loop.domain import LoggedRecord
from argilla_loop.policy.rules import MAX_BATCH

log = structlog.get_logger(__name__)

# A dataset of at most so many records is read whole each time: one short page. Chosen, not measured.
WHOLE = 300
# Records before the open batch that are read with it, to notice that the list has moved. Chosen, not measured.
OVERLAP = 20
# Records per step of reading again: a tenth to a third of a second (benchmarks/observe.md).
PAGE = 250
# Seconds of rest for each second of reading again, so that Argilla works for us a tenth of the time at most. Chosen.
REST = 9.0
# Everything is read again after this time, even if nothing indicated a change. Chosen, not measured.
PASS_SECONDS = 600.0


class Observer:
    """All records of one dataset.

    Args:
        dataset: the dataset.
        whole: a dataset of at most so many records is read whole at each observation.
        clock: returns seconds; for tests.
    """

    def __init__(
        self, dataset: Listing, *, whole: int = WHOLE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._dataset, self._whole, self._clock = dataset, whole, clock
        self._records: list[LoggedRecord] = []
        self._ids: list[str] = []
        self._known = False
        self._edits = dataset.edits
        self._cursor = 0  # position at which reading again continues
        self._rests_until = float("-inf")
        self._pass: object = None  # the activity at the start of this pass
        self._passed: object = None  # the activity at the start of the last complete pass
        self._passed_at = float("-inf")

    def observe(self) -> list[LoggedRecord]:
        """Return all records for a turn: the newest as they are now; in a small dataset, all of them.

        Raises:
            RetryableError, FatalError: Argilla is away or refuses.
        """
        if len(self._records) <= self._whole:
            self._known = False
        return self.look()

    def look(self) -> list[LoggedRecord]:
        """Return all records, from the open batch on as they are now; it is cheap enough to call while people answer.

        Raises:
            RetryableError, FatalError: Argilla is away or refuses.
        """
        if not self._known or self._edits != self._dataset.edits or not self._read_end():
            self._read_all()
        return list(self._records)

    def forget(self) -> None:
        """Discard what was read; the next look reads everything."""
        self._known = False

    @property
    def records(self) -> list[LoggedRecord]:
        """All records as they were last read."""
        return list(self._records)

    def replace(self, fresh: Sequence[LoggedRecord]) -> None:
        """Replace known records by newer versions that were read elsewhere."""
        positions = {record_id: n for n, record_id in enumerate(self._ids)} if fresh else {}
        for record in fresh:
            if record.id in positions:
                self._records[positions[record.id]] = record

    def read_again(self, activity: object) -> None:
        """Read one more known page again, if it may have changed and the rest since the last step is over.

        Args:
            activity: changes with every answer that is given, changed or withdrawn.

        Raises:
            RetryableError, FatalError: Argilla is away or refuses.
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
        """Read from the open batch to the end; return ``False`` if the list has moved since it was read."""
        return self._read(max(_first_of_latest_batch(self._records) - OVERLAP, 0), None)

    def _read(self, start: int, limit: int | None) -> bool:
        """Read ``limit`` records from ``start`` on, or all that follow; return ``False`` if the list has moved."""
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
            fresh, ids = fresh[: end - start], ids[: end - start]  # new records are read with the end
        if moved:
            log.debug("records_moved", start=start, known=len(self._records), total=page.total)
            return False
        self._records[start:end], self._ids[start:end] = fresh, ids
        return True


def _first_of_latest_batch(records: Sequence[LoggedRecord]) -> int:
    """Return the position of the first record of the latest batch; the end if no record has a batch number."""
    numbers = [record.batch for record in records if record.batch is not None]
    if not numbers:
        return len(records)
    latest = max(numbers)
    return next(n for n, record in enumerate(records) if record.batch == latest)
