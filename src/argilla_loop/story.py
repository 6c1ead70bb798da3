"""What a turn did, told in the log: an event a step, in the order of Argilla's tutorial.

A batch is validated, the examples are collected, the classifier is trained, the next slice is scored, the batch is
logged with what was certain enough already validated.
"""

from __future__ import annotations

from collections import Counter

import structlog

from argilla_loop.domain import Model, Origin, Route
from argilla_loop.loop import Turn
from argilla_loop.policy.plan import Finished, Wait

log = structlog.get_logger(__name__)


def tell(turn: Turn) -> None:
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
    routes = Counter(record.route for record in turn.records)
    held_up = {"accepting_waits_for": dict(step.missing)} if turn.model is not None and step.missing else {}
    log.info(
        "batch_logged",
        batch=step.number,
        records=len(turn.records),
        asked=routes[Route.ASK],
        accepted=routes[Route.ACCEPT],
        **held_up,
        seconds=seconds.get("log"),
    )


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
