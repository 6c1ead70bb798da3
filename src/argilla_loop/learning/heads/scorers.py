"""Fit the linear scorers that heads are made of: on each fold's complement, and on all examples."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import Kind
from argilla_loop.learning.heads.linear import softmax_regressions
from argilla_loop.learning.heads.names import score_names
from argilla_loop.learning.heads.pooled import discriminant, spread_labels

# Inverse of scikit-learn's C. On unit-length embeddings 0.1 (C = 10) beats scikit-learn's default of 1, except for sets
# about which embeddings say little; so both are fitted, and held-out examples weigh them. Observed when the heads were
# written; no table records it.
RIDGE, FIRM_RIDGE = 0.1, 1.0
# Above so many labels only RIDGE is fitted: there it was always the better one, and a second fit would take as long as
# everything else. The number itself is chosen, not measured.
MANY_LABELS = 20
# Examples that spread over the pool in one training: more of them take time and change nothing. The number itself is
# chosen, not measured.
MAX_SPREAD_EXAMPLES = 3000
# Lower limit of a label's total weight, so that a label without weight divides by something. Chosen, not measured.
TINY_WEIGHT = 1e-9

# A scorer is "names", a regression, or the (trust, shrinkage) of a discriminant. The pairs are chosen, not measured one
# by one: one close to nearest means, one that relies on the pool. benchmarks/accuracy.md measures what they make.
NAMES, LINEAR, FIRM = "names", "linear", "firm"
NEAR_MEANS = (1.0, 0.9)
POOL_MEANS = (3.0, 0.3)
Part = str | tuple[float, float]
RIDGES: dict[Part, float] = {LINEAR: RIDGE, FIRM: FIRM_RIDGE}
PARTS: dict[Kind, tuple[Part, ...]] = {
    "weighed": (NAMES, LINEAR, FIRM, NEAR_MEANS, POOL_MEANS),
    "linear": (NAMES, LINEAR, FIRM),
    "blended": (NAMES, LINEAR, FIRM, NEAR_MEANS),
    "leaning": (NAMES, LINEAR, FIRM, POOL_MEANS),
    "pooled": (NAMES, POOL_MEANS),
}
# What the evidence about each is called.
CALLED: dict[Part, str] = {
    NAMES: NAMES, LINEAR: LINEAR, FIRM: FIRM, NEAR_MEANS: "near-means", POOL_MEANS: "pool-means",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Training:
    """What heads are fitted on.

    Attributes:
        vectors: embeddings of the examples, shape (n, d), rows of unit length.
        labels: class numbers 0..k-1, shape (n,).
        trusted: examples that people labelled, shape (n,): only these are evidence.
        names: embeddings of the labels' names in each template (``label_names.TEMPLATES``, the name alone first), shape
            (t, k, d); None where the names carry no meaning.
        graph: of the pool; None if there is no pool.
        weights: of the examples, shape (n,).
    """

    vectors: FloatArray
    labels: IndexArray
    trusted: IndexArray
    weights: FloatArray
    names: FloatArray | None = None
    graph: PoolGraph | None = None

    @property
    def label_count(self) -> int:
        """The number of labels, k."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True, slots=True)
class Scorer:
    """A linear scorer, fitted on all examples, and its scores of held-out examples.

    Attributes:
        coefficients: shape (d + 1, k), the intercepts last.
        held_out: scores of each example by the fit that has not seen it, shape (n, k).
    """

    coefficients: FloatArray
    held_out: FloatArray


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that every fit shares: the examples, followed by the labels' names where these take part.

    Attributes:
        vectors: shape (r, d).
        labels: class numbers, shape (r,).
        weights: of each row in each fit, shape (j, r); one fit for each fold, which leaves that fold out, and a last
            one of all examples.
        fold: of each example, shape (n,); -1 for an example that is never held out.
        label_count: k.
    """

    vectors: FloatArray
    labels: IndexArray
    weights: FloatArray
    fold: IndexArray
    label_count: int

    @property
    def fit_count(self) -> int:
        """The number of fits, j: the folds and one."""
        return len(self.weights)


def fit_scorers(
    training: Training,
    fold: IndexArray,
    fold_count: int,
    parts: Collection[Part],
    *,
    with_names: bool,
    max_spread: int = MAX_SPREAD_EXAMPLES,
) -> dict[Part, Scorer]:
    """Fit each of ``parts`` on each fold's complement, and on all examples.

    Args:
        training: the examples.
        fold: of each example, 0..fold_count-1, shape (n,); -1 for one that is never held out.
        fold_count: the number of folds; 0 to hold out nothing.
        parts: the scorers to fit; without a graph only the regressions among them.
        with_names: add each label's name as one more example; the scorer of names is fitted either way.
        max_spread: the number of examples that spread over the pool.
    """
    rows = _rows(training, fold, fold_count, with_names=with_names)
    fits: dict[Part, FloatArray] = {}  # (j, d + 1, k)
    ridges = {part: ridge for part, ridge in RIDGES.items() if part in parts}
    if training.label_count > MANY_LABELS:
        ridges.pop(FIRM, None)
    if ridges:
        fits |= _fit_regressions(rows, ridges)
    discriminants = sorted(part for part in parts if not isinstance(part, str))
    if discriminants and training.graph is not None:
        fits |= _fit_discriminants(training.graph, rows, discriminants, max_spread)
    scorers = {part: Scorer(fit[-1], _held_out_scores(training, fit, fold)) for part, fit in fits.items()}
    if NAMES in parts and training.names is not None and training.graph is not None:
        named = score_names(training.names, training.vectors, training.graph)
        scorers[NAMES] = Scorer(named, training.vectors @ named[:-1] + named[-1])
    return {part: scorers[part] for part in CALLED if part in scorers}


def _rows(training: Training, fold: IndexArray, fold_count: int, *, with_names: bool) -> _Rows:
    k = training.label_count
    vectors, labels = training.vectors, training.labels
    weights = np.tile(training.weights, (fold_count + 1, 1))
    weights[fold[None, :] == np.arange(fold_count + 1)[:, None]] = 0.0
    if with_names and training.names is not None:
        vectors = np.vstack([vectors, training.names[0]])
        labels = np.concatenate([labels, np.arange(k)])
        weights = np.hstack([weights, np.ones((fold_count + 1, k), dtype=weights.dtype)])
    return _Rows(vectors, labels, weights, fold, k)


def _held_out_scores(training: Training, fits: FloatArray, fold: IndexArray) -> FloatArray:
    """Return scores (n, k) of each example by the fit that has not seen it."""
    scores = np.zeros((len(fold), training.label_count), dtype=np.float32)
    for number in range(len(fits) - 1):
        rows = np.flatnonzero(fold == number)
        scores[rows] = training.vectors[rows] @ fits[number, :-1] + fits[number, -1]
    return scores


def _fit_regressions(rows: _Rows, ridges: Mapping[Part, float]) -> dict[Part, FloatArray]:
    """Fit the softmax regressions of all ridges, for each fold and for all examples, at once."""
    k = rows.label_count
    fits = softmax_regressions(
        rows.vectors,
        rows.labels,
        np.tile(_balance(rows), (len(ridges), 1)),
        ridges=np.repeat(np.asarray(list(ridges.values()), dtype=np.float32), rows.fit_count),
        labels_count=k,
    )
    return dict(zip(ridges, fits.reshape(len(ridges), rows.fit_count, -1, k), strict=True))


def _fit_discriminants(
    graph: PoolGraph, rows: _Rows, parts: list[tuple[float, float]], max_spread: int
) -> dict[Part, FloatArray]:
    """Fit a discriminant of each (trust, shrinkage) in ``parts`` for each fold and for all examples."""
    k = rows.label_count
    spread = _spread_by_fold(graph, rows, max_spread)
    fits: dict[Part, list[FloatArray]] = {part: [] for part in parts}
    for number, weights in enumerate(rows.weights):
        others = [group for group in range(len(spread)) if group != number]
        pool = spread_labels(spread[others].sum(axis=0), graph.vectors, graph.moments)
        membership = np.zeros((len(rows.labels), k), dtype=np.float32)
        membership[np.arange(len(rows.labels)), rows.labels] = weights
        means = (membership / np.maximum(membership.sum(axis=0), TINY_WEIGHT)).T @ rows.vectors
        for trust, shrinkage in parts:
            fits[trust, shrinkage].append(discriminant(means, pool, trust=trust, shrinkage=shrinkage))
    return {part: np.stack(each) for part, each in fits.items()}


def _spread_by_fold(graph: PoolGraph, rows: _Rows, max_spread: int) -> FloatArray:
    """Return what each fold's examples hand to the pool, by label: shape (j, m, k); the last is of those in no fold.

    Spreading is linear: what a fold's complement spreads is the sum over the other folds, so no example is spread
    twice.
    """
    count, k, labels = rows.fit_count, rows.label_count, rows.labels
    groups = np.concatenate([rows.fold, np.full(len(labels) - len(rows.fold), -1, dtype=np.int64)])
    taken = np.arange(len(labels))
    if len(labels) > max_spread:
        taken = np.sort(np.random.default_rng(len(labels)).choice(len(labels), max_spread, replace=False))
    column = np.where(groups < 0, count - 1, groups)[taken] * k + labels[taken]
    membership = np.zeros((len(taken), count * k), dtype=np.float32)
    membership[np.arange(len(taken)), column] = rows.weights[-1][taken]
    seeds = np.asarray(graph.anchor(rows.vectors[taken]) @ membership, dtype=np.float32)
    return graph.spread(seeds).reshape(len(graph), count, k).transpose(1, 0, 2)


def _balance(rows: _Rows) -> FloatArray:
    """Give each label the same total weight, as the stock class does; a name weighs as much as one example."""
    n, k = len(rows.fold), rows.label_count
    balanced = np.empty_like(rows.weights)
    for number, weights in enumerate(rows.weights):
        by_label = np.bincount(rows.labels[:n], weights[:n], k)
        factor = weights[:n].sum() / (k * np.maximum(by_label, 1.0))
        balanced[number] = weights * factor[rows.labels]
    return balanced
