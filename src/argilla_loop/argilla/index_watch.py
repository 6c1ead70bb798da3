"""Detection and repair of records that the search index lacks although the database holds them.

Argilla stores a record first and indexes it afterwards. If the second step fails, the annotators' queue, which comes
from the index, permanently lacks records or shows answered ones. The same happens when a user is deleted: the answers
go, and the index still takes the records for completed. An upsert that changes nothing makes Argilla index a record
again with its answers. The loop decides nothing by the index; it is compared only so that annotators see every record.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from itertools import islice

import structlog

from argilla_loop.argilla.protocol import Indexed
from argilla_loop.argilla.query import Query, in_batch
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import GoneError, LeaseLostError, RetryableError
from argilla_loop.observability.metrics import INDEX_BEHIND, INDEX_HEALED

log = structlog.get_logger(__name__)

# Seconds between two comparisons. An index is up to date one second after a write (Elasticsearch's default).
CHECK_SECONDS = 5.0
# Seconds between two comparisons of all batches. Chosen, not measured.
WHOLE_SECONDS = 60.0
# Seconds between two attempts to repair an index, at most. Chosen, not measured.
LONGEST_PAUSE = 300.0
# Records repaired at a time: 1.5 s on a team's server (measured), so that the loop is not delayed.
ONE_TURN = 100
# Failures, without a success, after which no more records are tried one by one. Chosen, not measured.
HOPELESS = 3
CURE = (
    "check the disk and the logs of the search engine, then run `python -m argilla_server "
    "search-engine reindex` where Argilla's server runs (docs/deployment.md)"
)


class IndexWatch:
    """Compares index and database of one dataset. Call ``compare`` at every look; most calls do nothing.

    Args:
        dataset: the dataset.
        clock: returns seconds; for tests.
    """

    def __init__(self, dataset: Indexed, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._dataset, self._clock = dataset, clock
        self._due = self._whole_due = float("-inf")
        self._suspects: frozenset[str] = frozenset()  # differed in the last comparison
        self._tried: frozenset[str] = frozenset()  # were indexed again since
        self._failures = 0
        self.trouble: str | None = None  # one line for people; None while index and database agree

    def compare(self, recent: Sequence[LoggedRecord], records: Sequence[LoggedRecord]) -> list[LoggedRecord]:
        """Compare, and repair what has differed in two comparisons in a row.

        Args:
            recent: complete batches in which people have just worked, as the database holds them.
            records: all records of the dataset, as they were last read.

        Returns:
            Records that have changed since, as the database holds them now.

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
            # what was read may be older than the index
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
        if healed or lasting:  # earlier batches may have been affected, too
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
            self._reindex(lasting)

    def _reindex(self, ids: Collection[str]) -> None:
        """Index records again; one by one if Argilla fails, because it may fail over one of them only.

        Argilla 2.8 fails for each request with a record that somebody has discarded without ``values``, which its UI
        always sends and its API leaves to the client.
        """
        try:
            self._dataset.reindex(ids)
        except (GoneError, LeaseLostError):
            raise
        except RetryableError:
            failed, healed = 0, False
            for one in ids:
                try:
                    self._dataset.reindex([one])
                    healed = True
                except (GoneError, LeaseLostError):
                    raise
                except RetryableError:
                    failed += 1
                    if not healed and failed >= min(len(ids), HOPELESS):
                        raise

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
        """Whether the index finds as many records, answered and pending ones, as these complete batches have."""
        numbers = [record.batch for record in records if record.batch is not None]
        if not numbers:
            return True
        batches = Query(batches=(min(numbers), max(numbers)))
        answered, pending = replace(batches, answered=True), replace(batches, pending=True)
        count = self._dataset.count
        return (
            count(batches) == len(numbers)
            and count(answered) == sum(_is_answered(record) for record in records)
            and count(pending) == sum(self._is_pending(record) for record in records)
        )

    def _disagreeing(self, batches: Sequence[Sequence[LoggedRecord]]) -> Iterator[Sequence[LoggedRecord]]:
        """Yield the batches for which index and database disagree, found by halving."""
        if not batches or self._agrees([record for batch in batches for record in batch]):
            return
        if len(batches) == 1:
            yield batches[0]
            return
        half = len(batches) // 2
        yield from self._disagreeing(batches[:half])
        yield from self._disagreeing(batches[half:])

    def _differing(self, records: Sequence[LoggedRecord]) -> set[str]:
        """Return the ids of records that the index lacks, or holds with other answers."""
        found: set[str] = set()
        for batch in _batches(records):
            query = in_batch(batch[0].batch or 0)
            there = self._found(query)
            answered, pending = (
                self._found(replace(query, answered=True)),
                self._found(replace(query, pending=True)),
            )
            found |= {
                r.id
                for r in batch
                if r.id not in there
                or _is_answered(r) != (r.id in answered)
                or self._is_pending(r) != (r.id in pending)
            }
        return found

    def _found(self, query: Query) -> set[str]:
        return {record.id for record in self._dataset.search(query)}

    def _is_pending(self, record: LoggedRecord) -> bool:
        """Whether Argilla should show ``record`` to annotators: submitted answers of any user are missing."""
        submitted = sum(answer.status == "submitted" for answer in record.answers)
        return submitted < self._dataset.info.min_submitted


def _batches(records: Sequence[LoggedRecord]) -> list[list[LoggedRecord]]:
    """Return the records that have a batch number, grouped by batch in ascending order."""
    batches: dict[int, list[LoggedRecord]] = defaultdict(list)
    for record in records:
        if record.batch is not None:
            batches[record.batch].append(record)
    return [batches[number] for number in sorted(batches)]


def _is_answered(record: LoggedRecord) -> bool:
    return any(answer.is_final for answer in record.answers)
