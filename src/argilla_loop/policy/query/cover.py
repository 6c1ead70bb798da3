"""Choose few texts that represent many: greedy facility location, and k-means++ seeding."""

from __future__ import annotations

import heapq

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.policy.query.duplicates import NEAR_DUPLICATE, take_rows
from argilla_loop.policy.query.order import random_ranks

# Texts that represent the pool: all pairs of them are compared. 1,000 were nearly as good as 3,000 when the strategies
# were written; no table records it. benchmarks/strategies.md has the times.
SAMPLE = 2000
# Rows of all pairs compared at a time: they stay in the processor's cache. Chosen, not measured.
CHUNK = 64
# Keeps the draw of the sample apart from the random order of the same seed.
SAMPLE_STREAM = 1
# Weight of the squared distance of a covered text: it keeps a tiny chance of being drawn. Chosen, not measured.
MIN_DISTANCE = 1e-9


def priority_sample(
    weights: FloatArray, positions: IndexArray, size: int, *, seed: int
) -> tuple[IndexArray, FloatArray]:
    """Draw ``size`` rows, the heavier the likelier, and return them with the weight that each represents.

    Priority sampling (Duffield, Lund and Thorup 2007): without replacement, with unbiased estimates of
    sums over any subset. If there are no more than ``size`` rows, it returns all of them with their own weights. The
    draw depends on ``seed`` and the pool positions, so it changes little as records leave the pool.

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
    priorities = weights / (1.0 - random_ranks(positions, (seed, SAMPLE_STREAM)))
    order = np.argsort(-priorities, kind="stable")
    drawn = np.sort(order[:size])
    return drawn, np.maximum(weights[drawn], priorities[order[size]]).astype(np.float32)


def facility_location(
    embeddings: FloatArray, weights: FloatArray, size: int, *, covered: FloatArray | None
) -> IndexArray:
    """Return rows that, with ``covered``, represent all rows best: greedy facility location.

    Each step takes the row that adds most to the weighted sum, over all rows, of the cosine to the nearest text taken
    or covered: much weight is near it, and no such text is. For unit vectors this
    is greedy k-medoids, and within 1 - 1/e of the best choice (Nemhauser, Wolsey and Fisher 1978). Gains only
    shrink, so only those that may still be the highest are computed again (Minoux 1978).

    Args:
        embeddings: shape (s, d), float32, rows of unit length; all pairs are compared.
        weights: shape (s,), how much each row counts.
        size: how many to take.
        covered: embeddings of texts that are represented already, shape (m, d).

    Returns:
        Indices in the order they are taken; fewer than ``size`` if only near-duplicates of them are left.
    """
    nearest = np.maximum(nearest_similarity(embeddings, covered), 0.0)
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


def kmeans_plus_plus(
    embeddings: FloatArray, size: int, *, covered: FloatArray | None, seed: int
) -> IndexArray:
    """Return rows far from one another and from ``covered``: greedy k-means++ seeding.

    The first is the row nearest to the mean unless something is covered. Each further step draws a few rows, with
    chances in proportion to the squared distance to the nearest text taken or covered, and takes the one that brings
    all rows nearest (Arthur and Vassilvitskii 2007; scikit-learn seeds k-means like this, without covered texts).
    Farthest-first traversal takes outliers.

    Args:
        embeddings: shape (s, d), float32, rows of unit length.
        size: how many to take.
        covered: shape (m, d).
        seed: of the draws.

    Returns:
        Indices in the order they are taken; fewer than ``size`` if only near-duplicates of them are left.
    """
    random = np.random.default_rng(seed)
    trials = 2 + int(np.log(max(size, 1)))
    free = np.ones(len(embeddings), dtype=bool)
    nearest = nearest_similarity(embeddings, covered)
    nothing_covered = covered is None or len(covered) == 0
    taken: list[int] = []
    while len(taken) < size and free.any():
        if nothing_covered and not taken:
            tried = np.array([np.argmax(embeddings @ embeddings.mean(axis=0))])
        else:
            # for unit vectors the squared distance is twice this
            reach = np.cumsum(np.where(free, np.maximum(1.0 - nearest, MIN_DISTANCE), 0.0), dtype=np.float64)
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


def nearest_similarity(embeddings: FloatArray, covered: FloatArray | None) -> FloatArray:
    """Return the cosine of each row to the nearest covered text, shape (s,); -1 if nothing is covered."""
    nearest = np.full(len(embeddings), -1.0, dtype=np.float32)
    if covered is not None:
        for start in range(0, len(covered), SAMPLE):
            block = take_rows(covered, np.arange(start, min(start + SAMPLE, len(covered))))
            np.maximum(nearest, (embeddings @ block.T).max(axis=1), out=nearest)
    return nearest
