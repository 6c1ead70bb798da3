"""Notices where Argilla's search index lacks what its database holds, and has it indexed again.

Argilla stores first and indexes then. Where the second step fails, people's queue, which comes from the index, lacks
records or shows what is answered already, for ever. The same where a user is deleted: the answers go, and the records
are still taken for completed. An upsert that changes nothing makes Argilla look at the record anew, and index it with
its answers. The index decides nothing for the loop: it is compared only so that people see what is there.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Protocol

import structlog

from argilla_loop.argilla.v2.connection import GoneError
from argilla_loop.argilla.v2.lease import LeaseLostError
from argilla_loop.argilla.v2.query import ANSWERED, PENDING, Query, between
from argilla_loop.argilla.v2.schema import DatasetInfo
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import RetryableError
from argilla_loop.observability.metrics import INDEX_BEHIND, INDEX_HEALED

log = structlog.get_logger(__name__)

CHECK_SECONDS = (
    5.0  # between two comparisons; an index is up to date a second after a write (Elasticsearch's default)
)
WHOLE_SECONDS = 60.0  # between two comparisons of everything, batches of long ago among it
LONGEST_PAUSE = 300.0  # seconds between two tries to mend what would not be mended
ONE_TURN = 100  # records mended at a time: 1.5 s on a team's server, so that the loop is not held up
CURE = (
    "check the disk and the logs of the search engine, then run `python -m argilla_server "
    "search-engine reindex` where Argilla's server runs (docs/deployment.md)"
)


class Indexed(Protocol):
    """What the watch needs of a dataset."""

    info: DatasetInfo

    def count(self, query: Query) -> int:
        """How many records the index finds."""

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """The records that the index finds."""

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Records as the database holds them; those that are gone are left out."""

    def reindex(self, ids: Collection[str]) -> None:
        """Have records indexed anew, which changes nothing of them."""


class IndexWatch:
    """Compares index and database of one dataset; to be asked at every look, which is mostly free.

    Args:
        dataset: the dataset.
        clock: seconds; for tests.
    """

    def __init__(self, dataset: Indexed, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._dataset, self._clock = dataset, clock
        self._due = self._whole_due = float("-inf")
        self._suspects: frozenset[str] = frozenset()  # differed when last compared
        self._tried: frozenset[str] = frozenset()  # were indexed anew since
        self._failures = 0
        self.trouble: str | None = None  # in a line, for people; None while all is well

    def compare(self, recent: Sequence[LoggedRecord], records: Sequence[LoggedRecord]) -> list[LoggedRecord]:
        """Compare, and mend what has differed twice in a row.

        Args:
            recent: whole batches that people have just been at work in, as the database holds them.
            records: all of the dataset, as they were last seen.

        Returns:
            Those of ``records`` that turned out to have changed, as the database holds them now.

        Raises:
            GoneError: the dataset is gone or has lost a metadata property.
            LeaseLostError: another service writes to the dataset.
            FatalError: Argilla refuses for good.
        """
        now = self._clock()
        if now < self._due:
            return []
        self._due = now + CHECK_SECONDS
        try:
            return self._compare(recent, records, whole=now >= self._whole_due)
        except (GoneError, LeaseLostError):
            raise
        except RetryableError as error:
            self._failed(f"{error}")
            return []

    def _compare(
        self, recent: Sequence[LoggedRecord], records: Sequence[LoggedRecord], *, whole: bool
    ) -> list[LoggedRecord]:
        differing = set() if self._agrees(recent) else self._differing(recent)
        if whole:
            for batch in islice(self._disagreeing(_batches(records)), ONE_TURN):
                differing |= self._differing(batch)
        changed: list[LoggedRecord] = []
        lasting = sorted(differing & self._suspects)[:ONE_TURN]
        if lasting:
            # what was seen may be older than what the index knows
            known = {record.id: record for record in records}
            fresh = self._dataset.fetch(lasting)
            changed = [record for record in fresh if record != known.get(record.id)]
            lasting = sorted(self._differing(fresh))
            differing -= {record.id for record in fresh} - set(lasting)
        if whole and not differing:
            self._whole_due = self._clock() + WHOLE_SECONDS
        self._judge(differing, lasting)
        self._suspects = frozenset(differing)
        return changed

    def _judge(self, differing: Collection[str], lasting: Collection[str]) -> None:
        healed, failed = self._tried - set(differing), self._tried & set(differing)
        if healed or lasting:  # where something went wrong, more may have, in batches before this one
            self._whole_due = float("-inf")
        if healed:
            INDEX_HEALED.inc(len(healed))
            log.warning(
                "index_healed", records=len(healed), why="the search index lacked what Argilla stored"
            )
        self._tried = frozenset()
        if failed:
            self._failed(f"the search index lacks {len(failed)} records or answers that Argilla holds")
        elif not lasting:
            self._recovered()
        INDEX_BEHIND.set(len(differing) if lasting or failed else 0)
        if lasting:
            self._tried = frozenset(lasting)
            self._dataset.reindex(lasting)

    def _failed(self, why: str) -> None:
        self._failures += 1
        self._due = self._clock() + min(CHECK_SECONDS * 2**self._failures, LONGEST_PAUSE)
        if self.trouble is None:
            log.warning("index_behind", why=why, then=f"going on by the database; if this stays, {CURE}")
        self.trouble = why

    def _recovered(self) -> None:
        if self.trouble is not None:
            log.info("index_recovered", failures=self._failures)
        self._failures, self.trouble = 0, None

    def _agrees(self, records: Sequence[LoggedRecord]) -> bool:
        """Whether the index finds as many of these whole batches, and as many answered ones, as there are."""
        numbers = [record.batch for record in records if record.batch is not None]
        if not numbers:
            return True
        batches = between(min(numbers), max(numbers))
        count = self._dataset.count
        return (
            count(batches) == len(numbers)
            and count(ANSWERED + batches) == sum(_is_answered(record) for record in records)
            and count(PENDING + batches) == sum(self._is_pending(record) for record in records)
        )

    def _disagreeing(self, batches: Sequence[Sequence[LoggedRecord]]) -> Iterator[Sequence[LoggedRecord]]:
        """The batches with which the index does not agree, found by halving."""
        if not batches or self._agrees([record for batch in batches for record in batch]):
            return
        if len(batches) == 1:
            yield batches[0]
            return
        half = len(batches) // 2
        yield from self._disagreeing(batches[:half])
        yield from self._disagreeing(batches[half:])

    def _differing(self, records: Sequence[LoggedRecord]) -> set[str]:
        """Ids of those of ``records`` that the index lacks, or knows with other answers."""
        found: set[str] = set()
        for batch in _batches(records):
            number = batch[0].batch or 0
            there = {record.id for record in self._dataset.search(between(number, number))}
            answered = {record.id for record in self._dataset.search(ANSWERED + between(number, number))}
            pending = {record.id for record in self._dataset.search(PENDING + between(number, number))}
            found |= {
                r.id
                for r in batch
                if r.id not in there
                or _is_answered(r) != (r.id in answered)
                or self._is_pending(r) != (r.id in pending)
            }
        return found

    def _is_pending(self, record: LoggedRecord) -> bool:
        """Whether Argilla should put ``record`` before people: submitted answers of whoever it may be are missing."""
        submitted = sum(answer.status == "submitted" for answer in record.answers)
        return submitted < self._dataset.info.min_submitted


def _batches(records: Sequence[LoggedRecord]) -> list[list[LoggedRecord]]:
    """Those of ``records`` that have a batch number, batch by batch in the order of the numbers."""
    batches: dict[int, list[LoggedRecord]] = defaultdict(list)
    for record in records:
        if record.batch is not None:
            batches[record.batch].append(record)
    return [batches[number] for number in sorted(batches)]


def _is_answered(record: LoggedRecord) -> bool:
    return any(answer.is_final for answer in record.answers)
