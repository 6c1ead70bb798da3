"""The query strategies: one function, arrays in, indices out. ``docs/strategies.md`` explains what each is good for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np

from argilla_loop.domain import FloatArray, HalfArray, IndexArray
from argilla_loop.policy.query.cover import SAMPLE, facility_location, kmeans_plus_plus, priority_sample
from argilla_loop.policy.query.duplicates import take_distinct, take_rows
from argilla_loop.policy.query.order import shuffled
from argilla_loop.policy.query.uncertainty import entropy, least_confidence, margin, measure_in_chunks

Strategy = Literal[
    "sequential", "random", "least-confidence", "margin", "entropy", "diverse", "typical", "mixed"
]
MEASURES: Mapping[str, Callable[[FloatArray], FloatArray]] = {
    "least-confidence": least_confidence,
    "margin": margin,
    "entropy": entropy,
}
# ``mixed`` takes one text in so many at random. Two in ten cost one to two points of accuracy where labels are many
# (docs/strategies.md).
RANDOM_SHARE = 10
# Lower limit of a text's weight: if the model is sure of everything, all texts weigh the same. Chosen, not measured.
MIN_WEIGHT = 1e-6
# Representatives of the pool for each text of a batch, if ``SAMPLE`` is fewer. Chosen, not measured.
SAMPLES_PER_TEXT = 4


def random_count(size: int, taken: int) -> int:
    """Return how many of the ``size`` texts after the first ``taken`` are random in ``mixed``: each tenth text is."""
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
    """Choose which candidates to ask people about next.

    No strategy takes two near-duplicates (cosine above ``NEAR_DUPLICATE``) into one batch while anything else is
    left. The same arguments give the same choice; where candidates tie, the lowest index is taken.

    Without ``probabilities``, ``least-confidence``, ``margin``, ``entropy`` and ``mixed`` choose as ``typical``
    does. With them the last ``random_count(size, len(covered))`` of ``mixed`` are random: how often people agree with
    the model on those estimates its accuracy on the texts that are left.

    ``seed`` decides the random order (``random``, and the random share of ``mixed``), the ``SAMPLE`` texts that
    represent a larger pool (``typical``, ``diverse``, ``mixed``) and the draws of ``diverse``; the others don't use it.

    Args:
        strategy: which strategy.
        size: how many to choose.
        embeddings: candidates in ascending pool order, shape (n, d), rows of unit length; float32, or float16 that is
            memory-mapped: only the rows that are needed are read.
        probabilities: the model's, shape (n, k); ``None`` if there is no model yet.
        covered: texts that people have seen already, shape (m, d), rows of unit length.
        positions: the candidates' pool positions, shape (n,), ascending. With them, random choices stay the
            same while records leave the pool; without them, the candidates have the positions 0 to n - 1.
        seed: of every random draw.

    Returns:
        ``min(size, n)`` distinct indices into ``embeddings``, in the order they are taken.

    Raises:
        ValueError: the arrays have different lengths, or the strategy is unknown.
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
        return take_distinct(np.arange(count, dtype=np.int64), embeddings, size)
    if strategy in MEASURES and probabilities is not None:
        unsure = measure_in_chunks(MEASURES[strategy], probabilities)
        return take_distinct(np.argsort(-unsure, kind="stable"), embeddings, size)

    weights, wanted = np.ones(count, dtype=np.float32), size
    if strategy == "mixed" and probabilities is not None:
        weights = np.maximum(measure_in_chunks(margin, probabilities), MIN_WEIGHT)
        wanted -= random_count(size, 0 if covered is None else len(covered))
    elif strategy == "random":
        wanted = 0
    elif strategy not in {"diverse", "typical", "mixed", *MEASURES}:
        raise ValueError(f"{strategy!r} is no strategy")
    chosen = np.empty(0, dtype=np.int64)
    if wanted > 0:
        drawn, weights = priority_sample(weights, positions, max(SAMPLE, SAMPLES_PER_TEXT * size), seed=seed)
        rows = take_rows(embeddings, drawn)
        if strategy == "diverse":
            chosen = drawn[kmeans_plus_plus(rows, wanted, covered=covered, seed=seed)]
        else:
            chosen = drawn[facility_location(rows, weights, wanted, covered=covered)]
    order = np.searchsorted(positions, shuffled(positions, seed)).astype(np.int64)
    return np.concatenate([chosen, take_distinct(order, embeddings, size - len(chosen), beside=chosen)])
