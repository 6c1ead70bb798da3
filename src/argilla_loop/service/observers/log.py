"""Structured log events for one turn, one event a step, in the order of Argilla's tutorial.

The events are: the batch is done, examples are collected, the classifier is trained, the next slice is scored, the
next batch is logged.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import structlog

from argilla_loop.domain import Model, Origin, Route
from argilla_loop.loop.turn import Turn
from argilla_loop.observability.heartbeat import heartbeat
from argilla_loop.policy.estimate.outlook import headline
from argilla_loop.policy.plan import Finished, NextBatch, Step, Stopped, Wait
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.service.http.monitor import Monitor

log = structlog.get_logger(__name__)


class TurnLog:
    """Called after every turn; logs the ones that are new, as an idle service looks again and again."""

    def __init__(self) -> None:
        self._logged: Step | None = None

    def __call__(self, turn: Turn) -> None:
        """Log ``turn`` if it logged records or its step is another than the last one."""
        if turn.records or turn.step != self._logged:
            log_turn(turn)
        self._logged = turn.step


class StatusLine:
    """Called after every turn; shows the state in one line.

    Args:
        monitor: serves it as ``/healthz``.
    """

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor

    def __call__(self, turn: Turn) -> None:
        """Show the state after ``turn``."""
        self._monitor.status = status_line(turn)
        heartbeat.beat(self._monitor.status)


def log_turn(turn: Turn) -> None:
    """Log ``turn``: numbers, and durations in seconds, never a text."""
    step, seen, seconds, acceptance = turn.step, turn.seen, turn.seconds, turn.plan.acceptance
    if isinstance(step, Wait):
        batch = step.batch
        log.info("waiting_for_answers", batch=batch.number, size=batch.size, done=batch.done)
        return

    if seen.batch is not None:
        log.info("batch_done", batch=seen.batch.number, size=seen.batch.size)
    origins = Counter(example.origin for example in seen.examples)
    log.info(
        "examples_collected",
        human=origins[Origin.HUMAN],
        model=origins[Origin.MODEL],
        pool_left=seen.pool_left,
        seconds=seconds.get("observe"),
    )
    if isinstance(step, Stopped):
        log.info("labelling_stopped", reason=step.reason, now="watching for new texts and changed answers")
        return
    if isinstance(step, Finished):
        lacking = dict(acceptance.missing) or None
        log.info("pool_exhausted", missing_examples=lacking, now="watching for new texts and changed answers")
        return

    if turn.model is not None:
        log.info(
            "classifier_trained",
            model=turn.model.version,
            **_evidence(turn.model),
            seconds=seconds.get("train"),
        )
        certainties = [record.certainty or 0.0 for record in turn.records]
        log.info(
            "slice_scored",
            records=len(certainties),
            mean_certainty=round(sum(certainties) / max(len(certainties), 1), 3),
            seconds=round(
                seconds.get("score", 0.0) + seconds.get("choose", 0.0) + seconds.get("decide", 0.0), 3
            ),
        )
    else:
        start = next((record.model for record in turn.records if record.model), None)
        log.info(
            "typical_batch_chosen" if start is None else "start_batch_chosen",
            **({} if start is None else {"model": start}),
            records=len(turn.records),
            missing_examples=dict(acceptance.missing),
            seconds=seconds.get("choose"),
        )
    if turn.held_back is not None:
        right, everything = turn.held_back
        log.info("held_back_measured", right=right, records=everything, accuracy=round(right / everything, 3))
    routes = Counter("held_back" if record.held_back else record.route for record in turn.records)
    log.info(
        "batch_logged",
        batch=step.number,
        records=len(turn.records),
        asked=routes[Route.ASK],
        accepted=routes[Route.ACCEPT],
        audited=routes[Route.AUDIT],
        held_back=routes["held_back"],
        **(_accepting(acceptance) if isinstance(step, NextBatch) and turn.model is not None else {}),
        seconds=seconds.get("log"),
    )
    if turn.outlook is not None:
        log.info("outlook", headline=headline(turn.outlook), can_stop=turn.outlook.can_stop)


def status_line(turn: Turn) -> str:
    """Return the state after ``turn`` in one line for systemd and ``/healthz``, with numbers only."""
    step, seen = turn.step, turn.seen
    if isinstance(step, Wait):
        how = f"batch {step.batch.number}: {step.batch.done} of {step.batch.size} done"
    elif isinstance(step, Finished):
        how = "pool exhausted"
    elif isinstance(step, Stopped):
        how = "stopped, as asked for"
    else:
        how = f"batch {step.number} logged" if turn.records else "nothing to log"
    where = f"{how}; {len(seen.examples)} examples, {seen.pool_left - len(turn.records)} texts left"
    return f"{where}; {headline(turn.outlook)}" if turn.outlook is not None else where


def _accepting(now: Acceptance) -> dict[str, Any]:
    """Return above which certainty records are accepted and the evidence for it, or what accepting waits for."""
    if now.missing:
        return {"accepting_waits_for": dict(now.missing)}
    if not now.decisions:
        return {}
    below_accept_minimum = (
        {"labels_with_few_examples": len(now.below_accept_minimum)} if now.below_accept_minimum else {}
    )
    different = set(now.decisions.values())
    if len(different) > 1:  # each label has its own
        waiting = [decision for decision in now.decisions.values() if decision.threshold is None]
        return {
            "labels_granted": len(now.decisions) - len(waiting),
            "labels_stopped": sum(decision.stopped for decision in waiting),
            "checks_missing": min((decision.missing for decision in waiting), default=0),
            **below_accept_minimum,
        }
    decision = different.pop()
    return {
        "accepting_above": decision.threshold,
        "checked": decision.checked,
        "right": decision.right,
        "precision_at_least": round(decision.lower, 3),
        "checks_missing": decision.missing,
        **({"may_accept": int(decision.room)} if decision.room < math.inf else {}),
        **({"stopped": True} if decision.stopped else {}),
        **below_accept_minimum,
    }


def _evidence(model: Model) -> dict[str, float | str | None]:
    """Return the cross-validation results of the chosen head, and the accuracy of the others."""
    if not model.evidence:
        return {}
    chosen, *others = model.evidence
    return {
        "held_out": chosen.examples,
        "accuracy": round(chosen.accuracy, 3),
        "log_loss": round(chosen.log_loss, 3),
        "calibration_error": round(chosen.calibration_error, 3),
        "precision_when_certain": None if chosen.precision is None else round(chosen.precision, 3),
        "coverage_when_certain": round(chosen.coverage, 3),
        "other_heads": " ".join(f"{one.head}:{one.accuracy:.3f}/{one.log_loss:.3f}" for one in others),
    }
