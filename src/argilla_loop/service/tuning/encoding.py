"""The learner and the embeddings in use. They change together, between two turns, and nobody has to be told."""

from __future__ import annotations

from collections.abc import Sequence

from argilla_loop.domain import Example, HalfArray, IndexArray, Model, Pool, PoolSample
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.learner import ClassyLearner, TrainedModel


class Encoding:
    """What stands on one encoder, and can be changed for what stands on another.

    It implements ``domain.Learner`` and ``domain.Vectors``. It may only be switched between two turns: what a turn
    trains and what it scores must be of one encoder.

    Args:
        learner: trains models on the encoder.
        vectors: embeddings of the pool by the same encoder.
    """

    def __init__(self, learner: ClassyLearner, vectors: PoolVectors) -> None:
        self.learner, self.pool_vectors = learner, vectors

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the encoder in use."""
        return self.learner.encoder.fingerprint

    def switch(self, learner: ClassyLearner, vectors: PoolVectors) -> None:
        """Use ``learner`` and ``vectors`` from now on, and close what was used before."""
        before = self.pool_vectors
        self.learner, self.pool_vectors = learner, vectors
        before.close()

    def fit(
        self, examples: Sequence[Example], *, pool: PoolSample | None = None, previous: str | None = None
    ) -> TrainedModel:
        """Train on ``examples``, see ``domain.Learner``."""
        return self.learner.fit(examples, pool=pool, previous=previous)

    def guess(self, labels: Sequence[str], pool: PoolSample) -> Model | None:
        """Return the model of the labels' names, see ``ClassyLearner.guess``."""
        return self.learner.guess(labels, pool)

    def follow(self, pool: Pool) -> None:
        """Begin to embed ``pool``, see ``domain.Vectors``."""
        self.pool_vectors.follow(pool)

    def ready(self, pool: Pool, *, at_least: int) -> IndexArray:
        """Return the positions that have an embedding, see ``domain.Vectors``."""
        return self.pool_vectors.ready(pool, at_least=at_least)

    def rows(self, positions: IndexArray) -> HalfArray:
        """Return embeddings, see ``domain.Vectors``."""
        return self.pool_vectors.rows(positions)

    def prefix(self, n: int) -> IndexArray:
        """Return a fixed sample of the pool, see ``domain.Vectors``."""
        return self.pool_vectors.prefix(n)
