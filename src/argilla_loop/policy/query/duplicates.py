"""Near-duplicate texts, which must not fill a batch: one answer is worth nearly as much as the answers to all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argilla_loop.domain import FloatArray, HalfArray, IndexArray

# Cosine above which two texts are near-duplicates. With all-MiniLM-L6-v2, pairs above it differ in case, a number or
# the order of words and share their label in 99% of the pairs even among 77 close intents; from 0.90 to 0.95, where
# paraphrases begin, in 96% (docs/strategies.md).
NEAR_DUPLICATE = 0.95
CHUNK = 256  # rows compared at a time; chosen, not measured


def take_rows(embeddings: FloatArray | HalfArray, indices: IndexArray) -> FloatArray:
    """Return the rows at ``indices`` as float32, whatever the type of ``embeddings``; read no other rows."""
    return np.asarray(embeddings[indices], dtype=np.float32)


def take_distinct(
    order: IndexArray,
    embeddings: FloatArray | HalfArray,
    size: int,
    *,
    beside: Sequence[int] | IndexArray = (),
) -> IndexArray:
    """Return the first ``size`` of ``order`` without near-duplicates of one another or of those ``beside``.

    If there are too few of them, skipped ones follow, in their order.

    Args:
        order: indices into ``embeddings``, each once.
        embeddings: shape (n, d), rows of unit length.
        size: how many to take.
        beside: what is in the batch already; not taken again.
    """
    beside = np.asarray(beside, dtype=np.int64)
    taken: list[int] = []
    batch = [take_rows(embeddings, beside)]
    for start in range(0, len(order), CHUNK):
        if len(taken) >= size:
            break
        block = order[start : start + CHUNK]
        rows = take_rows(embeddings, block)
        free = ~np.isin(block, beside)
        free &= ~(rows @ np.concatenate(batch).T > NEAR_DUPLICATE).any(axis=1)
        while len(taken) < size and free.any():
            first = int(free.argmax())
            taken.append(int(block[first]))
            batch.append(rows[first : first + 1])
            free[: first + 1] = False
            free &= rows @ rows[first] <= NEAR_DUPLICATE
    if len(taken) < size:
        passed_over = order[~np.isin(order, [*beside, *taken])]
        taken += passed_over[: size - len(taken)].tolist()
    return np.asarray(taken, dtype=np.int64)
