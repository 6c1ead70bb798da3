"""The query strategies: one function, arrays in, indices out. ``docs/strategies.md`` says what each is good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from argilla_loop.domain import FloatArray, HalfArray, IndexArray
from argilla_loop.policy.query.cover import SAMPLE, representatives, sample, spread_out
from argilla_loop.policy.query.duplicates import first_distinct, rows_of
from argilla_loop.policy.query.order import shuffled
from argilla_loop.policy.query.uncertainty import entropy, in_chunks, least_confidence, margin

Strategy = Literal[
    "sequential", "random", "least-confidence", "margin", "entropy", "diverse", "typical", "mixed"
]
MEASURES: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "least-confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
}
RANDOM_SHARE = 10  # `mixed` takes one text in so many at random
LEAST_WEIGHT = 1e-6  # where the model is sure of everything, all texts count alike


def random_count(size: int, taken: int) -> int:
    """How many of the ``size`` texts after the first ``taken`` are random in ``mixed``: each tenth text is."""
    return (taken + size) // RANDOM_SHARE - taken // RANDOM_SHARE


def choose(
    strategy: Strategy,
    size: int,
    *,
    embeddings: FloatArray | HalfArray,
    probabilities: FloatArray | None = None,
    covered: FloatArray | None = None,
    positions: IndexArray | None = None,
    seed: int,
) -> IndexArray:
    """Choose which candidates to put before people next.

    No strategy takes two near-duplicates (cosine above ``NEAR_DUPLICATE``) into one batch while anything else is
    left. The same arguments give the same choice; where candidates tie, the lowest index is taken.

    Without ``probabilities``, ``least-confidence``, ``margin``, ``entropy`` and ``mixed`` choose as ``typical``
    does. With them the last ``random_count(size, len(covered))`` of ``mixed`` are random ones: how often people agree
    with the model there says how right it is on the texts that are left.

    ``seed`` decides the random order (``random``, and the random share of ``mixed``), the ``SAMPLE`` texts that stand
    for a larger pool (``typical``, ``diverse``, ``mixed``) and the draws of ``diverse``; the others don't use it.

    Args:
        strategy: which strategy.
        size: how many to choose.
        embeddings: candidates in ascending pool order, shape (n, d), rows of unit length; float32, or float16 that is
            memory-mapped: only the rows that are needed are read.
        probabilities: the model's, shape (n, k); ``None`` where there is no model yet.
        covered: texts that people have seen already, shape (m, d), rows of unit length.
        positions: the candidates' pool positions, shape (n,), ascending. With them random choices stay as they are
            while records leave the pool; without, the candidates count as positions 0 to n - 1.
        seed: of all that is drawn.

    Returns:
        ``min(size, n)`` distinct indices into ``embeddings``, in the order they are taken.

    Raises:
        ValueError: the arrays don't fit together, or there is no such strategy.
    """
    count = len(embeddings)
    positions = np.arange(count, dtype=np.int64) if positions is None else positions
    if len(positions) != count or (probabilities is not None and len(probabilities) != count):
        raise ValueError(
            f"{count} embeddings need as many positions and rows of probabilities: pass the same texts"
        )
    if count == 0 or size <= 0:
        return np.empty(0, dtype=np.int64)

    if strategy == "sequential":
        return first_distinct(np.arange(count, dtype=np.int64), embeddings, size)
    if strategy in MEASURES and probabilities is not None:
        unsure = in_chunks(MEASURES[strategy], probabilities)
        return first_distinct(np.argsort(-unsure, kind="stable"), embeddings, size)

    weights, wanted = np.ones(count, dtype=np.float32), size
    if strategy == "mixed" and probabilities is not None:
        weights = np.maximum(in_chunks(margin, probabilities), LEAST_WEIGHT)
        wanted -= random_count(size, 0 if covered is None else len(covered))
    elif strategy == "random":
        wanted = 0
    elif strategy not in {"diverse", "typical", "mixed", *MEASURES}:
        raise ValueError(f"{strategy!r} is no strategy")
    chosen = np.empty(0, dtype=np.int64)
    if wanted > 0:
        drawn, weights = sample(weights, positions, max(SAMPLE, 4 * size), seed=seed)
        rows = rows_of(embeddings, drawn)
        if strategy == "diverse":
            chosen = drawn[spread_out(rows, wanted, covered=covered, seed=seed)]
        else:
            chosen = drawn[representatives(rows, weights, wanted, covered=covered)]
    order = np.searchsorted(positions, shuffled(positions, seed)).astype(np.int64)
    return np.concatenate([chosen, first_distinct(order, embeddings, size - len(chosen), beside=chosen)])
