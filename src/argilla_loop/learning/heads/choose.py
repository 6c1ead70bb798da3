"""Fit the heads, weigh what each is worth on people's examples, keep one.

A head is a mean of one or two linear scorers on the same embeddings. From left to right they trust the pool more:

    linear    softmax regression on the examples alone
    blended   mean of ``linear`` and of a discriminant whose label means are drawn to the pool's
    leaning   mean of ``linear`` and of ``pooled``
    pooled    a discriminant in the pool's covariance, its means mostly the pool's

While labels have few examples each comes also as ``-named``: the label's own name is one more, weak example.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.heads.evidence import (
    DoubleArray,
    evidence_of,
    fit_scale,
    folds,
    folds_for,
    softmax,
)
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.linear import softmax_regressions
from argilla_loop.learning.heads.offsets import fit_offsets
from argilla_loop.learning.heads.pooled import discriminant, spread_labels

Kind = Literal["linear", "blended", "leaning", "pooled"]
NAMED = "-named"

# The scorers a head is the mean of: "linear", or (trust, shrinkage) of a discriminant.
LINEAR = "linear"
NEAR_MEANS = (1.0, 0.9)
POOL_MEANS = (3.0, 0.3)
Part = str | tuple[float, float]
PARTS: dict[Kind, tuple[Part, ...]] = {
    "linear": (LINEAR,),
    "blended": (LINEAR, NEAR_MEANS),
    "leaning": (LINEAR, POOL_MEANS),
    "pooled": (POOL_MEANS,),
}
# One over scikit-learn's C. With unit-length embeddings 10 beats the default of 1, but for sets that embeddings tell
# little of; with many labels it always does, and the second would cost as much as everything else.
RIDGE, FIRM_RIDGE = 0.1, 1.0
MANY_LABELS = 20
# With so many examples a label on average, its name adds nothing any more (measured on nine sets).
FEW = 10
# Log-likelihood, in nats over all held-out examples, by which another head must beat the one to be preferred:
# "positive" evidence in the words of Kass and Raftery (1995), a factor of seven.
MARGIN = 2.0
# Held-out examples without which nothing can be said of any head.
LEAST_EVIDENCE = 4
# Share of the labels that must have held-out examples: a head that is good at these may be hopeless at the others.
COVERED = 0.8
# Examples that spread over the pool in one training; more of them change nothing, and cost time.
MOST_SPREAD = 3000


@dataclass(frozen=True, slots=True)
class Training:
    """What heads are fitted on.

    Attributes:
        vectors: embeddings of the examples, shape (n, d), rows of unit length.
        labels: class numbers 0..k-1, shape (n,).
        trusted: examples that people labelled, shape (n,): only these are evidence.
        names: embeddings of the labels' names, shape (k, d); None where they say nothing.
        graph: of the pool; None while there is none.
        weights: of the examples, shape (n,).
    """

    vectors: FloatArray
    labels: IndexArray
    trusted: IndexArray
    weights: FloatArray
    names: FloatArray | None = None
    graph: PoolGraph | None = None

    @property
    def count(self) -> int:
        """k, the number of labels."""
        return int(self.labels.max()) + 1


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head.

    Attributes:
        name: kind and whether names took part, such as ``blended-named``.
        coefficients: of its scorers, each of shape (d + 1, k), the intercepts last.
        scales: factor on the scores of each.
        scale: exponent on their mean probabilities.
        offsets: added to each label's log-probability, shape (k,); None for none.
    """

    name: str
    coefficients: tuple[FloatArray, ...]
    scales: tuple[float, ...]
    scale: float = 1.0
    offsets: DoubleArray | None = None
    evidence: tuple[HeadEvidence, ...] = field(default=(), compare=False)

    @property
    def classes_(self) -> IndexArray:
        """Class numbers, as scikit-learn's classifiers have them."""
        return np.arange(self.coefficients[0].shape[1], dtype=np.int64)

    def predict_proba(self, vectors: FloatArray) -> DoubleArray:
        """Probabilities, shape (n, k), rows summing to 1, of embeddings of shape (n, d).

        A row's do not depend, to the last bit, on the rows beside it.
        """
        # BLAS sums in another order for one row than for many; this does not.
        scores = [
            np.einsum("nd,kd->nk", vectors, np.ascontiguousarray(one[:-1].T)) + one[-1]
            for one in self.coefficients
        ]
        return _mean(scores, self.scales, self.scale, self.offsets)

    def score(self, vectors: FloatArray) -> FloatArray:
        """The same but for the last bits, and many times faster: float32 of shape (n, k)."""
        scores = [vectors @ one[:-1] + one[-1] for one in self.coefficients]
        return np.asarray(_mean(scores, self.scales, self.scale, self.offsets), dtype=np.float32)

    def predict(self, vectors: FloatArray) -> IndexArray:
        """The most probable class of each row: never contradicts ``predict_proba``."""
        return np.asarray(self.predict_proba(vectors).argmax(axis=1), dtype=np.int64)


def choose_head(
    training: Training, *, seed: int, previous: str | None = None, kinds: Sequence[Kind] = get_args(Kind)
) -> Head:
    """Fit every head that ``training`` allows, cross-validate them, and keep one.

    The one kept has the highest held-out likelihood, where the ``previous`` one and the usual one are each ahead by
    ``MARGIN``. Usual is ``blended`` while labels have few examples, as it is best or nearly so on every kind of text,
    and so little evidence says more of chance than of heads; after that it is the simplest, ``linear``. While many
    labels have one example only, which cannot be held out, it is the usual one.

    Args:
        training: the examples, and what else there is.
        seed: of the folds.
        previous: name of the head of the model before, if any.
        kinds: which heads may be chosen.

    Returns:
        The head, with what was found about all of them, its own first.
    """
    evident = np.flatnonzero(
        training.trusted.astype(bool) & (np.bincount(training.labels)[training.labels] > 1)
    )
    count = folds_for(len(evident))
    fold = np.full(len(training.labels), -1, dtype=np.int64)
    if len(evident) >= LEAST_EVIDENCE:
        fold[evident] = folds(training.labels[evident], count, seed)
    else:
        count = 0

    few = len(training.labels) < FEW * training.count
    named = few and training.names is not None
    allowed = [kind for kind in kinds if training.graph is not None or kind == "linear"]
    if count == 0 or not allowed:
        allowed = ["linear"]  # nothing to weigh a discriminant's scores by
    candidates: list[Head] = []
    for with_names in (True, False) if named else (False,):
        scorers = _scorers(training, fold, count, {p for kind in allowed for p in PARTS[kind]}, with_names)
        candidates += [
            _calibrated(f"{kind}{NAMED if with_names else ''}", [scorers[p] for p in PARTS[kind]],
                        evident if count else evident[:0], training.labels)
            for kind in allowed
        ]  # fmt: skip
    if count == 0:
        return candidates[0]
    usual = ("blended" if few else "linear") + (NAMED if named else "")
    if len(np.unique(training.labels[evident])) < COVERED * training.count:
        candidates.sort(key=lambda head: head.name != usual)
        return replace(candidates[0], evidence=tuple(head.evidence[0] for head in candidates))
    order = sorted(
        candidates,
        key=lambda head: (
            head.evidence[0].log_loss * len(evident)
            - MARGIN * (head.name == usual)
            - MARGIN * (head.name == previous)
        ),
    )
    return replace(order[0], evidence=tuple(head.evidence[0] for head in order))


@dataclass(frozen=True, slots=True)
class _Scorer:
    """One linear scorer: fitted on everything, and what it says of examples it was not fitted on."""

    coefficients: FloatArray
    held_out: FloatArray  # (n, k)


def _scorers(
    training: Training,
    fold: IndexArray,
    count: int,
    parts: set[Part],
    with_names: bool,  # noqa: FBT001 - private
) -> dict[Part, _Scorer]:
    """Fit the scorers on each fold's rest, and on everything."""
    k = training.count
    vectors, labels = training.vectors, training.labels
    weights = np.tile(training.weights, (count + 1, 1))
    weights[fold[None, :] == np.arange(count + 1)[:, None]] = 0.0
    if with_names and training.names is not None:
        vectors = np.vstack([vectors, training.names])
        labels = np.concatenate([labels, np.arange(k)])
        weights = np.hstack([weights, np.ones((count + 1, k), dtype=weights.dtype)])

    fits: dict[Part, FloatArray] = {}  # (count + 1, d + 1, k)
    if LINEAR in parts:
        fits[LINEAR] = _regression(training, vectors, labels, weights, fold, count)
    discriminants = [part for part in parts if not isinstance(part, str)]
    if discriminants and training.graph is not None:
        fits |= _discriminants(training.graph, vectors, labels, weights, fold, k, sorted(discriminants))

    return {part: _Scorer(fit[-1], _held_out(training, fit, fold)) for part, fit in fits.items()}


def _held_out(training: Training, fits: FloatArray, fold: IndexArray) -> FloatArray:
    """Scores (n, k) of each example by the fit that has not seen it."""
    scores = np.zeros((len(fold), training.count), dtype=np.float32)
    for number in range(len(fits) - 1):
        rows = np.flatnonzero(fold == number)
        scores[rows] = training.vectors[rows] @ fits[number, :-1] + fits[number, -1]
    return scores


def _regression(
    training: Training,
    vectors: FloatArray,
    labels: IndexArray,
    weights: FloatArray,
    fold: IndexArray,
    count: int,
) -> FloatArray:
    """The softmax regressions of all folds and of everything, the ridge chosen on held-out examples."""
    k, each = training.count, len(weights)
    ridges = (RIDGE, FIRM_RIDGE) if count and k <= MANY_LABELS else (RIDGE,)
    fits = softmax_regressions(
        vectors,
        labels,
        np.tile(_balanced(weights, labels, len(fold), k), (len(ridges), 1)),
        ridges=np.repeat(np.asarray(ridges, dtype=np.float32), each),
        labels_count=k,
    )
    of_ridge = fits.reshape(len(ridges), each, -1, k)
    if len(ridges) == 1:
        return fits
    evident, losses = fold >= 0, []
    for fit in of_ridge:
        scores, right = _held_out(training, fit, fold)[evident], training.labels[evident]
        probabilities = softmax(fit_scale(scores, right) * scores)
        losses.append(evidence_of(LINEAR, probabilities, right).log_loss)
    best: FloatArray = of_ridge[int(np.argmin(losses))]
    return best


def _discriminants(
    graph: PoolGraph,
    vectors: FloatArray,
    labels: IndexArray,
    weights: FloatArray,
    fold: IndexArray,
    k: int,
    parts: Sequence[tuple[float, float]],
) -> dict[Part, FloatArray]:
    groups = np.concatenate([fold, np.full(len(labels) - len(fold), -1, dtype=np.int64)])
    spread = _spread_by_group(graph, vectors, labels, weights[-1], groups, len(weights), k)
    found: dict[Part, list[FloatArray]] = {part: [] for part in parts}
    for number, row in enumerate(weights):
        mine = [group for group in range(len(spread)) if group != number]
        shares = spread[mine].sum(axis=0)
        pool = spread_labels(shares, graph.vectors, graph.moments)
        member = np.zeros((len(labels), k), dtype=np.float32)
        member[np.arange(len(labels)), labels] = row
        means = (member / np.maximum(member.sum(axis=0), 1e-9)).T @ vectors
        for trust, shrinkage in parts:
            found[trust, shrinkage].append(discriminant(means, pool, trust=trust, shrinkage=shrinkage))
    return {part: np.stack(fits) for part, fits in found.items()}


def _spread_by_group(
    graph: PoolGraph,
    vectors: FloatArray,
    labels: IndexArray,
    weights: FloatArray,
    groups: IndexArray,
    count: int,
    k: int,
) -> FloatArray:
    """What each fold's examples hand to the pool, by label: shape (count, m, k); the last is of those in no fold.

    Spreading is linear: a fold's rest is the sum of the other folds, and no label is spread twice.
    """
    taken = np.arange(len(labels))
    if len(labels) > MOST_SPREAD:
        taken = np.sort(np.random.default_rng(len(labels)).choice(len(labels), MOST_SPREAD, replace=False))
    column = np.where(groups < 0, count - 1, groups)[taken] * k + labels[taken]
    member = np.zeros((len(taken), count * k), dtype=np.float32)
    member[np.arange(len(taken)), column] = weights[taken]
    seeds = np.asarray(graph.anchored(vectors[taken]) @ member, dtype=np.float32)
    return graph.spread(seeds).reshape(len(graph), count, k).transpose(1, 0, 2)


def _balanced(weights: FloatArray, labels: IndexArray, n: int, k: int) -> FloatArray:
    """Each label the same total, as the stock class has it; a name weighs as much as one example of its label."""
    balanced = np.empty_like(weights)
    for number, row in enumerate(weights):
        of_label = np.bincount(labels[:n], row[:n], k)
        factor = row[:n].sum() / (k * np.maximum(of_label, 1.0))
        balanced[number] = row * factor[labels]
    return balanced


def _calibrated(name: str, scorers: Sequence[_Scorer], evident: IndexArray, labels: IndexArray) -> Head:
    """The mean of ``scorers``, each brought to scale on held-out examples, and their mean once more.

    Where labels are many, offsets are fitted on the same examples: k numbers, so the evidence flatters all heads alike.
    """
    coefficients = tuple(one.coefficients for one in scorers)
    if len(evident) == 0:
        return Head(name, coefficients, tuple(1.0 for _ in scorers))
    scores, right = [one.held_out[evident] for one in scorers], labels[evident]
    scales = tuple(fit_scale(one, right) for one in scores)
    scale, offsets = 1.0, None
    if len(scorers) > 1:
        scale = fit_scale(_logarithm(_mean(scores, scales, 1.0)), right)
    if coefficients[0].shape[1] > MANY_LABELS:
        offsets = fit_offsets(_logarithm(_mean(scores, scales, scale)), right)
    probabilities = _mean(scores, scales, scale, offsets)
    return Head(name, coefficients, scales, scale, offsets, (evidence_of(name, probabilities, right),))


def _mean(
    scores: Sequence[FloatArray],
    scales: Sequence[float],
    scale: float,
    offsets: DoubleArray | None = None,
) -> DoubleArray:
    """Mean of the softmaxes of scaled ``scores``, raised to ``scale``, offset, and made to sum to 1 again."""
    mean = sum(softmax(scaled * one) for one, scaled in zip(scores, scales, strict=True)) / len(scores)
    if scale != 1.0 or offsets is not None:
        return softmax(scale * _logarithm(np.asarray(mean)) + (0.0 if offsets is None else offsets))
    return np.asarray(mean)


def _logarithm(probabilities: DoubleArray) -> DoubleArray:
    return np.asarray(np.log(np.maximum(probabilities, 1e-12)))
