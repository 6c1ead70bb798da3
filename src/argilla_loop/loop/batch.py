"""Which pool texts become the next batch, and what becomes of each: scoring, choosing, accepting."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import (
    FloatArray,
    HalfArray,
    IndexArray,
    Model,
    NewRecord,
    Pool,
    PoolSample,
    Route,
    Vectors,
)
from argilla_loop.policy.plan import ColdStart, NextBatch
from argilla_loop.policy.query import Strategy, choose, shuffled
from argilla_loop.policy.rules import AUDITED_SHARE, Rules
from argilla_loop.policy.validation.certainty import Levels, best, levels, mean_above
from argilla_loop.policy.validation.checks import is_audited
from argilla_loop.policy.validation.promise import audit_threshold

FIRST = 2000  # texts of a pool that a turn waits for; of a larger one the others come as they are embedded
SAMPLES = (4000, FIRST)  # of the pool, for the learner: the larger one as soon as it is embedded
BLOCK = 8192  # rows scored at a time


class Selection:
    """Chooses from the pool by its embeddings.

    Args:
        vectors: of the pool.
        rules: strategy, threshold and sizes.
    """

    def __init__(self, vectors: Vectors, rules: Rules) -> None:
        self._vectors, self._rules = vectors, rules

    def sample(self, pool: Pool) -> PoolSample:
        """What the learner sees of ``pool``: the same texts whatever is labelled by now."""
        ready = self._vectors.ready(pool, at_least=FIRST)
        for size in SAMPLES:
            positions = self._vectors.prefix(size)
            if np.isin(positions, ready, assume_unique=True).all():
                break
        rows = self._vectors.rows(positions)
        return PoolSample(
            rows.astype(np.float32), hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
        )

    def cold_start_batch(self, pool: Pool, left: IndexArray, step: ColdStart | NextBatch) -> list[NewRecord]:
        """The records of a batch that no model has a say in."""
        candidates = self._candidates(pool, left)
        rows = self._vectors.rows(candidates)
        # whatever strategy comes later, a model begins best with texts that stand for many
        strategy: Strategy = "random" if self._rules.strategy == "random" else "typical"
        chosen = candidates[self._choose(strategy, pool, left, candidates, rows, None, step.size)]
        ids, texts = pool.ids(), pool.texts(chosen)
        return [
            NewRecord(ids[position], text, step.number, Route.ASK)
            for position, text in zip(chosen, texts, strict=True)
        ]

    def model_batch(self, pool: Pool, left: IndexArray, step: NextBatch, model: Model) -> list[NewRecord]:
        """The records of the next batch: those that people are asked about, and those that need not be asked about.

        Of the slice some are drawn at random to be held back, and while accepting waits for evidence some to be
        audited; the strategy takes the rest. What may be accepted is: where it is met in the slice, and beyond the
        slice ``accept_limit`` records at random; but for the share of it that is audited.
        """
        rules = self._rules
        candidates = self._candidates(pool, left)
        rows = self._vectors.rows(candidates)
        probabilities = _probabilities(model, rows)
        columns, certainties = best(probabilities)
        levels = self._levels(step, model, certainties)
        # chance: a fixed order of the pool, whatever the texts are and the model says
        order = np.searchsorted(candidates, shuffled(candidates, rules.seed))

        held_back = order[: _due(step.number, step.size * rules.evaluation_share)]
        rest = order[len(held_back) :]
        audited = rest[levels.audit_eligible(columns, certainties)[rest]]
        audited = audited[: max(round(step.size * AUDITED_SHARE), 1)]
        free = np.setdiff1d(rest, audited)
        asked = free[
            self._choose(
                rules.strategy, pool, left, candidates[free], rows[free], probabilities[free],
                max(step.size - len(held_back) - len(audited), 0),
            )
        ]  # fmt: skip
        beyond = rest[levels.acceptable(columns, certainties)[rest] & ~np.isin(rest, asked)]
        beyond = beyond[: rules.accept_limit]

        chosen = np.concatenate([asked, audited, held_back, beyond])
        by_lot = np.isin(chosen, audited)
        records = self._records(pool, candidates[chosen], by_lot, step, model, levels)
        n, m = len(asked) + len(audited), len(asked) + len(audited) + len(held_back)
        return [
            *records[:n],
            *(replace(record, route=Route.ASK, held_back=True) for record in records[n:m]),
            # embeddings at rest are rounded: what the text itself says decides
            *(record for record in records[m:] if record.route is not Route.ASK),
        ]

    def _levels(self, step: NextBatch, model: Model, certainties: NDArray[np.float64]) -> Levels:
        """Above which certainty records may be accepted; above none while any label lacks examples.

        Texts of a label that the model hardly knows would pass for other labels', and with certainty.
        """
        criterion = self._rules.criterion
        if criterion is None or step.missing:
            return levels(model.labels, {})
        worth = audit_threshold(
            mean_above(certainties, criterion.thresholds),
            criterion,
            before=step.last_audit_threshold,
            futile=all(decision.futile for decision in step.decisions.values()),
        )
        return levels(model.labels, step.decisions, closed=step.below_accept_minimum, audit_threshold=worth)

    def _records(
        self,
        pool: Pool,
        positions: IndexArray,
        by_lot: NDArray[np.bool_],
        step: NextBatch,
        model: Model,
        levels: Levels,
    ) -> list[NewRecord]:
        """Score the texts at ``positions`` themselves: what is logged depends on text and model alone.

        An undecided record is evidence only where it was drawn ``by_lot``.
        """
        texts, ids = pool.texts(positions), pool.ids()
        columns, certainties = best(model.predict_proba(texts))
        certainties = np.minimum(certainties.round(6), 1.0)
        acceptable = levels.acceptable(columns, certainties)
        audit_eligible = levels.audit_eligible(columns, certainties) & by_lot
        records = []
        for n, (position, text) in enumerate(zip(positions, texts, strict=True)):
            route = Route.ASK
            if acceptable[n]:
                audited = is_audited(ids[position], model.version, self._rules.audit_rate)
                route = Route.AUDIT if audited else Route.ACCEPT
            elif audit_eligible[n]:
                route = Route.AUDIT
            above = levels.above[columns[n]]
            in_force = levels.granted[columns[n]] or route is not Route.ASK
            records.append(
                NewRecord(
                    id=ids[position],
                    text=text,
                    batch=step.number,
                    route=route,
                    label=model.labels[columns[n]],
                    certainty=float(certainties[n]),
                    model=model.version,
                    threshold=float(above) if in_force else None,
                )
            )
        return records

    def _candidates(self, pool: Pool, left: IndexArray) -> IndexArray:
        """Positions that may be taken next, ascending: all that are left and embedded, or so many at random."""
        candidates = np.intersect1d(left, self._vectors.ready(pool, at_least=FIRST), assume_unique=True)
        if not len(candidates):
            everything = self._vectors.ready(pool, at_least=len(pool))
            candidates = np.intersect1d(left, everything, assume_unique=True)
        if len(candidates) > self._rules.candidates:
            candidates = np.sort(shuffled(candidates, self._rules.seed)[: self._rules.candidates])
        return candidates

    def _choose(
        self,
        strategy: Strategy,
        pool: Pool,
        left: IndexArray,
        candidates: IndexArray,
        rows: HalfArray,
        probabilities: FloatArray | None,
        size: int,
    ) -> IndexArray:
        taken = np.setdiff1d(self._vectors.ready(pool, at_least=FIRST), left, assume_unique=True)
        return choose(
            strategy,
            size,
            embeddings=rows,
            probabilities=probabilities,
            covered=self._vectors.rows(taken).astype(np.float32),
            positions=candidates,
            seed=self._rules.seed,
        )


def _probabilities(model: Model, rows: HalfArray) -> FloatArray:
    """Probabilities of ``rows``, shape (n, k), some thousand at a time."""
    blocks = [rows[start : start + BLOCK].astype(np.float32) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([model.score(block) for block in blocks])


def _due(number: int, each: float) -> int:
    """How many of a kind batch ``number`` has where batches have ``each`` on average."""
    return math.floor((number + 1) * each) - math.floor(number * each)
