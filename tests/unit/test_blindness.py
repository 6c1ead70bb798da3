"""Which checks lose their worth once annotators could see the model's label; pure."""

from __future__ import annotations

import pytest

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.blindness import seen_through

BEFORE, SINCE, AFTER = "2026-01-01T10:00:00", "2026-01-01T10:00:00.5", "2026-01-01T11:00:00.25"


def record(
    *answers: tuple[str, str], route: Route = Route.AUDIT, held_back: bool = False, user: str = "ann"
) -> LoggedRecord:
    """One whose model said Sports, with answers of (label, time)."""
    given = tuple(
        Answer(f"{user}{n}", "submitted", label, at) for n, (label, at) in enumerate(answers, start=1)
    )
    return LoggedRecord(
        "r", "text", 0, route, 0.9, "m", prediction="Sports", held_back=held_back, answers=given
    )


def is_seen_through(one: LoggedRecord, min_submitted: int = 1) -> bool:
    return bool(seen_through([one], SINCE, daemon_id="daemon", min_submitted=min_submitted))


def test_what_waits_and_what_was_answered_meanwhile_is() -> None:
    assert is_seen_through(record())
    assert is_seen_through(record(("Sports", AFTER)))
    assert is_seen_through(record(("Sports", SINCE)))
    assert not is_seen_through(record(("Sports", BEFORE)))


def test_who_saw_the_models_label_and_says_otherwise_still_speaks_against_it() -> None:
    assert not is_seen_through(record(("World", AFTER)))


def test_what_is_held_back_estimates_an_accuracy_so_right_and_wrong_go_alike() -> None:
    for label in ("Sports", "World"):
        held = record((label, AFTER), route=Route.ASK, held_back=True)
        assert is_seen_through(held)
    assert not is_seen_through(record(("World", BEFORE), route=Route.ASK, held_back=True))


@pytest.mark.parametrize("route", [Route.ASK, Route.ACCEPT])
def test_what_is_no_blind_check_stays_as_it_is(route: Route) -> None:
    assert not is_seen_through(record(("Sports", AFTER), route=route))


def test_a_record_that_waits_for_a_second_answer_is() -> None:
    held = record(("Sports", BEFORE), route=Route.ASK, held_back=True)
    assert is_seen_through(held, min_submitted=2)
    assert not is_seen_through(held)


def test_a_draft_is_no_answer() -> None:
    draft = Answer("ann", "draft", "World", AFTER)
    one = LoggedRecord("r", "text", 0, Route.AUDIT, prediction="Sports", answers=(draft,))
    assert is_seen_through(one)
