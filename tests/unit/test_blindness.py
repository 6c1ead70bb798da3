"""Which checks lose their worth once annotators could see the model's label, and in which order what follows."""

from __future__ import annotations

from typing import Any, cast

import pytest
from adjudicated import read_all
from structlog.testing import capture_logs

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.visibility import ArgillaVisibility
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.errors import RetryableError
from argilla_loop.policy.answers import AnswerRule
from argilla_loop.policy.blindness import seen_through
from argilla_loop.service.blindness import EVERY, Blindness

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
    return bool(seen_through(read_all([one], "daemon", min_submitted=min_submitted), SINCE))


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


class Properties:
    """A connection to a server where a property is visible, that may refuse to hide it."""

    def __init__(self) -> None:
        self.visible, self.refuses, self.reads = True, False, 0

    def call(self, method: str, path: str, *, where: str, json: Any = None) -> Any:
        del path, where
        if method == "GET":
            self.reads += 1
            return {"items": [self._property("prediction", visible=self.visible), self._property("mine")]}
        if self.refuses:
            raise RetryableError("Argilla answers 503")
        self.visible = json["visible_for_annotators"]
        return None

    def _property(self, name: str, *, visible: bool = True) -> dict[str, Any]:
        return {"id": name, "name": name, "updated_at": SINCE, "visible_for_annotators": visible}


def test_checks_are_made_plain_before_the_property_is_hidden_and_it_is_said_once() -> None:
    """Hiding it moves the only memory of since when it was visible."""
    server, dataset = Properties(), MemoryDataset(["Sports", "World"])
    dataset.log([NewRecord("a", "text", 0, Route.AUDIT, "Sports", 0.9, "m", 0.5)])
    blindness = Blindness(
        ArgillaVisibility(cast("Connection", server), "memory"), dataset, AnswerRule("daemon")
    )
    server.refuses = True
    with capture_logs() as logs:
        for _ in range(3):
            with pytest.raises(RetryableError):
                blindness.look()
        assert [one.route for one in dataset.scan()] == [Route.ASK]
        assert [one["event"] for one in logs] == ["metadata_visible_to_annotators"]
        server.refuses = False
        blindness.look()
    assert not server.visible
    assert [one["event"] for one in logs] == ["metadata_visible_to_annotators", "metadata_hidden_again"]


def test_looks_are_rare_and_a_turns_own_is_not_left_out() -> None:
    server, now = Properties(), [0.0]
    server.visible = False
    blindness = Blindness(
        ArgillaVisibility(cast("Connection", server), "memory"),
        MemoryDataset(["Sports", "World"]),
        AnswerRule("daemon"),
        clock=lambda: now[0],
    )
    for _ in range(3):
        blindness.look()
    assert server.reads == 1
    blindness.restore()
    assert server.reads == 2
    now[0] += EVERY
    blindness.look()
    assert server.reads == 3
