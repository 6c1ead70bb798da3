"""The promise: granted on evidence only, lost at once, and false no more often than it says."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.validation.bound import lower_bound
from argilla_loop.policy.validation.promise import (
    AcceptanceCriterion,
    AuditResult,
    audit_threshold,
    decide,
    decide_by_label,
    decide_for_dataset,
)

BAR = AcceptanceCriterion((0.9,), precision=0.95, confidence=0.95)
FIRST = 72  # checks that grant it if all are right
MANY = AcceptanceCriterion((0.6, 0.7, 0.8, 0.9), precision=0.8, confidence=0.9)
SMALL = AcceptanceCriterion((0.9,), precision=0.5, confidence=0.8)
COURSE = 10
COURSES = 400

checks = st.builds(
    AuditResult,
    label=st.sampled_from("AB"),
    certainty=st.sampled_from([0.65, 0.75, 0.85, 0.92, 0.97]),
    right=st.booleans(),
    above=st.sampled_from([0.0, 0.6, 0.7, 0.9]),
)


def right(n: int, certainty: float = 0.93) -> list[AuditResult]:
    return [AuditResult("A", certainty, right=True, above=0.9)] * n


WRONG = AuditResult("A", 0.93, right=False, above=0.9)


def granted_at_any_time(course: Sequence[bool], criterion: AcceptanceCriterion) -> bool:
    made = [AuditResult("A", 0.95, right=one, above=0.9) for one in course]
    return any(decide(made[:n], criterion).threshold is not None for n in range(1, len(course) + 1))


def test_it_is_falsely_granted_no_more_often_than_allowed_however_often_one_looks() -> None:
    """All courses that ten checks can take, with a true precision just below what is demanded."""
    share = 0.4999
    false = sum(
        prod(share if one else 1 - share for one in course)
        for course in itertools.product([True, False], repeat=COURSE)
        if granted_at_any_time(course, SMALL)
    )
    assert 0.03 < false <= 1 - SMALL.confidence


@pytest.mark.parametrize(("precision", "confidence"), [(0.8, 0.9), (0.9, 0.8)])
def test_over_hundreds_of_long_courses_it_is_falsely_granted_no_more_often_than_allowed(
    precision: float, confidence: float
) -> None:
    """With thresholds that move as they would: each time the checks of one look hopeless the next is tried."""
    criterion = AcceptanceCriterion((0.6, 0.7, 0.8, 0.9), precision, confidence)
    generator = np.random.default_rng(7)
    false = 0
    for _ in range(COURSES):
        made: list[AuditResult] = []
        above = 0.6
        for _ in range(12):
            made += [AuditResult("A", 0.95, bool(r), above) for r in generator.random(15) < precision - 1e-6]
            found = decide(made, criterion)
            if found.threshold is not None:
                false += 1
                break
            above = audit_threshold(
                dict.fromkeys(criterion.thresholds, 0.99), criterion, before=above, futile=found.futile
            )
    # three standard deviations of the binomial above what is allowed
    assert false / COURSES <= (1 - confidence) + 3 * ((1 - confidence) * confidence / COURSES) ** 0.5


def test_it_is_granted_after_so_many_right_ones_and_says_until_then_how_many_are_missing() -> None:
    for n in (0, 1, 50, FIRST - 1):
        found = decide(right(n), BAR)
        assert (found.threshold, found.missing, found.stopped) == (None, FIRST - n, False)
    assert decide(right(FIRST), BAR).threshold == 0.9


@given(st.lists(st.booleans(), max_size=120))
def test_as_many_right_ones_as_are_missing_are_enough_and_one_fewer_are_not(course: list[bool]) -> None:
    made = [AuditResult("A", 0.95, right=one, above=0.9) for one in course]
    found = decide(made, BAR)
    if found.threshold is None:
        assert decide(made + right(found.missing), BAR).threshold == 0.9
        assert decide(made + right(found.missing - 1), BAR).threshold is None
    else:
        assert (found.missing, found.stopped) == (0, False)
        assert found.lower >= 0.95 - 1e-9


def test_a_wrong_check_takes_nothing_back_and_a_fall_does_until_there_is_new_evidence() -> None:
    made = right(FIRST)
    assert decide([*made, WRONG], BAR).threshold == 0.9
    made += [WRONG] * 5
    lost = decide(made, BAR)
    assert (lost.threshold, lost.stopped, lost.lower) == (None, True, 0.0)
    assert lost.missing > FIRST  # less of the error is left
    assert decide(made + right(lost.missing - 1), BAR).threshold is None
    assert decide(made + right(lost.missing), BAR).threshold == 0.9
    assert not decide(made + right(lost.missing), BAR).stopped


def test_a_wrong_check_below_the_granted_threshold_takes_nothing_back() -> None:
    made = [*right(FIRST), AuditResult("A", 0.7, right=False)]
    assert decide(made, BAR).threshold == 0.9


def test_what_was_drawn_above_a_stricter_threshold_is_no_evidence_for_a_lower_one() -> None:
    criterion = AcceptanceCriterion((0.6, 0.9), precision=0.95, confidence=0.95)
    strict, wide = (
        AuditResult("A", 0.95, right=True, above=0.9),
        AuditResult("A", 0.95, right=True, above=0.6),
    )
    assert decide([strict] * 200, criterion).threshold == 0.9
    assert decide([wide, *[strict] * 200], criterion).threshold == 0.9
    assert decide([wide] * 200, criterion).threshold == 0.6


def test_checks_begin_anew_when_the_threshold_moves_and_less_error_is_left() -> None:
    criterion = AcceptanceCriterion((0.6, 0.9), precision=0.8, confidence=0.8)
    first = decide([], criterion).missing
    moved = [AuditResult("A", 0.95, right=True, above=0.6)] * (first - 1)
    strict = [AuditResult("A", 0.95, right=True, above=0.9)]
    assert decide([*moved, *moved[:1]], criterion).threshold == 0.6
    assert decide([*moved, *strict], criterion).threshold is None
    wrong = [AuditResult("A", 0.7, right=False, above=0.6)] * 40
    assert decide([*wrong, *strict * first], criterion).threshold is None
    assert decide([*wrong, *strict * 3 * first], criterion).threshold == 0.9


def test_records_held_back_count_for_every_threshold() -> None:
    assert decide([AuditResult("A", 0.95, right=True)] * FIRST, BAR).threshold == 0.9


def test_many_wrong_ones_make_a_threshold_hopeless_and_the_next_is_stricter() -> None:
    assert not decide([AuditResult("A", 0.95, right=True, above=0.6)] * 20, MANY).futile
    found = decide([AuditResult("A", 0.95, right=n % 2 == 0, above=0.6) for n in range(40)], MANY)
    assert found.futile
    sure = dict.fromkeys(MANY.thresholds, 0.99)
    assert audit_threshold(sure, MANY, before=0.6) == 0.6
    assert audit_threshold(sure, MANY, before=0.6, futile=True) == 0.7
    assert audit_threshold(sure, MANY, before=0.9, futile=True) == 0.9


def test_a_shift_stops_it_though_all_checks_together_still_speak_for_it() -> None:
    made = right(600)
    for _ in range(6):
        made += [WRONG, *right(3)]
    found = decide(made, BAR)
    assert found.threshold is None
    assert found.stopped
    assert lower_bound(found.right, found.checked, 0.05) > 0.95
    assert decide(made + right(found.missing), BAR).threshold == 0.9
    assert decide(made + right(found.missing - 1), BAR).threshold is None


def test_a_wrong_one_now_and_then_is_no_shift() -> None:
    made = right(400)
    for _ in range(6):
        made += [WRONG, *right(60)]
        assert decide(made, BAR).threshold == 0.9


def test_without_a_demand_the_threshold_is_always_granted_and_its_precision_is_told() -> None:
    criterion = AcceptanceCriterion((0.9,), precision=None)
    assert decide([], criterion).threshold == 0.9
    found = decide([*right(9), WRONG], criterion)
    assert (found.threshold, found.right, found.checked) == (0.9, 9, 10)
    assert found.lower == pytest.approx(lower_bound(9, 10, 0.05))


def test_each_label_has_to_earn_its_own_and_pays_for_there_being_several() -> None:
    made = right(FIRST)
    assert decide_by_label(made, BAR, ("A", "B"), "overall")["B"].threshold == 0.9
    found = decide_by_label(made, BAR, ("A", "B"), "label")
    assert (found["A"].threshold, found["B"].threshold) == (None, None)
    enough = decide_by_label(made + right(found["A"].missing), BAR, ("A", "B"), "label")
    assert (enough["A"].threshold, enough["B"].threshold) == (0.9, None)


@given(st.lists(checks, max_size=80))
def test_what_is_found_depends_on_the_checks_alone(made: list[AuditResult]) -> None:
    criterion = AcceptanceCriterion((0.6, 0.8, 0.9), precision=0.6, confidence=0.7)
    assert decide(made, criterion) == decide(list(made), criterion)


def test_checks_are_drawn_where_the_model_takes_itself_to_be_hardly_ever_wrong_and_stay_there() -> None:
    criterion = AcceptanceCriterion((0.6, 0.8, 0.9), precision=0.9)
    assert audit_threshold({0.6: 0.95, 0.8: 0.981, 0.9: 0.99}, criterion, before=None) == 0.8
    assert audit_threshold({0.6: 0.981, 0.8: 0.985, 0.9: 0.99}, criterion, before=0.8) == 0.8
    assert audit_threshold({0.6: 0.9, 0.8: 0.95, 0.9: 0.99}, criterion, before=0.8) == 0.8  # nearly
    assert audit_threshold({0.6: 0.9, 0.8: 0.93, 0.9: 0.98}, criterion, before=0.8) == 0.9


def test_once_a_threshold_is_granted_checks_are_drawn_above_a_looser_one_and_never_a_stricter_one() -> None:
    criterion = AcceptanceCriterion((0.6, 0.8, 0.9), precision=0.9)
    sure = {0.6: 0.981, 0.8: 0.985, 0.9: 0.99}
    assert audit_threshold(sure, criterion, before=0.9, granted=0.9) == 0.6
    assert audit_threshold({**sure, 0.6: 0.9}, criterion, before=0.9, granted=0.9) == 0.8
    assert audit_threshold({**sure, 0.6: 0.9}, criterion, before=0.8, granted=0.9) == 0.8
    assert audit_threshold({0.9: 0.9}, criterion, before=0.9, granted=0.9) == 0.9
    # the looser one looks futile: nothing between the two is left
    assert audit_threshold(sure, criterion, before=0.8, granted=0.9, futile=True) == 0.9


def test_a_looser_threshold_has_the_error_of_the_granted_one_and_a_stricter_one_what_is_left() -> None:
    criterion = AcceptanceCriterion((0.6, 0.9), precision=0.95, confidence=0.95)
    strict = [AuditResult("A", 0.95, right=True, above=0.9)]
    loose = [AuditResult("A", 0.95, right=True, above=0.6)]
    first = decide([], criterion).missing
    looser = decide([*strict * first, *loose * (first - 1)], criterion)
    assert (looser.threshold, looser.further[0.6]) == (0.9, 1)
    assert decide([*strict * first, *loose * first], criterion).threshold == 0.6
    # not granted before: it is another try, which costs a part of the error
    assert decide([*strict * (first - 1), *loose * first], criterion).further[0.6] > 0


def test_where_the_model_is_sure_of_nothing_checks_are_drawn_at_the_strictest_that_has_enough_texts() -> None:
    assert (
        audit_threshold({0.6: 0.8, 0.8: 0.9}, AcceptanceCriterion((0.6, 0.8, 0.9), 0.95), before=None) == 0.8
    )
    assert audit_threshold({}, AcceptanceCriterion((0.6, 0.8, 0.9), 0.95), before=None) == 0.9
    assert audit_threshold({}, AcceptanceCriterion((0.9,), None), before=None) == 0.9


def test_of_labels_as_many_are_granted_as_are_shown_at_their_share_of_the_error() -> None:
    """With two of two shown, each takes no more checks than a promise for all labels does."""
    both = [*right(FIRST), *(AuditResult("B", 0.93, right=True, above=0.9) for _ in range(FIRST))]
    found = decide_by_label(both, BAR, ("A", "B"), "label")
    assert {one.threshold for one in found.values()} == {0.9}
    fewer = decide_by_label(both[:-1], BAR, ("A", "B"), "label")
    assert {one.threshold for one in fewer.values()} == {None}
    assert fewer["B"].missing > 1  # alone it has to be shown at half of the error


def test_the_dataset_keeps_its_promise_whatever_the_wrong_share_is_within_the_bound() -> None:
    """As much is accepted as the bound allows beside the people's labels, and one record more is too many."""
    made = [AuditResult("A", 0.93, right=n % 10 != 9, above=0.9) for n in range(100)]
    criterion = AcceptanceCriterion((0.6, 0.9), precision=0.95, confidence=0.95)
    found = decide_for_dataset(made, criterion, 150, {})
    assert found.threshold == 0.9
    worst = found.wrong[0.9]
    assert 0.1 < worst < 0.3
    most = found.room
    assert most * worst <= 0.05 * (150 + most) < (most + 1) * worst - 0.05
    later = decide_for_dataset(made, criterion, 150, {0.9: 10})
    assert later.room == most - 10
    # what was accepted above a threshold that nobody checked may all be wrong
    spent = decide_for_dataset(made, criterion, 150, {0.6: 5})
    assert spent.room < most - 5
    assert decide_for_dataset(made, criterion, 150, {0.9: int(most)}).threshold is None


def test_the_dataset_promise_sets_no_limit_once_the_precision_is_shown() -> None:
    criterion = AcceptanceCriterion((0.9,), precision=0.95, confidence=0.95)
    found = decide_for_dataset(right(FIRST), criterion, 10, {0.9: 10_000})
    assert found == replace(decide(right(FIRST), criterion), covered=10_010)
    assert decide_for_dataset([], criterion, 10, {}).threshold is None


def test_the_dataset_promise_covers_no_label_once_the_checks_do_not_support_what_was_accepted() -> None:
    criterion = AcceptanceCriterion((0.9,), precision=0.95, confidence=0.95)
    fallen = [*right(FIRST), *[WRONG] * 5]
    assert decide_for_dataset(fallen, criterion, 10, {0.9: 10_000}).covered == 0
    assert decide_for_dataset(fallen, criterion, 10_000, {0.9: 10}).covered == 10_010
    # nobody checked what was accepted above another threshold
    assert decide_for_dataset(right(FIRST), criterion, 10, {0.9: 100, 0.6: 50}).covered == 0


def test_a_second_try_below_a_granted_threshold_costs_error_as_the_first_was_not_granted() -> None:
    """Of the thresholds that were not shown only one may have the error of the granted one."""
    criterion = AcceptanceCriterion((0.6, 0.8, 0.9), precision=0.95, confidence=0.95)
    first = decide([], criterion).missing
    strict = [AuditResult("A", 0.97, right=True, above=0.9)] * first
    loose = [AuditResult("A", 0.7, right=n % 2 == 0, above=0.6) for n in range(20)]
    between = [AuditResult("A", 0.97, right=True, above=0.8)]
    assert decide([*strict, *between * first], criterion).threshold == 0.8
    assert decide([*strict, *loose, *between * first], criterion).threshold == 0.9
    assert decide([*strict, *loose, *between * 2 * first], criterion).threshold == 0.8
