"""Second looks: which audits are asked again, what their answers count, and why the test may ask for so much more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord, Adjudicator, AnswerRule, examples_from
from argilla_loop.policy.observation import latest_batch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.second_looks import FACTOR, due, is_due, second_look
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.granted import Promise
from argilla_loop.policy.validation.promise import AcceptanceCriterion, AuditResult, decide

RULE = AnswerRule("service")
LOOKING = Rules(target_precision=0.9, second_looks=True)


def asked(*answers: str | None, route: Route = Route.AUDIT, of: str = "r1") -> list[LoggedRecord]:
    """An audit predicted as A, with one look for each of ``answers``; ``None``: nobody has answered it yet."""
    return [
        LoggedRecord(
            of if not n else f"{of}.look{n + 1}", "text", batch=n, route=route if not n else Route.AUDIT,
            certainty=0.9, prediction="A", threshold=0.6, second_look_of=of if n else None,
            answers=() if label is None else (Answer("ann", "submitted", label, f"2026-01-0{n + 1}"),),
        )
        for n, label in enumerate(answers)
    ]  # fmt: skip


def seen(*answers: str | None) -> AdjudicatedRecord:
    (one,) = Adjudicator(RULE).adjudicate(asked(*answers))
    return one


@pytest.mark.parametrize(
    ("answers", "again", "right"),
    [
        ((None,), False, None),
        (("A",), False, True),
        (("B",), True, False),
        (("B", None), False, False),
        (("B", "B"), False, False),
        (("B", "C"), False, False),
        (("B", "A"), True, False),
        (("B", "A", None), False, False),
        (("B", "A", "A"), False, True),
        (("B", "A", "B"), False, False),
    ],
)
def test_what_contradicts_the_model_is_asked_until_a_majority_of_three_is_sure(
    *, answers: tuple[str | None, ...], again: bool, right: bool | None
) -> None:
    one = seen(*answers)
    assert is_due(one) is again
    assert [check.right for check in checks_from([one], second_looks=True)] == (
        [] if right is None else [right]
    )
    first = [] if answers[0] is None else [answers[0] == "A"]
    assert [
        check.right for check in checks_from([one])
    ] == first  # without the setting the first answer counts


def test_only_audits_are_asked_again() -> None:
    (question,) = Adjudicator(RULE).adjudicate(asked("B", route=Route.ASK))
    assert not is_due(question)
    orphan = Adjudicator(RULE).adjudicate(asked("B", "B")[1:])
    assert [is_due(one) for one in orphan] == [False]
    assert checks_from(orphan, second_looks=True) == checks_from(orphan) == []


def test_a_look_that_was_not_blind_is_no_look_and_is_not_repeated() -> None:
    first, look = asked("B", "A")
    (one,) = Adjudicator(RULE).adjudicate([first, replace(look, route=Route.ASK)])
    assert not is_due(one)
    assert [check.right for check in checks_from([one], second_looks=True)] == [False]


def test_one_text_stays_one_record_whose_label_all_answers_vote_on() -> None:
    assert [(e.id, e.label) for e in examples_from([seen("B", "A", "A")], with_model=False)] == [("r1", "A")]
    assert examples_from([seen("B", "A")], with_model=False) == []  # a tie
    assert len(seen("B", "A").answers) == 2


def test_a_batch_waits_for_its_second_looks() -> None:
    open_, done = latest_batch([seen("B", None)]), latest_batch([seen("B", "A")])
    assert open_ is not None
    assert done is not None
    assert (open_.number, open_.is_done, done.is_done) == (1, False, True)


def test_at_most_half_of_a_slice_looks_again_the_earliest_first() -> None:
    records = [one for n in range(9) for one in asked("B", of=f"r{n}")]
    chosen = due(Adjudicator(RULE).adjudicate(records[::-1]), 10)
    assert [one.record.id for one in chosen] == ["r0", "r1", "r2", "r3", "r4"]


def test_annotators_see_nothing_that_tells_a_second_look_from_an_audit() -> None:
    record = second_look(seen("B"), 7)
    assert (record.batch, record.route, record.suggestion, record.second_look_of) == (
        7,
        Route.AUDIT,
        None,
        "r1",
    )
    assert record.certainty == 0.9
    assert second_look(seen("B", "A"), 7).id != record.id


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0.01, 1)), min_size=1, max_size=8))
def test_the_checks_see_two_thirds_of_what_a_majority_of_three_calls_wrong(
    texts: list[tuple[float, float]],
) -> None:
    """Each text: how probable it is that a person contradicts the model, and how frequent the text is."""
    whole = sum(weight for _, weight in texts)
    counted = sum(w * (p * p + p * (1 - p) * p) for p, w in texts) / whole
    majority = sum(w * (p**3 + 3 * p * p * (1 - p)) for p, w in texts) / whole
    assert majority <= FACTOR * counted + 1e-12


def test_the_factor_cannot_be_smaller() -> None:
    p = 1e-6  # nearly all who contradict the model are alone with it
    assert (p**3 + 3 * p * p * (1 - p)) / (p * p + p * p * (1 - p)) == pytest.approx(FACTOR, rel=1e-5)


def test_the_test_asks_the_checks_for_as_much_more() -> None:
    plain, looking = (AcceptanceCriterion((0.6,), 0.95, 0.95, unseen) for unseen in (1.0, FACTOR))
    checks = [AuditResult("A", 0.9, right=True, above=0.6)] * 108
    assert decide(checks, plain).threshold == 0.6
    assert decide(checks, looking).missing == 1
    assert decide([*checks, checks[0]], looking).threshold == 0.6
    assert decide(checks, looking).lower < decide(checks, plain).lower


def test_the_promise_on_a_record_says_that_it_looked_twice() -> None:
    promised = LOOKING.promised
    assert promised is not None
    assert str(promised).endswith("promise overall, second looks")
    assert Promise.read(str(promised)) == promised
    assert (
        Rules(target_precision=0.9).promised
        != replace(Rules(target_precision=0.9), second_looks=True).promised
    )
