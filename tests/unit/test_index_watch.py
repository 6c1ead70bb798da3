"""Where index and database disagree for longer than a moment, the index is mended, and that is said."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pytest
from structlog.testing import capture_logs

from argilla_loop.argilla.index_watch import CHECK_SECONDS, LONGEST_PAUSE, WHOLE_SECONDS, IndexWatch
from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.query import Query
from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.errors import GoneError, LeaseLostError, RetryableError


class Indexed(MemoryDataset):
    """A dataset whose index lacks some records and some answers."""

    def __init__(self) -> None:
        super().__init__(("a", "b"))
        self.lacks: set[str] = set()
        self.read_only = False
        self.broken: Exception | None = None
        self.reindexed: list[str] = []
        self.fails_for: set[str] = set()
        self.fails_with: Exception | None = None
        self.requests = 0

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        if self.broken is not None:
            raise self.broken
        return (record for record in super().search(query) if record.id not in self.lacks)

    def reindex(self, ids: Collection[str]) -> None:
        self.requests += 1
        if self.fails_with is not None:
            raise self.fails_with
        if self.fails_for & set(ids):
            raise RetryableError("Argilla failed")
        self.reindexed += ids
        if not self.read_only:
            self.lacks -= set(ids)


class Watched:
    def __init__(self, batches: int = 30) -> None:
        self.dataset = Indexed()
        for number in range(batches):
            self.dataset.log([NewRecord(f"{number}-{n}", "text", number, Route.ASK) for n in range(10)])
        self.now = 0.0
        self.watch = IndexWatch(self.dataset, clock=lambda: self.now)
        self.seen = list(self.dataset.scan())

    def compare(self, seconds: float = CHECK_SECONDS) -> list[LoggedRecord]:
        self.now += seconds
        latest = max(record.batch or 0 for record in self.seen)
        return self.watch.compare([record for record in self.seen if record.batch == latest], self.seen)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_an_index_that_agrees_is_left_alone(watched: Watched) -> None:
    with capture_logs() as logs:
        for _ in range(30):
            assert watched.compare() == []
    assert watched.dataset.reindexed == []
    assert logs == []


def test_a_batch_that_the_index_lacks_is_indexed_anew_and_said(watched: Watched) -> None:
    watched.dataset.lacks = {f"29-{n}" for n in range(10)}
    with capture_logs() as logs:
        for _ in range(4):
            watched.compare()
    assert watched.dataset.lacks == set()
    assert sorted(watched.dataset.reindexed) == sorted(f"29-{n}" for n in range(10))
    assert [(one["event"], one["records"]) for one in logs] == [("index_healed", 10)]
    assert watched.watch.trouble is None


@pytest.mark.parametrize("fails_for", ["29-0", "29-4"])
def test_a_record_that_argilla_cannot_index_holds_no_other_back(watched: Watched, fails_for: str) -> None:
    watched.dataset.lacks = {f"29-{n}" for n in range(10)}
    watched.dataset.fails_for = {fails_for}
    with capture_logs() as logs:
        for _ in range(4):
            watched.compare()
    assert watched.dataset.lacks == {fails_for}
    assert {one["event"] for one in logs} == {"index_healed", "index_behind"}
    assert watched.watch.trouble is not None


def test_a_lost_lease_ends_the_repair_at_once(watched: Watched) -> None:
    """Another service writes now: nothing more is sent, one by one neither."""
    watched.dataset.lacks = {"29-0", "29-1"}
    watched.dataset.fails_with = LeaseLostError("taken over")
    watched.compare()
    with pytest.raises(LeaseLostError):
        watched.compare()
    assert watched.dataset.requests == 1


def test_what_lags_behind_for_a_moment_is_waited_for(watched: Watched) -> None:
    watched.dataset.lacks = {"29-0"}
    watched.compare()
    watched.dataset.lacks = set()
    watched.compare()
    watched.compare()
    assert watched.dataset.reindexed == []


def test_an_old_batch_that_the_index_lacks_is_found_too(watched: Watched) -> None:
    watched.dataset.lacks = {"3-1", "17-5", "17-6"}
    for _ in range(4):
        watched.compare(WHOLE_SECONDS)
    assert watched.dataset.lacks == set()
    assert set(watched.dataset.reindexed) == {"3-1", "17-5", "17-6"}


def test_the_index_is_a_hint_for_what_was_seen_too_long_ago(watched: Watched) -> None:
    """It was answered since: nothing is wrong with the index, and what is known is put right."""
    watched.dataset.answer("3-1", "a")
    fresh = [record for _ in range(3) for record in watched.compare(WHOLE_SECONDS)]
    assert [record.id for record in fresh] == ["3-1"]
    assert fresh[0].answers[0].label == "a"
    assert watched.dataset.reindexed == []


def test_an_index_that_cannot_be_mended_is_said_once_with_what_to_do(watched: Watched) -> None:
    watched.dataset.lacks, watched.dataset.read_only = {"29-0"}, True
    with capture_logs() as logs:
        for _ in range(20):
            watched.compare(LONGEST_PAUSE)
    (said,) = [one for one in logs if one["event"] == "index_behind"]
    assert "search-engine reindex" in said["then"]
    assert watched.watch.trouble is not None
    watched.dataset.read_only = False
    with capture_logs() as logs:
        for _ in range(4):
            watched.compare(LONGEST_PAUSE)
    assert [one["event"] for one in logs] == ["index_healed", "index_recovered"]
    assert watched.watch.trouble is None


def test_a_search_that_fails_is_said_once_and_holds_nothing_up(watched: Watched) -> None:
    watched.dataset.broken = RetryableError("Argilla answers 500 to the search")
    with capture_logs() as logs:
        for _ in range(5):
            assert watched.compare(LONGEST_PAUSE) == []
    assert [one["event"] for one in logs] == ["index_behind"]
    watched.dataset.broken = None
    watched.compare(LONGEST_PAUSE)
    assert watched.watch.trouble is None


@pytest.mark.parametrize("error", [GoneError("no such dataset"), LeaseLostError("another writes")])
def test_what_concerns_the_whole_service_comes_through(watched: Watched, error: Exception) -> None:
    watched.dataset.broken = error
    with pytest.raises(type(error)):
        watched.compare()


def test_it_asks_seldom(watched: Watched) -> None:
    asked = []
    count = watched.dataset.count
    watched.dataset.count = lambda query: (asked.append(query), count(query))[1]  # type: ignore[method-assign]
    watched.compare()
    first = len(asked)
    for _ in range(10):
        watched.compare(0.1)
    assert len(asked) == first
