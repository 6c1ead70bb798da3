"""Embeddings that are all made before a simulation begins: an encoder and a pool's embeddings that only look up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argilla_loop.domain import Encoder, FloatArray, HalfArray, IndexArray, Pool
from argilla_loop.policy.query import shuffled


class PrecomputedEncoder:
    """``domain.Encoder`` over the embeddings of all texts of a set, which are made once.

    Args:
        fingerprint: of the encoder that made them.
        texts: each once.
        vectors: theirs, shape (n, d).
    """

    def __init__(self, fingerprint: str, texts: Sequence[str], vectors: FloatArray) -> None:
        self.fingerprint = fingerprint
        self._vectors = vectors
        self._rows = {text: row for row, text in enumerate(texts)}

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Embeddings, shape (n, d).

        Raises:
            KeyError: a text is not of the set.
        """
        del progress
        return self._vectors[[self._rows[text] for text in texts]]


class PrecomputedVectors:
    """``domain.Vectors`` without the disk and the background work of ``PoolVectors``: every row is there.

    Rows have the precision that the service keeps them in, so that what is chosen is what it would choose.
    """

    def __init__(self, encoder: Encoder, *, seed: int) -> None:
        self._encoder, self._seed = encoder, seed
        self._pool: Pool | None = None
        self._rows: HalfArray = np.empty((0, 0), dtype=np.float16)

    def follow(self, pool: Pool) -> None:
        """Take ``pool``."""
        if pool is not self._pool:
            self._pool = pool
            self._rows = self._encoder.encode(pool.texts(range(len(pool)))).astype(np.float16)

    def ready(self, pool: Pool, *, at_least: int) -> IndexArray:
        """All positions of ``pool``."""
        del at_least
        self.follow(pool)
        return np.arange(len(pool), dtype=np.int64)

    def rows(self, positions: IndexArray) -> HalfArray:
        """Embeddings at ``positions``: float16 of shape (n, d)."""
        return self._rows[positions]

    def prefix(self, n: int) -> IndexArray:
        """The first ``n`` positions in the random order of ``seed``."""
        return shuffled(np.arange(len(self._rows), dtype=np.int64), self._seed)[:n]
