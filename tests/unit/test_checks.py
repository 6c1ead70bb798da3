"""What counts as evidence for accepting, and how audits are drawn."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from adjudicated import read_all
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.validation.checks import checks_from, held_back_answers, is_audited
from argilla_loop.policy.validation.promise import AuditResult

BOT = "bot"
_ids = itertools.count()


def logged(
    route: Route,
    *people: str | None,
    batch: int = 0,
    held_back: bool = False,
    accepted: bool = False,
    predicted: str | None = "A",
) -> LoggedRecord:
    """A record that each of ``people`` labelled so (``None``: discarded)."""
    answers = [
        Answer(f"u{n}", "submitted" if label else "discarded", label, f"2026-01-01T00:00:{n:02d}")
        for n, label in enumerate(people)
    ]
    if accepted:
        answers.append(Answer(BOT, "submitted", "A", "2026-01-01"))
    shown = None if route is Route.AUDIT or held_back else predicted
    return LoggedRecord(
        f"r{next(_ids)}", "a text", batch=batch, route=route, certainty=0.95, model="m-1", suggestion=shown,
        prediction=predicted, threshold=0.9, held_back=held_back, answers=tuple(answers),
    )  # fmt: skip


def found(*records: LoggedRecord, min_submitted: int = 1) -> list[AuditResult]:
    return checks_from(read_all(records, BOT, min_submitted=min_submitted))


def test_an_audit_is_right_where_people_say_the_same_and_a_discard_is_not() -> None:
    assert found(logged(Route.AUDIT, "A")) == [AuditResult("A", 0.95, right=True, above=0.9)]
    assert [c.right for c in found(logged(Route.AUDIT, "B"), logged(Route.AUDIT, None))] == [False, False]


def test_what_is_held_back_counts_for_every_threshold() -> None:
    (check,) = found(logged(Route.ASK, "A", held_back=True))
    assert (check.right, check.above) == (True, 0.0)


@pytest.mark.parametrize(
    "record",
    [
        logged(Route.AUDIT),
        logged(Route.ASK, "A"),  # they saw the suggestion
        logged(Route.ACCEPT, accepted=True),
        logged(Route.ACCEPT, "A", accepted=True),  # whoever looks at it was not drawn by lot
        logged(Route.AUDIT, "A", predicted=None),
        logged(Route.ACCEPT, "B"),  # taken back: nothing is accepted any more
    ],
)
def test_what_is_no_evidence_is_not_counted(record: LoggedRecord) -> None:
    assert found(record) == []


def test_a_correction_of_an_accepted_record_counts_against_it() -> None:
    assert [check.right for check in found(logged(Route.ACCEPT, "B", accepted=True))] == [False]


def test_a_correction_with_the_daemons_own_account_counts_too() -> None:
    corrected = replace(logged(Route.ACCEPT), answers=(Answer(BOT, "submitted", "B", "2026-01-01"),))
    assert [check.right for check in found(corrected)] == [False]


@pytest.mark.parametrize("looks", [BOT, "standby", "u0"])
def test_the_checks_are_the_same_whoever_runs_the_service(looks: str) -> None:
    """What the model validated confirms nothing, and what corrected it still counts."""
    records = [
        replace(logged(Route.ACCEPT, *people, accepted=True, batch=n), service_user=BOT)
        for n, people in enumerate([(), ("A",), ("B",), (None,)])
    ]
    taken_back = replace(logged(Route.ACCEPT, "B", batch=4), service_user=BOT)
    checks = checks_from(read_all([*records, taken_back], looks))
    assert [check.right for check in checks] == [False, False]


def test_several_people_are_waited_for_and_where_they_tie_the_model_is_not_right() -> None:
    assert found(logged(Route.AUDIT, "A"), min_submitted=2) == []
    assert [c.right for c in found(logged(Route.AUDIT, "A", "A"), min_submitted=2)] == [True]
    assert [c.right for c in found(logged(Route.AUDIT, "A", "B"), min_submitted=2)] == [False]


@given(st.permutations(range(6)))
def test_the_order_of_batches_is_the_order_of_checks(order: list[int]) -> None:
    records = [logged(Route.AUDIT, "A" if n % 2 else "B", batch=n) for n in range(6)]
    assert [c.right for c in found(*(records[n] for n in order))] == [bool(n % 2) for n in range(6)]


def test_held_back_answers_are_given_with_their_texts() -> None:
    records = [
        logged(Route.ASK, "B", held_back=True),
        logged(Route.ASK, held_back=True),
        logged(Route.ASK, "A"),
    ]
    assert [one.label for one in held_back_answers(read_all(records, BOT))] == ["B"]


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 1.0])
def test_the_share_that_is_audited_is_the_rate(rate: float) -> None:
    drawn = sum(is_audited(f"record-{n}", "linear-0123456789ab", rate) for n in range(5000))
    assert drawn / 5000 == pytest.approx(rate, abs=0.02)


def test_the_draw_depends_on_record_and_model_alone() -> None:
    ids = [f"record-{n}" for n in range(200)]
    one, again, other = ([is_audited(i, version, 0.5) for i in ids] for version in ("m-1", "m-1", "m-2"))
    assert one == again
    assert one != other


def test_a_higher_rate_only_adds_to_what_is_audited() -> None:
    ids = [f"record-{n}" for n in range(500)]
    assert all(is_audited(i, "m", 0.5) for i in ids if is_audited(i, "m", 0.1))
