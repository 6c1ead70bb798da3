"""The promise: granted on evidence only, lost at once, and false no more often than it says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.bound import checks_needed, lower_bound
from argilla_loop.policy.promise import Bar, Check, verdict, verdicts, worth_checking

BAR = Bar((0.9,), precision=0.95, confidence=0.95)
FIRST = checks_needed(0.95, 0.025)
SMALL = Bar((0.9,), precision=0.5, confidence=0.8)  # looks at 4, 6, 9 and 14 checks
LOOKS = (4, 6, 9, 14)

checks = st.builds(
    Check,
    label=st.sampled_from("AB"),
    certainty=st.sampled_from([0.65, 0.75, 0.85, 0.92, 0.97]),
    right=st.booleans(),
    above=st.sampled_from([0.0, 0.6, 0.7, 0.9]),
)


def right(n: int, certainty: float = 0.93) -> list[Check]:
    return [Check("A", certainty, right=True, above=0.9)] * n


WRONG = Check("A", 0.93, right=False, above=0.9)


def ever_granted(outcomes: Sequence[bool], certainties: Sequence[float], bar: Bar, at: float) -> bool:
    """Whether threshold ``at`` or a lower one is granted at any time."""
    made = [Check("A", c, right=r) for c, r in zip(certainties, outcomes, strict=True)]
    found = (verdict(made[:n], bar).threshold for n in LOOKS)
    return any(threshold is not None and threshold <= at for threshold in found)


def probability(outcomes: Sequence[bool], shares: Sequence[float]) -> float:
    return prod(share if outcome else 1 - share for outcome, share in zip(outcomes, shares, strict=True))


def test_with_one_threshold_it_is_falsely_granted_no_more_often_than_allowed_however_often_one_looks() -> (
    None
):
    """All 2^14 courses that 14 checks can take, with a true precision just below what is demanded."""
    courses = itertools.product([True, False], repeat=14)
    false = sum(
        probability(course, [0.4999] * 14)
        for course in courses
        if ever_granted(course, [0.95] * 14, SMALL, 0.9)
    )
    assert 0 < false <= 1 - SMALL.confidence


@pytest.mark.parametrize("strict_share", [0.4999, 0.9, 1.0])
def test_with_two_thresholds_the_lower_one_is_no_more_often_falsely_granted(strict_share: float) -> None:
    """However good the strict one is, so that its share of the error is always handed on."""
    bar = Bar((0.6, 0.9), precision=0.5, confidence=0.8)
    certainties = [0.7, 0.95] * 7
    # below 0.9 so few are right that all above 0.6 together fall just short
    shares = [max(0.9998 - strict_share, 0.0), strict_share] * 7
    false = sum(
        probability(course, shares)
        for course in itertools.product([True, False], repeat=14)
        if probability(course, shares) > 0 and ever_granted(course, certainties, bar, 0.6)
    )
    assert false <= 1 - bar.confidence


def test_the_first_look_grants_at_seventy_two_right_ones_and_says_until_then_how_many_are_missing() -> None:
    assert FIRST == 72
    for n in (0, 1, 50, FIRST - 1):
        found = verdict(right(n), BAR)
        assert (found.threshold, found.missing, found.stopped) == (None, FIRST - n, False)
    assert verdict(right(FIRST), BAR).threshold == 0.9


@given(st.lists(checks, max_size=120))
def test_fewer_than_are_missing_are_never_enough(made: list[Check]) -> None:
    bar = Bar((0.6, 0.7, 0.8, 0.9), precision=0.8, confidence=0.9)
    found = verdict(made, bar)
    if found.threshold is None:
        further = [Check("A", 0.99, right=True)] * (found.missing - 1)
        assert verdict(made + further, bar).threshold is None
    else:
        assert found.missing == 0
        assert found.lower >= bar.precision  # type: ignore[operator]  # it is set above


def test_one_wrong_among_the_most_certain_does_not_outweigh_many_right_ones_below() -> None:
    bar = Bar((0.6, 0.98), precision=0.95, confidence=0.95)
    made = [Check("A", 0.99, right=True)] * 100 + [Check("A", 0.99, right=False)]
    made += [Check("A", 0.9, right=True)] * 200
    assert verdict(made, bar).threshold == 0.6


def test_a_wrong_check_takes_it_back_at_once_and_it_comes_back_with_evidence_only() -> None:
    made = [*right(FIRST), WRONG]
    lost = verdict(made, BAR)
    assert (lost.threshold, lost.stopped) == (None, True)
    assert verdict(made + right(1), BAR).threshold is None
    assert verdict(made + right(lost.missing), BAR).threshold == 0.9
    assert not verdict(made + right(lost.missing), BAR).stopped


def test_a_wrong_check_below_the_granted_threshold_takes_nothing_back() -> None:
    bar = Bar((0.6, 0.9), precision=0.95, confidence=0.95)
    made = [*right(FIRST), Check("A", 0.7, right=False)]
    assert verdict(made, bar).threshold == 0.9


def test_a_lower_threshold_is_granted_only_by_checks_that_were_drawn_above_it() -> None:
    bar = Bar((0.6, 0.9), precision=0.95, confidence=0.95)
    assert verdict([Check("A", 0.95, right=True, above=0.9)] * FIRST, bar).threshold == 0.9
    assert verdict([Check("A", 0.95, right=True, above=0.6)] * FIRST, bar).threshold == 0.6


def test_without_a_demand_the_threshold_is_always_granted_and_its_precision_is_told() -> None:
    bar = Bar((0.9,), precision=None)
    assert verdict([], bar).threshold == 0.9
    found = verdict([*right(9), WRONG], bar)
    assert (found.threshold, found.right, found.checked) == (0.9, 9, 10)
    assert found.lower == pytest.approx(lower_bound(9, 10, 0.05))


def test_each_label_has_to_earn_its_own_and_pays_for_there_being_several() -> None:
    made = right(FIRST)
    assert verdicts(made, BAR, ("A", "B"), each=False)["B"].threshold == 0.9
    found = verdicts(made, BAR, ("A", "B"), each=True)
    assert (found["A"].threshold, found["B"].threshold) == (None, None)
    enough = verdicts(made + right(found["A"].missing), BAR, ("A", "B"), each=True)
    assert (enough["A"].threshold, enough["B"].threshold) == (0.9, None)


@given(st.lists(checks, max_size=80))
def test_what_is_found_depends_on_the_checks_alone(made: list[Check]) -> None:
    bar = Bar((0.6, 0.8, 0.9), precision=0.6, confidence=0.7)
    assert verdict(made, bar) == verdict(list(made), bar)


def test_checks_are_drawn_where_the_model_takes_itself_to_be_hardly_ever_wrong_and_stay_there() -> None:
    bar = Bar((0.6, 0.8, 0.9), precision=0.9)
    assert worth_checking({0.6: 0.95, 0.8: 0.976, 0.9: 0.98}, bar, before=None) == 0.8
    assert worth_checking({0.6: 0.98, 0.8: 0.985, 0.9: 0.99}, bar, before=0.8) == 0.8
    assert worth_checking({0.6: 0.95, 0.8: 0.96, 0.9: 0.98}, bar, before=0.8) == 0.9


def test_where_the_model_is_sure_of_nothing_checks_are_drawn_at_the_strictest_that_has_enough_texts() -> None:
    assert worth_checking({0.6: 0.8, 0.8: 0.9}, Bar((0.6, 0.8, 0.9), 0.95), before=None) == 0.8
    assert worth_checking({}, Bar((0.6, 0.8, 0.9), 0.95), before=None) == 0.9
    assert worth_checking({}, Bar((0.9,), None), before=None) == 0.9
