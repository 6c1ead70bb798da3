"""The figures of a report: hours, curves and shares, from records alone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from adjudicated import read, read_all
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.observation import observe
from argilla_loop.policy.plan import plan
from argilla_loop.policy.progress import progress
from argilla_loop.policy.report.curves import (
    MOST_DECISIONS,
    MOST_POINTS,
    latest_accuracy,
    learning_curve,
    precision_curve,
)
from argilla_loop.policy.report.effort import PAUSE, effort
from argilla_loop.policy.report.figures import Report, report_of
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.bound import lower_bound, upper_bound
from argilla_loop.policy.validation.promise import AuditResult, decide

ME = "daemon"
START = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)
LABELS = ("A", "B", "C")


def answer(label: str | None, seconds: float = 0, user: str = "ann", zone: str = "+00:00") -> Answer:
    when = (START + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()
    return Answer(user, "submitted" if label else "discarded", label, when + zone)


def record(n: int, *answers: Answer, **more: object) -> LoggedRecord:
    given = {
        "batch": 0, "route": Route.ASK, "certainty": 0.95, "model": "svm-1", "prediction": "A", "threshold": 0.9,
    }  # fmt: skip
    return LoggedRecord(f"r{n}", f"text {n}", answers=answers, **{**given, **more})  # type: ignore[arg-type]


def report(records: list[LoggedRecord], *, left: int = 0, **rules: object) -> Report:
    made = Rules(**rules)  # type: ignore[arg-type]
    read_ = read_all(records, ME)
    return report_of(
        plan(observe(read_, [], left, labels=LABELS, rules=made, min_submitted=1), made), Counter()
    )


def test_hours_leave_out_pauses_and_count_each_person_alone() -> None:
    """Two people answer in turn: gaps are those of one person, and the long one is a pause."""
    times = [("ann", 0), ("bob", 5), ("ann", 10), ("ann", 10 + PAUSE), ("ann", 11 + 2 * PAUSE), ("bob", 25)]
    found = effort([read(record(n, answer("A", s, who)), ME) for n, (who, s) in enumerate(times)])
    assert [(one.answers, one.seconds) for one in found.people] == [(4, 10 + PAUSE), (2, 20)]
    assert (found.answers, found.hours) == (6, (30 + PAUSE) / 3600)
    assert found.median_seconds == 20
    assert (found.first, found.last) == ("2026-03-01", "2026-03-01")


@pytest.mark.parametrize("zone", ["", "Z", "+00:00"])
def test_times_are_read_in_every_form_and_nonsense_is_passed_over(zone: str) -> None:
    """Argilla's times have had no zone; a time that is none counts as an answer without a gap."""
    odd = Answer("ann", "submitted", "A", "yesterday")
    found = effort(
        [
            read(record(n, one), ME)
            for n, one in enumerate([answer("A", 0, zone=zone), odd, answer("A", 7, zone=zone)])
        ]
    )
    assert (found.answers, found.median_seconds) == (3, 7)


def test_nothing_is_known_of_the_time_without_two_answers() -> None:
    """One answer has no gap, so there is neither a median nor a saving."""
    assert effort([read(record(0, answer("A")), ME)]).median_seconds is None
    assert report([record(0, answer("A"))]).saved_hours is None


@given(
    st.lists(st.lists(st.tuples(st.booleans(), st.sampled_from([0.5, 1.0, 3.0])), max_size=6), max_size=60)
)
def test_the_learning_curve_uses_each_blind_answer_once(batches: list[list[tuple[bool, float]]]) -> None:
    """Points are in order, do not overlap, have all answers, and lie within their intervals."""
    records = [
        record(100 * b + n, answer("A" if right else "B"), batch=b, held_back=True, weight=weight)
        for b, batch in enumerate(batches)
        for n, (right, weight) in enumerate(batch)
    ]
    points = learning_curve(read_all(records, ME), 0, confidence=0.9)
    assert sum(one.answers for one in points) == len(records)
    assert sum(one.right for one in points) == sum(right for batch in batches for right, _ in batch)
    assert len(points) <= MOST_POINTS
    assert all(one.last < other.first for one, other in pairwise(points))
    assert all(0 <= one.low <= one.share <= one.high <= 1 for one in points)
    latest = latest_accuracy(read_all(records, ME), 0, confidence=0.9)
    assert (latest is None) == (not records)


def test_plain_draws_have_the_exact_interval() -> None:
    """With equal weights the interval is that of Clopper and Pearson."""
    records = [record(n, answer("A" if n else "B"), held_back=True) for n in range(20)]
    (point,) = learning_curve(read_all(records, ME), 0, confidence=0.95)
    assert (point.right, point.answers, point.share) == (19, 20, 0.95)
    assert (point.low, point.high) == pytest.approx((lower_bound(19, 20, 0.025), upper_bound(19, 20, 0.025)))


def test_a_text_that_stands_for_many_counts_for_many() -> None:
    """The share is weighted; ten answers of which one weighs as much as nine are worth fewer than ten."""
    records = [
        record(n, answer("B" if n else "A"), held_back=True, weight=1.0 if n else 9.0) for n in range(10)
    ]
    (point,) = learning_curve(read_all(records, ME), 0, confidence=0.95)
    assert point.share == 0.5
    assert point.low < lower_bound(5, 10, 0.025)


def test_the_curve_of_precision_ends_at_the_decision_itself() -> None:
    """What the report draws last is what ``status`` says now; many results are thinned out."""
    checks = [AuditResult("A", 0.95, n % 40 != 3, 0.9) for n in range(1000)]
    criterion = Rules(min_precision=0.9).criterion
    assert criterion is not None
    points = precision_curve(checks, criterion)
    now = decide(checks, criterion)
    last = points[-1]
    assert (last.results, last.checked, last.right, last.low) == (1000, now.checked, now.right, now.lower)
    assert last.granted == (now.threshold is not None)
    assert len(points) == MOST_DECISIONS
    assert precision_curve(checks, None) == []


def test_each_text_is_counted_once_and_labels_agree_with_status() -> None:
    """Every state there is: its sum is the number of texts, and examples are those of ``progress``."""
    mine = Answer(ME, "submitted", "A", START.isoformat())
    records = [
        record(0, answer("A")),
        record(1, answer("B"), held_back=True),
        record(2, answer(None)),
        record(3),
        record(4, mine, route=Route.ACCEPT),
        record(5, mine, answer("B"), route=Route.ACCEPT),
        record(6, answer("A"), answer("B", 1, "bob")),  # a tie
        record(7, answer("B", 2), route=Route.AUDIT),
        record(8, route=Route.ACCEPT),  # half revoked
        LoggedRecord("by hand", "somebody's", answers=(answer("C"),)),
    ]
    found = report(records, left=5)
    shares = found.shares
    assert (shares.people, shares.service, shares.discarded, shares.undecided, shares.waiting, shares.left) == (
        5, 1, 1, 1, 2, 5,
    )  # fmt: skip
    assert shares.total == len(records) + 5
    seen = progress(read_all(records, ME))
    assert {one.label: one.human for one in found.labels} == {name: seen.human[name] for name in LABELS}
    assert sum(one.service for one in found.labels) == sum(seen.model.values()) == shares.service
    assert sum(one.human + one.held_back for one in found.labels) == shares.people
    assert found.pairs == Counter({("A", "B"): 2})
    assert sum(found.pairs.values()) == seen.audited.answered + seen.held_back.answered
