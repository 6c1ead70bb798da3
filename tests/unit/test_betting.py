"""The betting test: false no more often than it says, at any time, against enumeration of all courses."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import log, prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.validation.betting import (
    BETS,
    FALL,
    FIRST_SHARE,
    follow,
    right_checks_needed,
    wealth,
    wrong_share_bound,
)

COURSE = 10
counts = st.tuples(st.integers(0, 60), st.integers(0, 20))


def error_over_all_courses(share: float, happened: Callable[[Sequence[bool]], bool]) -> float:
    """The probability of what ``happened`` at any time of a course, by enumeration."""
    return sum(
        prod(share if one else 1 - share for one in course)
        for course in itertools.product([True, False], repeat=COURSE)
        if any(happened(course[:n]) for n in range(1, COURSE + 1))
    )


@pytest.mark.parametrize("latched", [True, False])
@pytest.mark.parametrize(("precision", "error"), [(0.5, 0.2), (0.7, 0.3), (0.8, 0.5)])
def test_it_is_shown_falsely_no_more_often_than_allowed_at_any_time(
    precision: float, error: float, *, latched: bool
) -> None:
    """With falls in between, after which it may be shown again."""

    def shown(course: Sequence[bool]) -> bool:
        return follow(course, precision, error, fall_at=3, latched=latched).granted

    false = error_over_all_courses(precision - 1e-9, shown)
    assert error / 20 < false <= error
    assert error_over_all_courses(precision - 0.1, shown) < false


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_the_bound_lies_below_the_truth_no_more_often_than_allowed_at_any_time(share: float) -> None:
    def missed(course: Sequence[bool]) -> bool:
        return follow(course, 0.95, 0.3, fall_at=20).wrong < 1 - share

    assert error_over_all_courses(share, missed) <= 0.3


def test_the_odds_are_fair_where_exactly_the_required_precision_is_right() -> None:
    for precision, right, wrong in itertools.product((0.6, 0.95), (0, 3, 40), (0, 2, 9)):
        before = wealth(right, wrong, precision)
        after = precision * wealth(right + 1, wrong, precision) + (1 - precision) * wealth(
            right, wrong + 1, precision
        )
        assert after == pytest.approx(before)
        worse = (precision - 0.1) * wealth(right + 1, wrong, precision) + (1.1 - precision) * wealth(
            right, wrong + 1, precision
        )
        assert worse < before


def test_without_a_wrong_check_it_is_near_the_least_that_any_test_takes() -> None:
    """0.95 to the power of 59 is below 5%: no test shows 95% at 95% with fewer."""
    assert [right_checks_needed(0.95, 0.05, wrong=n) + n for n in range(4)] == [70, 127, 169, 208]
    assert [right_checks_needed(0.95, 0.05 * FIRST_SHARE, wrong=n) + n for n in range(4)] == [
        72,
        130,
        172,
        211,
    ]


@given(counts, st.sampled_from([0.8, 0.95]), st.sampled_from([0.05, 0.2]))
def test_so_many_further_right_checks_are_enough_and_one_fewer_is_not(
    made: tuple[int, int], precision: float, error: float
) -> None:
    right, wrong = made
    further = right_checks_needed(precision, error, right, wrong)
    assert wealth(right + further, wrong, precision) >= (1 - 1e-9) / error
    if further:
        assert wealth(right + further - 1, wrong, precision) < 1 / error


@given(counts, st.sampled_from([0.05, 0.2]))
def test_the_bound_is_the_smallest_share_that_the_bets_refute(made: tuple[int, int], error: float) -> None:
    right, wrong = made
    bound = wrong_share_bound(right, wrong, error)
    assert wrong / max(right + wrong, 1) <= bound <= 1
    if bound < 1:
        assert wealth(right, wrong, 1 - bound) == pytest.approx(1 / error, rel=1e-6)


@given(st.lists(st.booleans(), max_size=150))
def test_it_is_granted_exactly_while_the_bound_is_as_low_as_required(course: list[bool]) -> None:
    """What is shown of the evidence is the evidence: the bound and the decision are one computation."""
    found = follow(course, 0.8, 0.1, fall_at=10)
    if not found.stopped:
        assert found.granted == (found.wrong <= 0.2 + 1e-9)
    assert found.wrong <= found.wrong_ever
    assert not (found.granted and found.stopped)
    assert (found.missing == 0) == found.granted


def test_one_wrong_check_after_the_grant_takes_nothing_back_and_a_fall_does() -> None:
    granted = [True] * 80
    assert follow(granted, 0.95, 0.05, fall_at=20).granted
    assert follow([*granted, False], 0.95, 0.05, fall_at=20).granted
    assert not follow([*granted, False], 0.95, 0.05, fall_at=20, latched=False).granted
    needed = int(log(20) / log(FALL)) + 1
    assert follow([*granted, *[False] * (needed - 1)], 0.95, 0.05, fall_at=20).granted
    fallen = follow([*granted, *[False] * needed], 0.95, 0.05, fall_at=20)
    assert (fallen.granted, fallen.stopped, fallen.wrong) == (False, True, 1.0)
    again = right_checks_needed(0.95, 0.05 * FIRST_SHARE * (1 - FIRST_SHARE))
    assert fallen.missing == again
    course = [*granted, *[False] * needed, *[True] * again]
    assert follow(course, 0.95, 0.05, fall_at=20).granted
    assert follow(course, 0.95, 0.05, fall_at=20).wrong_ever > 0.05  # what was accepted before counts
    assert not follow(course[:-1], 0.95, 0.05, fall_at=20).granted


def test_many_right_checks_do_not_hide_a_fall() -> None:
    course = [True] * 2000 + [n % 5 != 0 for n in range(60)]
    assert follow(course, 0.95, 0.05, fall_at=20).stopped
    assert follow([True] * 2000 + [n % 40 != 0 for n in range(400)], 0.95, 0.05, fall_at=20).granted


def test_the_bets_start_with_one_unit_and_each_is_for_the_precision() -> None:
    assert wealth(0, 0, 0.95) == pytest.approx(1)
    assert all(0 <= bet < 1 for bet in BETS)
