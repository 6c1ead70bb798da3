"""The plan: what the next step is, whatever is seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from adjudicated import read_all
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route
from argilla_loop.policy.observation import Batch, Observation, latest_batch
from argilla_loop.policy.plan import ColdStart, Finished, NextBatch, Step, Wait, plan
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import missing_examples

LABELS = ("A", "B")
ENOUGH = [Example(f"{label}{n}", "t", label) for label in LABELS for n in range(5)]


def see(batch: Batch | None = None, examples: list[Example] | None = None, left: int = 100) -> Observation:
    waiting = max(batch.size - batch.done, 0) if batch is not None else 0
    return Observation(batch, ENOUGH if examples is None else examples, LABELS, left, waiting=waiting)


RULES = Rules(slice_size=10, min_examples_per_label=5)


def decide(seen: Observation) -> Step:
    return plan(seen, RULES).step


def missing(seen: Observation) -> Mapping[str, int]:
    return plan(seen, RULES).acceptance.missing


def test_first_batch_is_a_cold_start_numbered_zero() -> None:
    """With no example at all, a batch as large as all the labels' minimums together comes first."""
    assert decide(see(examples=[])) == ColdStart(0, 10)
    assert missing(see(examples=[])) == {"A": 5, "B": 5}


def test_enough_examples_from_the_pool_need_no_cold_start() -> None:
    assert decide(see()) == NextBatch(0, 10)


def test_an_open_batch_waits_whatever_else_is_seen() -> None:
    batch = Batch(3, size=10, done=9)
    assert decide(see(batch)) == Wait(batch)
    assert decide(see(batch, examples=[], left=0)) == Wait(batch)


def test_a_done_batch_is_followed_by_the_next_number() -> None:
    assert decide(see(Batch(3, size=10, done=10))) == NextBatch(4, 10)


def test_a_batch_with_more_done_than_it_has_is_done() -> None:
    """An overshoot never blocks: 1.x's ``total == N`` did not fire after one."""
    assert decide(see(Batch(3, size=9, done=10))) == NextBatch(4, 10)


def test_a_batch_whose_records_were_all_deleted_is_done() -> None:
    assert decide(see(Batch(3, size=0, done=0))) == NextBatch(4, 10)


def test_last_slice_is_short() -> None:
    assert decide(see(Batch(3, 10, 10), left=4)) == NextBatch(4, 4)


def test_an_empty_pool_is_finished_and_says_what_is_missing() -> None:
    enough, none = see(Batch(3, 10, 10), left=0), see(Batch(3, 10, 10), examples=[], left=0)
    assert decide(enough) == decide(none) == Finished()
    assert (missing(enough), missing(none)) == ({}, {"A": 5, "B": 5})


def test_a_cold_start_goes_on_until_there_are_as_many_examples_as_all_labels_need() -> None:
    seen = see(Batch(0, 10, 10), examples=[e for e in ENOUGH if e.id != "B0"])
    assert decide(seen) == ColdStart(1, 10)
    assert missing(seen) == {"B": 1}


def test_a_label_below_its_minimum_does_not_hold_up_the_model_but_is_said() -> None:
    """A rare label would hold up everything; the loop accepts nothing while one is missing."""
    seen = see(Batch(0, 10, 10), examples=[*ENOUGH[:9], Example("A9", "t", "A")])
    assert decide(seen) == NextBatch(1, 10)
    assert missing(seen) == {"B": 1}


def test_a_cold_start_ends_with_fifty_examples_however_many_labels_there_are() -> None:
    labels = [f"l{n}" for n in range(200)]
    examples = [Example(f"e{n}", "t", labels[n % 30]) for n in range(49)]
    step = decide(Observation(None, examples, labels, 10_000))
    assert isinstance(step, ColdStart)
    more = [*examples, Example("last", "t", "l0")]
    assert isinstance(decide(Observation(None, more, labels, 10_000)), NextBatch)


@pytest.mark.parametrize(
    ("waiting", "left", "step"),
    [(4, 100, Wait), (3, 100, NextBatch), (0, 100, NextBatch), (3, 0, Wait), (0, 0, Finished)],
)
def test_with_refill_at_the_next_batch_follows_while_a_few_wait_but_the_end_waits_for_all(
    waiting: int, left: int, step: type[Step]
) -> None:
    seen = replace(see(Batch(3, size=10, done=10 - waiting), left=left), waiting=waiting)
    assert isinstance(plan(seen, replace(RULES, refill_at=3)).step, step)


def test_with_refill_at_what_waits_of_earlier_batches_counts_too() -> None:
    seen = replace(see(Batch(3, size=10, done=9)), waiting=4)
    assert isinstance(plan(seen, replace(RULES, refill_at=3)).step, Wait)
    finished = replace(see(Batch(3, size=10, done=10)), waiting=40)  # such as records that were put back
    assert isinstance(plan(finished, replace(RULES, refill_at=3)).step, NextBatch)


def test_no_number_of_examples_of_one_label_makes_a_model() -> None:
    examples = [Example(f"e{n}", "t", "A") for n in range(100)]
    assert decide(see(examples=examples)) == ColdStart(0, 10)
    assert missing(see(examples=examples)) == {"B": 5}


def test_model_examples_do_not_make_up_for_missing_human_ones() -> None:
    own = [Example(f"m{n}", "t", "B", Origin.MODEL) for n in range(50)]
    assert missing_examples([e for e in ENOUGH if e.label == "A"] + own, LABELS, 5) == {"B": 5}


def test_a_first_batch_is_no_larger_than_a_cold_start() -> None:
    labels = [f"l{n}" for n in range(200)]
    step = decide(Observation(None, [], labels, 10_000))
    assert isinstance(step, ColdStart)
    assert step.size == 50


@given(
    number=st.none() | st.integers(0, 10_000),
    size=st.integers(0, 500),
    done=st.integers(0, 600),
    counts=st.lists(st.integers(0, 8), min_size=2, max_size=6),
    left=st.integers(0, 10_000),
    slice_size=st.integers(1, 500),
    minimum=st.integers(2, 20),
)
def test_every_observation_has_exactly_one_right_step(
    number: int | None, size: int, done: int, counts: list[int], left: int, slice_size: int, minimum: int
) -> None:
    """Waits iff people are not done; finishes iff nothing is left; trains iff examples suffice for a model."""
    labels = [f"l{n}" for n in range(len(counts))]
    examples = [
        Example(f"{lab}{n}", "t", lab) for lab, c in zip(labels, counts, strict=True) for n in range(c)
    ]
    batch = None if number is None else Batch(number, size, done)
    rules = Rules(slice_size=slice_size, min_examples_per_label=minimum)
    waiting = max(size - done, 0)
    decided = plan(Observation(batch, examples, labels, left, waiting=waiting), rules)
    step = decided.step
    if batch is not None and done < size:
        assert step == Wait(batch)
    elif left == 0:
        assert isinstance(step, Finished)
    else:
        total, seen_labels = sum(counts), sum(count > 0 for count in counts)
        enough = total >= min(minimum * len(labels), 50) and seen_labels > 1
        assert isinstance(step, NextBatch if min(counts) >= minimum or enough else ColdStart)
        assert isinstance(step, (ColdStart, NextBatch))
        assert set(decided.acceptance.missing) == {
            label for label, count in zip(labels, counts, strict=True) if count < minimum
        }
        assert step.number == (0 if number is None else number + 1)
        assert 1 <= step.size <= min(left, 500)


def logged(record_id: str, batch: int | None, *answers: Answer) -> LoggedRecord:
    return LoggedRecord(record_id, "t", batch=batch, route=Route.ASK, answers=answers)


def test_the_latest_batch_is_that_of_the_highest_number() -> None:
    """Records without a number, and an older batch that was reopened, do not count."""
    done = Answer("u", "submitted", "A", "1")
    records = [logged("a", 0), logged("b", 2, done), logged("c", 2), logged("d", None, done)]
    assert latest_batch(read_all(records, "d", min_submitted=1)) == Batch(2, size=2, done=1)
    assert latest_batch(read_all([logged("d", None)], "d", min_submitted=1)) is None
