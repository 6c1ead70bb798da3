"""Which pool records to ask about next (query strategies). Positions in, positions out."""

from __future__ import annotations

from typing import Literal

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray

Strategy = Literal["sequential", "random"]


def shuffled(positions: IndexArray, seed: int) -> IndexArray:
    """``positions`` in a random order that stays the same as records leave the pool.

    Each position draws its rank from ``seed`` and itself alone, so taking some away never reorders the rest.
    """
    if len(positions) == 0:
        return positions
    ranks = np.random.default_rng(seed).random(int(positions.max()) + 1)
    return positions[np.argsort(ranks[positions], kind="stable")]


def next_slice(left: IndexArray, size: int, *, strategy: Strategy, seed: int) -> IndexArray:
    """The ``size`` positions to take next out of those ``left`` (ascending), in the order they are taken."""
    ordered = left if strategy == "sequential" else shuffled(left, seed)
    return ordered[:size]


def diverse(embeddings: FloatArray, size: int, *, covered: FloatArray | None = None) -> IndexArray:
    """Choose rows of ``embeddings`` (n, d) that cover the space: farthest-first traversal.

    The first is the row nearest to the mean (the most ordinary text) unless something is ``covered`` already;
    each further one is the row farthest from all that is chosen or covered (the greedy 2-approximation of
    k-center, Gonzalez 1985; for active learning, Sener and Savarese 2018). Needs no model and no seed.

    Args:
        embeddings: candidates, shape (n, d), rows of unit length.
        size: how many to choose; all of them where there are fewer.
        covered: texts that people have seen already, shape (m, d).

    Returns:
        Indices into ``embeddings``, in the order they were chosen.
    """
    count = min(size, len(embeddings))
    if count == 0:
        return np.empty(0, dtype=np.int64)
    if covered is not None and len(covered):
        distance = 1.0 - (embeddings @ covered.T).max(axis=1)
        chosen = [int(np.argmax(distance))]
    else:
        distance = np.full(len(embeddings), np.inf, dtype=np.float32)
        chosen = [int(np.argmax(embeddings @ embeddings.mean(axis=0)))]
    while len(chosen) < count:
        distance = np.minimum(distance, 1.0 - embeddings @ embeddings[chosen[-1]])
        distance[chosen] = -np.inf
        chosen.append(int(np.argmax(distance)))
    return np.asarray(chosen, dtype=np.int64)
