"""What is kept of a dataset is what a whole read would give, at the next observation or soon after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.observer import PAGE, PASS_SECONDS, REST, Observer
from argilla_loop.argilla.protocol import Page
from argilla_loop.domain import LoggedRecord, NewRecord, Route

WHOLE = 5


class Counting(MemoryDataset):
    """Counts the records that are read, and how often all of them are."""

    def __init__(self) -> None:
        super().__init__(("a", "b"))
        self.scans = self.read = 0

    def scan(self) -> Iterator[LoggedRecord]:
        self.scans += 1
        return super().scan()

    def page(self, offset: int, limit: int) -> Page:
        page = super().page(offset, limit)
        self.read += len(page.records)
        return page


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def log(dataset: MemoryDataset, number: int, size: int = 10) -> None:
    dataset.log([NewRecord(f"{number}-{n}", f"text {number} {n}", number, Route.ASK) for n in range(size)])


@pytest.fixture
def dataset() -> Counting:
    made = Counting()
    for number in range(100):
        log(made, number)
    return made


def test_only_the_end_is_read_of_a_large_dataset(dataset: Counting) -> None:
    observer = Observer(dataset, whole=WHOLE)
    observer.observe()
    dataset.answer("99-3", "a")
    log(dataset, 100)
    dataset.answer("100-0", "b")
    dataset.scans = dataset.read = 0
    assert observer.observe() == list(MemoryDataset.scan(dataset))
    assert dataset.scans == 0
    assert dataset.read < 50


@pytest.mark.parametrize("gone", ["0-0", "50-5", "99-9"])
def test_a_deleted_record_is_gone_at_the_next_observation(dataset: Counting, gone: str) -> None:
    observer = Observer(dataset, whole=WHOLE)
    observer.observe()
    dataset.delete(gone)
    assert observer.observe() == list(MemoryDataset.scan(dataset))


def test_a_deleted_record_does_not_hide_behind_a_new_one(dataset: Counting) -> None:
    """The total is what it was."""
    observer = Observer(dataset, whole=WHOLE)
    observer.observe()
    dataset.delete("3-3")
    log(dataset, 100, size=1)
    assert observer.observe() == list(MemoryDataset.scan(dataset))


def test_a_small_dataset_is_read_whole(dataset: Counting) -> None:
    observer = Observer(dataset, whole=2000)
    observer.observe()
    dataset.answer("0-0", "a")
    assert observer.observe() == list(MemoryDataset.scan(dataset))


def test_a_look_reads_the_end_of_a_small_dataset_too(dataset: Counting) -> None:
    observer = Observer(dataset, whole=2000)
    observer.observe()
    dataset.answer("99-0", "a")
    dataset.scans = dataset.read = 0
    assert observer.look() == list(MemoryDataset.scan(dataset))
    assert dataset.scans == 0
    assert dataset.read < 50


def test_what_the_process_itself_changed_is_seen_at_once(dataset: Counting) -> None:
    observer = Observer(dataset, whole=WHOLE)
    observer.observe()
    dataset.return_to_queue([NewRecord("0-0", "text 0 0", 0, Route.AUDIT, "a", 0.9, "m", 0.8)])
    assert observer.observe() == list(MemoryDataset.scan(dataset))


def test_a_changed_answer_far_back_is_seen_after_one_pass(dataset: Counting) -> None:
    clock = Clock()
    observer = Observer(dataset, whole=WHOLE, clock=clock)
    observer.observe()
    dataset.answer("0-0", "a")
    for _ in range(1000 // PAGE):
        observer.read_again(dataset.revision())
        clock.now += 1
    dataset.scans = 0
    assert observer.observe() == list(MemoryDataset.scan(dataset))
    assert dataset.scans == 0


def test_where_nothing_moves_nothing_is_read_again_until_the_time_is_over(dataset: Counting) -> None:
    clock = Clock()
    observer = Observer(dataset, whole=WHOLE, clock=clock)
    observer.observe()
    for _ in range(1000 // PAGE):
        observer.read_again("as before")
    dataset.read = 0
    observer.read_again("as before")
    assert dataset.read == 0
    dataset._records["0-0"] = replace(dataset._records["0-0"], text="edited, and no time tells")
    clock.now += PASS_SECONDS
    for _ in range(1000 // PAGE):
        observer.read_again("as before")
    assert observer.records == list(MemoryDataset.scan(dataset))


def test_argilla_has_its_rest(dataset: Counting) -> None:
    """After a page that took a second none is read for as long as it says."""
    clock = Clock()
    slow = dataset.page

    def page(offset: int, limit: int) -> Page:
        clock.now += 1.0
        return slow(offset, limit)

    dataset.page = page  # type: ignore[method-assign]  # a server that takes its time
    observer = Observer(dataset, whole=WHOLE, clock=clock)
    observer.observe()
    dataset.read = 0
    for _ in range(3):
        observer.read_again("moved")
    assert dataset.read == PAGE
    clock.now += REST
    observer.read_again("moved")
    assert dataset.read == 2 * PAGE


EVENTS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["answer", "withdraw", "delete", "edit"]), st.integers(0, 10**6)),
        st.tuples(st.sampled_from(["log", "observe", "read on"]), st.just(0)),
    ),
    max_size=60,
)


def happen(dataset: MemoryDataset, event: str, one: str) -> None:
    """What people and scripts do to a record."""
    if event == "answer":
        dataset.answer(one, "a")
    elif event == "withdraw":
        dataset.withdraw(one, user_id="annotator")
    elif event == "delete":
        dataset.delete(one)
    else:
        dataset._records[one] = replace(dataset._records[one], route=Route.AUDIT)


@given(events=EVENTS)
def test_after_a_whole_pass_nothing_differs_whatever_happened(events: list[tuple[str, int]]) -> None:
    dataset, clock = Counting(), Clock()
    for number in range(3):
        log(dataset, number)
    observer = Observer(dataset, whole=WHOLE, clock=clock)
    next_number = 3
    for event, number in events:
        clock.now += 1
        if event == "log":
            log(dataset, next_number)
            next_number += 1
        elif event == "observe":
            seen, real = observer.observe(), list(MemoryDataset.scan(dataset))
            assert [record.id for record in seen] == [record.id for record in real]
            assert seen[-10:] == real[-10:]
        elif event == "read on":
            observer.read_again(dataset.revision())
        elif dataset._records:
            happen(dataset, event, list(dataset._records)[number % len(dataset._records)])
    observer.observe()
    clock.now += PASS_SECONDS
    for _ in range(len(dataset._records) // PAGE + 2):
        observer.read_again(dataset.revision())
        clock.now += PASS_SECONDS
    assert observer.observe() == list(MemoryDataset.scan(dataset))
