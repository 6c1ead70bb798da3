"""What a turn did, told in the log: an event a step, in the order of Argilla's tutorial.

A batch is validated, the examples are collected, the classifier is trained, the next slice is scored, the batch is
logged with what was certain enough already validated, and with what is to be checked.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import structlog

from argilla_loop.domain import Model, Origin, Route
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.plan import Finished, NextBatch, Wait

log = structlog.get_logger(__name__)


def log_turn(turn: Turn) -> None:
    """Log ``turn``; numbers and durations in seconds, never a text."""
    step, seen, seconds = turn.step, turn.seen, turn.seconds
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
    if isinstance(step, Finished):
        lacking = dict(step.missing) or None
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
        log.info(
            "typical_batch_chosen",
            records=len(turn.records),
            missing_examples=dict(step.missing),
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
        **(_accepting(step) if isinstance(step, NextBatch) and turn.model is not None else {}),
        seconds=seconds.get("log"),
    )


def status_line(turn: Turn) -> str:
    """How it stands after ``turn``, in a line for systemd and ``/healthz``; numbers only."""
    step, seen = turn.step, turn.seen
    if isinstance(step, Wait):
        how = f"batch {step.batch.number}: {step.batch.done} of {step.batch.size} done"
    elif isinstance(step, Finished):
        how = "pool exhausted"
    else:
        how = f"batch {step.number} logged" if turn.records else "nothing to log"
    return f"{how}; {len(seen.examples)} examples, {seen.pool_left - len(turn.records)} texts left"


def _accepting(step: NextBatch) -> dict[str, Any]:
    """From which certainty on records are accepted and what checks say of them, or what that waits for."""
    if step.missing:
        return {"accepting_waits_for": dict(step.missing)}
    if not step.decisions:
        return {}
    below_accept_minimum = (
        {"labels_with_few_examples": len(step.below_accept_minimum)} if step.below_accept_minimum else {}
    )
    different = set(step.decisions.values())
    if len(different) > 1:  # each label has its own
        waiting = [decision for decision in step.decisions.values() if decision.threshold is None]
        return {
            "labels_granted": len(step.decisions) - len(waiting),
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
        **({"stopped": True} if decision.stopped else {}),
        **below_accept_minimum,
    }


def _evidence(model: Model) -> dict[str, float | str | None]:
    """What cross-validation said of the head that was chosen, and the accuracy of the others."""
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
