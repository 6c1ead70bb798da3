"""Embeddings that are computed before a simulation begins, behind the interfaces of ``Encoder`` and ``Vectors``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argilla_loop.domain import Encoder, FloatArray, HalfArray, IndexArray, Pool
from argilla_loop.policy.query import shuffled


class PrecomputedEncoder:
    """``domain.Encoder`` that looks up the embeddings of a set's texts.

    Args:
        fingerprint: fingerprint of the encoder that made the embeddings.
        texts: the texts, each once.
        vectors: their embeddings, shape (n, d).
    """

    def __init__(self, fingerprint: str, texts: Sequence[str], vectors: FloatArray) -> None:
        self.fingerprint = fingerprint
        self._vectors = vectors
        self._rows = {text: row for row, text in enumerate(texts)}

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Return embeddings of shape (n, d).

        Raises:
            KeyError: a text does not belong to the set.
        """
        del progress
        return self._vectors[[self._rows[text] for text in texts]]


class PrecomputedVectors:
    """``domain.Vectors`` in memory, without the disk and the background work of ``PoolVectors``.

    Rows have the precision in which the service keeps them, so that a strategy chooses what it would choose there.
    """

    def __init__(self, encoder: Encoder, *, seed: int) -> None:
        self._encoder, self._seed = encoder, seed
        self._pool: Pool | None = None
        self._rows: HalfArray = np.empty((0, 0), dtype=np.float16)

    def follow(self, pool: Pool) -> None:
        """Compute the rows of ``pool``, unless it is the current pool."""
        if pool is not self._pool:
            self._pool = pool
            self._rows = self._encoder.encode(pool.texts(range(len(pool)))).astype(np.float16)

    def ready(self, pool: Pool, *, at_least: int) -> IndexArray:
        """Return all positions of ``pool``."""
        del at_least
        self.follow(pool)
        return np.arange(len(pool), dtype=np.int64)

    def rows(self, positions: IndexArray) -> HalfArray:
        """Return the embeddings at ``positions``: float16 of shape (n, d)."""
        return self._rows[positions]

    def prefix(self, n: int) -> IndexArray:
        """Return the first ``n`` positions in the random order of ``seed``."""
        return shuffled(np.arange(len(self._rows), dtype=np.int64), self._seed)[:n]
