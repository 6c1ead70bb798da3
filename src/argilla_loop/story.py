"""What a turn did, told in the log: an event a step, in the order of Argilla's tutorial.

A batch is validated, the examples are collected, the classifier is trained, the next slice is scored, the batch is
logged with what was certain enough already validated.
"""

from __future__ import annotations

from collections import Counter

import structlog

from argilla_loop.domain import Origin, Route
from argilla_loop.loop import Turn
from argilla_loop.policy.plan import ColdStart, Finished, NextBatch, Wait

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
        log.info("classifier_trained", model=turn.model.version, seconds=seconds.get("train"))
        certainties = [record.certainty or 0.0 for record in turn.records]
        log.info(
            "slice_scored",
            records=len(certainties),
            mean_certainty=round(sum(certainties) / len(certainties), 3),
            seconds=seconds.get("score"),
        )
    elif isinstance(step, (ColdStart, NextBatch)):
        missing = dict(step.missing) if isinstance(step, ColdStart) else {}
        log.info(
            "diverse_batch_chosen",
            records=len(turn.records),
            missing_examples=missing,
            seconds=seconds.get("choose"),
        )
    routes = Counter(record.route for record in turn.records)
    log.info(
        "batch_logged",
        batch=step.number,
        records=len(turn.records),
        asked=routes[Route.ASK],
        accepted=routes[Route.ACCEPT],
        seconds=seconds.get("log"),
    )
