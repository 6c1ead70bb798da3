"""Which pool texts become the next batch, and what becomes of each: scoring, choosing, accepting."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

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
from argilla_loop.policy.certainty import best, route
from argilla_loop.policy.plan import ColdStart, NextBatch
from argilla_loop.policy.query import Strategy, choose, shuffled

FIRST = 2000  # texts of a pool that a turn waits for; of a larger one the others come as they are embedded
SAMPLES = (4000, FIRST)  # of the pool, for the learner: the larger one as soon as it is embedded
BLOCK = 8192  # rows scored at a time


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided; see the settings of the same names."""

    slice_size: int = 10
    accept_limit: int = 10
    min_examples_per_label: int = 5
    strategy: Strategy = "mixed"
    candidates: int = 100_000
    certainty_threshold: float | None = 0.9  # None: people see every record
    train_on_model: bool = False
    seed: int = 42


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

    def typical(self, pool: Pool, left: IndexArray, step: ColdStart | NextBatch) -> list[NewRecord]:
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

    def scored(self, pool: Pool, left: IndexArray, step: NextBatch, model: Model) -> list[NewRecord]:
        """The records of the next batch: those that the strategy asks about, and those that are certain enough.

        What is certain enough is accepted: where it is met in the slice, and beyond the slice ``accept_limit`` records
        at random. While any label lacks examples nothing is, as its texts would pass for other labels'.
        """
        candidates = self._candidates(pool, left)
        rows = self._vectors.rows(candidates)
        probabilities = _probabilities(model, rows)
        asked = self._choose(self._rules.strategy, pool, left, candidates, rows, probabilities, step.size)
        threshold = None if step.missing else self._rules.certainty_threshold
        slice_ = _records(pool, candidates[asked], step, model, threshold)
        if threshold is None:
            return slice_
        sure = probabilities.max(axis=1) > threshold
        sure[asked] = False
        drawn = shuffled(candidates[sure], self._rules.seed)[: self._rules.accept_limit]
        beyond = _records(pool, drawn, step, model, threshold)
        # embeddings at rest are rounded: what the text itself says decides
        return slice_ + [record for record in beyond if record.route is Route.ACCEPT]

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


def _records(
    pool: Pool, positions: IndexArray, step: NextBatch, model: Model, threshold: float | None
) -> list[NewRecord]:
    """Score the texts at ``positions`` themselves: what is logged depends on text and model alone."""
    texts, ids = pool.texts(positions), pool.ids()
    columns, certainties = best(model.predict_proba(texts))
    return [
        NewRecord(
            id=ids[position], text=text, batch=step.number, label=model.labels[column],
            route=route(certainty, threshold=threshold), certainty=certainty, model=model.version,
        )
        for position, text, column, certainty in zip(
            positions, texts, columns, np.minimum(certainties.round(6), 1.0).tolist(), strict=True
        )
    ]  # fmt: skip
