"""Accepting everything that is left and certain enough, in whole batches, with a last round of audits.

Nothing is kept that Argilla does not hold. Whatever is logged already is not left any more, so the same command goes on
after an interruption. The audits are the records with the lowest draws among all that this model may accept, and they
are logged last: so an interruption changes neither their number nor which ones they are.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import IndexArray, Model, NewRecord, Pool, Route, Vectors
from argilla_loop.loop.batch import BLOCK
from argilla_loop.loop.outlook import evidence_for
from argilla_loop.loop.scoring import as_logged, score_texts
from argilla_loop.observability.progress import progress
from argilla_loop.policy.estimate.accuracy import Estimate, estimate_accuracy
from argilla_loop.policy.matching import Match
from argilla_loop.policy.plan import Plan
from argilla_loop.policy.rules import MAX_BATCH
from argilla_loop.policy.task import Task
from argilla_loop.policy.validation.certainty import Levels
from argilla_loop.policy.validation.checks import audit_draw
from argilla_loop.policy.validation.finish import (
    LastRound,
    Wish,
    beyond_promise,
    last_round,
    open_reasons,
    routed_by,
    wanted_levels,
)

# Stored embeddings are rounded to float16, which moves a certainty by less than this; nearer to the threshold, the text
# itself is scored. Observed are differences of up to 0.003.
ROUNDING = 0.02


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be accepted.

    Attributes:
        model: that scored the rest of the pool.
        level: what may be accepted, by label.
        acceptable: positions of the texts to accept or audit, shape (n,), in a random order.
        by_label: how many of them have each predicted label.
        certainties: shape (n,), of the same texts.
        expected: estimated precision.
        last: the last round of audits, those included that this model has drawn before.
        audits: number of audits that are still to be drawn from ``acceptable``.
        open: number of texts that stay open, by the reason.
        promise: under which the texts are accepted; ``None``: without one.
    """

    model: Model
    level: Levels
    acceptable: IndexArray
    by_label: Counter[str]
    certainties: NDArray[np.float64]
    expected: Estimate
    last: LastRound
    audits: int
    open: Counter[str] = field(default_factory=Counter)
    promise: str | None = None


def propose(
    plan: Plan, pool: Pool, left: IndexArray, vectors: Vectors, model: Callable[[], Model], wish: Wish
) -> Proposal:
    """Score everything that is left.

    Args:
        plan: the decision of a turn.
        pool: the present pool.
        left: positions of its texts that are not logged yet.
        vectors: embeddings of the pool; those that are missing are waited for.
        model: trains the model.
        wish: what the operator wants to be accepted.

    Raises:
        SettingsError: nothing of that kind can be accepted, see ``wanted_levels``.
        TrainingError: the examples do not suffice for a model.
    """
    wanted_levels((), plan.acceptance, wish)  # what cannot be accepted is said before anything is embedded
    trained = model()
    vectors.ready(pool, at_least=len(pool))
    task = plan.seen.task
    level = wanted_levels(trained.labels, plan.acceptance, wish)
    columns, certainties = _scored(trained, pool, left, vectors, level, task)
    taken = level.acceptable(columns, certainties)
    reasons = open_reasons(trained.labels, columns[~taken], certainties[~taken], level, plan.acceptance, wish)
    room = math.inf if wish.min_certainty is not None else plan.acceptance.room
    if room < taken.sum():
        found = np.flatnonzero(taken)
        draws = [audit_draw(one, trained.version) for one in pool.ids_at(left[found])]
        beyond = found[
            np.argsort(draws, kind="stable")[int(room) :]
        ]  # a random part stays, as audits must be random
        taken[beyond] = False
        reasons[beyond_promise(plan.acceptance)] += len(beyond)
    acceptable, mine = left[taken], certainties[taken]
    before, audited = routed_by(plan.seen.records, trained.version)
    confidence = plan.acceptance.rules.confidence
    together = np.concatenate([before, mine])  # so that an interruption does not change the last round
    results = evidence_for(plan.seen, trained).results
    overall = estimate_accuracy(results, together, confidence=confidence)
    last = last_round(len(together), plan.acceptance, overall)
    promised = plan.acceptance.rules.promised
    return Proposal(
        trained,
        level,
        acceptable,
        Counter(trained.labels[column] for column in columns[taken].tolist()),
        mine,
        estimate_accuracy(results, mine, confidence=confidence),
        last,
        min(max(last.audits - audited, 0), len(acceptable)),
        reasons,
        str(promised) if promised and wish.min_certainty is None else None,
    )


def accept(
    dataset: WorkingDataset,
    pool: Pool,
    match: Match,
    proposal: Proposal,
    *,
    first_batch: int,
    task: Task,
    on_batch: Callable[[int, int], object] = lambda *_: None,
) -> None:
    """Log what ``proposal`` says, in whole batches; safe to kill and to repeat.

    Args:
        dataset: the working dataset.
        pool: the pool that was scored.
        match: how it goes together with the records.
        proposal: what to accept and to audit.
        first_batch: number of the next batch.
        task: the kind of question.
        on_batch: called after each batch with the number of accepted and of audited records.
    """
    ids = pool.ids_at(proposal.acceptable)
    draws = np.array([audit_draw(one, proposal.model.version) for one in ids])
    order = np.argsort(draws, kind="stable")
    audits = proposal.acceptable[order[: proposal.audits]]
    accepted = np.setdiff1d(proposal.acceptable, audits)  # in the pool's order
    groups = [
        (positions[start : start + MAX_BATCH], route)
        for positions, route in ((accepted, Route.ACCEPT), (audits, Route.AUDIT))
        for start in range(0, len(positions), MAX_BATCH)
    ]
    number = first_batch
    with progress("accepting_records", len(proposal.acceptable)) as advance:
        for positions, route in groups:
            records = _records(pool, positions, route, number, proposal, task)
            refused = set(dataset.log(match.named(records))) if records else set()
            logged = len(records) - len(refused)
            number += logged > 0
            advance(len(positions))
            on_batch(*((logged, 0) if route is Route.ACCEPT else (0, logged)))


def _scored(
    model: Model, pool: Pool, left: IndexArray, vectors: Vectors, level: Levels, task: Task
) -> tuple[IndexArray, NDArray[np.float64]]:
    """Return the predicted column and the certainty of each text that is left."""
    columns, certainties = np.empty(len(left), np.int64), np.empty(len(left))
    with progress("scoring_texts", len(left)) as advance:
        for start in range(0, len(left), BLOCK):
            block = left[start : start + BLOCK]
            scores = model.score(vectors.rows(block).astype(np.float32))
            _, found, sure = as_logged(task.predict(scores, model.labels))
            near = np.flatnonzero(np.abs(sure - level.above[found]) < ROUNDING)
            if len(near):
                _, found[near], sure[near] = score_texts(model, pool.texts(block[near]), task)
            columns[start : start + len(block)], certainties[start : start + len(block)] = found, sure
            advance(len(block))
    return columns, certainties


def _records(
    pool: Pool, positions: IndexArray, route: Route, number: int, proposal: Proposal, task: Task
) -> list[NewRecord]:
    """Score the texts at ``positions`` themselves, as a turn does; leave out those that are not acceptable then."""
    model, level = proposal.model, proposal.level
    ids, texts = pool.ids_at(positions), pool.texts(positions)
    labels, columns, certainties = score_texts(model, texts, task)
    fits: Sequence[bool] = level.acceptable(columns, certainties).tolist()
    return [
        NewRecord(
            ids[n], texts[n], number, route, labels[n], float(certainties[n]), model.version,
            float(level.above[columns[n]]), promise=proposal.promise if route is Route.ACCEPT else None,
        )
        for n in range(len(positions))
        if fits[n]
    ]  # fmt: skip
