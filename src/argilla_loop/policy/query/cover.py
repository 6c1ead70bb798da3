"""Choosing few texts that stand for many: greedy facility location, and drawing far from what is covered."""

from __future__ import annotations

import heapq

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.policy.query.duplicates import NEAR_DUPLICATE, rows_of
from argilla_loop.policy.query.order import ranks

# Texts that stand for the pool: all pairs of them are compared. 1,000 do nearly as well as 3,000 (benchmarks).
SAMPLE = 2000
CHUNK = 64  # rows of all pairs in work at a time: they stay in the processor's cache
DRAW = 1  # keeps the draw of the sample apart from the random order of the same seed


def sample(
    weights: FloatArray, positions: IndexArray, size: int, *, seed: int
) -> tuple[IndexArray, FloatArray]:
    """Draw ``size`` rows that stand for all, the heavier the likelier, and the weight that each then stands for.

    Priority sampling (Duffield, Lund and Thorup 2007): without replacement, sums over any subset are estimated
    without bias, and it is all rows with their own weights where there are no more than ``size``. The draw depends
    on ``seed`` and the pool positions, so it changes little as records leave the pool.

    Args:
        weights: shape (n,), above zero.
        positions: pool positions of the rows, shape (n,).
        size: how many to draw.
        seed: of the draw.

    Returns:
        Ascending indices and their weights, both of shape (min(size, n),).
    """
    if len(weights) <= size:
        return np.arange(len(weights), dtype=np.int64), weights
    priorities = weights / (1.0 - ranks(positions, (seed, DRAW)))
    order = np.argsort(-priorities, kind="stable")
    drawn = np.sort(order[:size])
    return drawn, np.maximum(weights[drawn], priorities[order[size]]).astype(np.float32)


def representatives(
    embeddings: FloatArray, weights: FloatArray, size: int, *, covered: FloatArray | None
) -> IndexArray:
    """Rows that together with what is ``covered`` stand best for all: greedy facility location.

    Each one taken is the row that adds most to the weighted sum, over all rows, of the cosine to the nearest text
    taken or covered: it lies where much weight is near, and far from what is there already. For unit vectors this
    is greedy k-medoids, and within 1 - 1/e of the best choice (Nemhauser, Wolsey and Fisher 1978). Gains only ever
    shrink, so only those that may still be the highest are computed anew (Minoux 1978).

    Args:
        embeddings: shape (s, d), float32, rows of unit length; all pairs are compared.
        weights: shape (s,), how much each row counts.
        size: how many to take.
        covered: shape (m, d), what need not be stood for again.

    Returns:
        Indices in the order they are taken; fewer than ``size`` where only near-duplicates of them are left.
    """
    nearest = np.maximum(similarity_to(embeddings, covered), 0.0)
    cosines = embeddings @ embeddings.T
    gains = np.zeros(len(embeddings), dtype=np.float32)
    for start in range(0, len(embeddings), CHUNK):
        rows = slice(start, start + CHUNK)
        gains += weights[rows] @ np.maximum(cosines[rows] - nearest[rows, None], 0.0)
    queue = [(-float(gain), row, 0) for row, gain in enumerate(gains)]
    heapq.heapify(queue)
    blocked = np.zeros(len(embeddings), dtype=bool)
    taken: list[int] = []
    while queue and len(taken) < size:
        _, row, round_ = heapq.heappop(queue)
        if blocked[row]:
            continue
        if round_ < len(taken):
            gain = float(weights @ np.maximum(cosines[row] - nearest, 0.0))
            heapq.heappush(queue, (-gain, row, len(taken)))
            continue
        taken.append(row)
        nearest = np.maximum(nearest, cosines[row])
        blocked |= cosines[row] > NEAR_DUPLICATE
    return np.asarray(taken, dtype=np.int64)


def spread_out(embeddings: FloatArray, size: int, *, covered: FloatArray | None, seed: int) -> IndexArray:
    """Rows far from one another and from what is ``covered``: greedy k-means++ seeding.

    The first is the row nearest to the mean unless something is covered. For each further one a few rows are drawn,
    each with a chance in proportion to its squared distance to the nearest text taken or covered, and the one that
    brings all rows nearest is taken (Arthur and Vassilvitskii 2007; as scikit-learn seeds k-means, which knows
    nothing covered). Farthest-first, which takes the farthest for certain, takes outliers.

    Args:
        embeddings: shape (s, d), float32, rows of unit length.
        size: how many to take.
        covered: shape (m, d).
        seed: of the draws.

    Returns:
        Indices in the order they are taken; fewer than ``size`` where only near-duplicates of them are left.
    """
    random = np.random.default_rng(seed)
    trials = 2 + int(np.log(max(size, 1)))
    free = np.ones(len(embeddings), dtype=bool)
    nearest = similarity_to(embeddings, covered)
    nothing_covered = covered is None or len(covered) == 0
    taken: list[int] = []
    while len(taken) < size and free.any():
        if nothing_covered and not taken:
            tried = np.array([np.argmax(embeddings @ embeddings.mean(axis=0))])
        else:
            # of unit vectors the squared distance is twice this; what is covered keeps a last, tiny chance
            reach = np.cumsum(np.where(free, np.maximum(1.0 - nearest, 1e-9), 0.0), dtype=np.float64)
            tried = np.searchsorted(reach, random.random(trials) * reach[-1], side="right")
            tried = np.minimum(tried, np.flatnonzero(free)[-1])  # a product may round up to the very end
        cosines = embeddings[tried] @ embeddings.T
        best = int(np.maximum(cosines, nearest).sum(axis=1).argmax())
        row = int(tried[best])
        taken.append(row)
        np.maximum(nearest, cosines[best], out=nearest)
        free &= cosines[best] <= NEAR_DUPLICATE
        free[row] = False
    return np.asarray(taken, dtype=np.int64)


def similarity_to(embeddings: FloatArray, covered: FloatArray | None) -> FloatArray:
    """Cosine of each row to the nearest covered text, shape (s,); -1 where nothing is covered."""
    nearest = np.full(len(embeddings), -1.0, dtype=np.float32)
    if covered is not None:
        for start in range(0, len(covered), SAMPLE):
            block = rows_of(covered, np.arange(start, min(start + SAMPLE, len(covered))))
            np.maximum(nearest, (embeddings @ block.T).max(axis=1), out=nearest)
    return nearest
