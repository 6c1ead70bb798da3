"""The log tells what became of a batch, in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from structlog.testing import capture_logs
from worlds import CentroidLearner

from argilla_loop.domain import Example, NewRecord, Route
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.observation import Observation
from argilla_loop.policy.plan import NextBatch, Plan
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision
from argilla_loop.service.observers.log import log_turn

MODEL = CentroidLearner().fit([Example("a", "x y", "A"), Example("b", "z", "B")])
SEEN = Observation(None, [], ("A", "B"), 5)
OUTLOOK = Outlook(10, 0, 5, Estimate(0.9, 0.8, 1.0, 12), Estimate(0.9, 0.8, 1.0, 12))
TEXT = "a text that nobody may read in a log"


def accepting(**found: Any) -> Acceptance:
    return Acceptance(Rules(), ("A", "B"), **found)


def record(number: int, route: Route, *, held_back: bool = False) -> NewRecord:
    return NewRecord(f"r{number}", TEXT, 3, route, "A", 0.9, MODEL.version, held_back=held_back)


def events(acceptance: Acceptance, held_back: tuple[int, int] | None = None) -> dict[str, Mapping[str, Any]]:
    records = [
        record(0, Route.ASK),
        record(1, Route.ASK),
        record(2, Route.ASK, held_back=True),
        record(3, Route.AUDIT),
        record(4, Route.ACCEPT),
    ]
    with capture_logs() as logs:
        log_turn(
            Turn(
                Plan(SEEN, NextBatch(3, 5), acceptance),
                records,
                MODEL,
                OUTLOOK if held_back is None else replace(OUTLOOK, held_back=held_back),
            )
        )
    assert TEXT not in repr(logs)
    return {entry["event"]: entry for entry in logs}


def test_a_batch_is_told_by_route_with_what_is_accepted_and_on_what_evidence() -> None:
    decision = AcceptanceDecision(0.8, checked=146, right=144, lower=0.9573)
    logged = events(accepting(decisions={"A": decision, "B": decision}))["batch_logged"]
    assert {key: logged[key] for key in ("asked", "accepted", "audited", "held_back")} == {
        "asked": 2, "accepted": 1, "audited": 1, "held_back": 1,
    }  # fmt: skip
    assert (logged["accepting_above"], logged["checked"], logged["right"]) == (0.8, 146, 144)
    assert logged["precision_at_least"] == 0.957
    assert "stopped" not in logged


def test_it_tells_what_is_missing_and_a_stop() -> None:
    decision = AcceptanceDecision(None, 50, 40, 0.7, missing=38, stopped=True)
    logged = events(accepting(below_accept_minimum={"B": 2}, decisions={"A": decision, "B": decision}))[
        "batch_logged"
    ]
    assert (logged["accepting_above"], logged["checks_missing"], logged["stopped"]) == (None, 38, True)
    assert logged["labels_with_few_examples"] == 1
    waits = events(accepting(missing={"B": 2}, decisions={"A": decision}))["batch_logged"]
    assert waits["accepting_waits_for"] == {"B": 2}


def test_with_a_promise_for_each_label_labels_are_counted() -> None:
    decisions = {
        "A": AcceptanceDecision(0.8, 30, 30, 0.9),
        "B": AcceptanceDecision(None, 3, 3, missing=20),
        "C": AcceptanceDecision(None, stopped=True, missing=9),
    }
    logged = events(accepting(decisions=decisions))["batch_logged"]
    assert (logged["labels_granted"], logged["labels_stopped"], logged["checks_missing"]) == (1, 1, 9)


def test_what_is_held_back_is_told_where_it_was_measured() -> None:
    assert "held_back_measured" not in events(accepting())
    told = events(accepting(), (27, 30))["held_back_measured"]
    assert (told["right"], told["records"], told["accuracy"]) == (27, 30, 0.9)
