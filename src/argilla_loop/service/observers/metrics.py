"""Metrics of one turn; ``observability.metrics`` says what each means."""

from __future__ import annotations

from collections import Counter

from argilla_loop.domain import Route
from argilla_loop.loop.turn import Turn
from argilla_loop.observability import metrics
from argilla_loop.policy.answers import count_accepted, count_labelled
from argilla_loop.policy.plan import ColdStart, Finished, NextBatch, Step, Stopped, Wait
from argilla_loop.policy.validation.acceptance import Acceptance

OUTCOMES: dict[type[Step], str] = {
    Wait: "wait",
    ColdStart: "cold_start",
    NextBatch: "next_batch",
    Finished: "finished",
    Stopped: "stopped",
}


def update_metrics(turn: Turn) -> None:
    """Update the metrics that ``turn`` changes."""
    seen, step = turn.seen, turn.step
    metrics.TURNS.labels(OUTCOMES[type(step)]).inc()
    for phase, seconds in turn.seconds.items():
        metrics.TURN_SECONDS.labels(phase).observe(seconds)
    _batch(turn)
    metrics.POOL_LEFT.set(seen.pool_left - len(turn.records))
    # clear first: a label may have been renamed, or an answer withdrawn
    metrics.EXAMPLES.clear()
    for (label, origin), count in Counter((e.label, e.origin.value) for e in seen.examples).items():
        metrics.EXAMPLES.labels(label, origin).set(count)
    kept, answered = turn.suggestions
    metrics.SUGGESTIONS.labels("kept").set(kept)
    metrics.SUGGESTIONS.labels("changed").set(answered - kept)
    right = sum(check.right for check in seen.checks)
    metrics.CHECKS.labels("right").set(right)
    metrics.CHECKS.labels("wrong").set(len(seen.checks) - right)
    metrics.LABELLED.labels("people").set(count_labelled(seen.records))
    metrics.LABELLED.labels("service").set(count_accepted(seen.records).total())
    _precision(turn.plan.acceptance)
    if isinstance(step, NextBatch):
        states = Counter(_state(turn.plan.acceptance, label) for label in seen.labels)
        for state in ("granted", "waiting", "stopped"):
            metrics.LABELS.labels(state).set(states[state])


def _batch(turn: Turn) -> None:
    batch = turn.seen.batch
    if turn.records:
        metrics.LAST_BATCH.set_to_current_time()
        metrics.BATCH_NUMBER.set(turn.seen.next_number)
        metrics.BATCH_RECORDS.set(len(turn.records))
        metrics.BATCH_DONE.set(sum(record.route is Route.ACCEPT for record in turn.records))
        for record in turn.records:
            metrics.RECORDS.labels(record.route.value).inc()
    else:
        metrics.BATCH_NUMBER.set(-1 if batch is None else batch.number)
        metrics.BATCH_RECORDS.set(batch.size if batch else 0)
        metrics.BATCH_DONE.set(batch.done if batch else 0)


def _precision(now: Acceptance) -> None:
    metrics.PRECISION.clear()  # what is not known has no value, rather than 0
    measured = [one for one in now.decisions.values() if one.checked]
    if measured:
        metrics.PRECISION.labels("measured").set(min(one.right / one.checked for one in measured))
        metrics.PRECISION.labels("lower_bound").set(min(one.lower for one in measured))
    if now.rules.criterion is not None and now.rules.criterion.precision is not None:
        metrics.PRECISION.labels("target").set(now.rules.criterion.precision)


def _state(now: Acceptance, label: str) -> str:
    decision = now.decisions.get(label)
    if decision is not None and decision.stopped:
        return "stopped"
    granted = decision is not None and decision.threshold is not None
    return "granted" if granted and not now.missing and not now.below_accept_minimum.get(label) else "waiting"
