"""Offsets for labels that lose to the crowd: a catch-all ("other") beside many narrow labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.evidence import LEAST, DoubleArray, softmax

# Pseudo-weight that draws every offset to nothing: ten examples of a label move it, two hardly do.
STIFFNESS = 3.0
# Held-out examples without which a label keeps its score: with none at all the fit would take it for never right.
ENOUGH = 4
ROUNDS = 4  # of weighing and fitting; after that nothing moves any more


def fit_offsets(scores: FloatArray | DoubleArray, labels: IndexArray) -> DoubleArray:
    """What to add to each label's held-out score so that no label is left behind.

    A text of a label without a common subject is beaten by whichever of a hundred other labels comes nearest by
    chance, and nobody knows how many such texts the pool holds. So the offsets make the least of a log-loss in which a
    label weighs the more the worse it does: distributionally robust over the labels' shares (Sagawa et al. 2020),
    with the weights of a chi-square ball, which are proportional to the loss (Namkoong and Duchi 2017).

    Args:
        scores: log-probabilities up to a constant, shape (n, k), of examples that the scorer was not fitted on.
        labels: theirs, 0..k-1, shape (n,).

    Returns:
        Offsets, shape (k,): of mean 0 over the labels that have ``ENOUGH`` examples, and 0 for the others.
    """
    offsets = np.zeros(scores.shape[1])
    known = np.flatnonzero(np.bincount(labels, minlength=len(offsets)) >= ENOUGH)
    if len(known) > 1:
        mine = np.isin(labels, known)
        offsets[known] = _fit(scores[np.ix_(mine, known)], np.searchsorted(known, labels[mine]))
    return offsets


def _fit(scores: FloatArray | DoubleArray, labels: IndexArray) -> DoubleArray:
    n, k = scores.shape
    rows, wanted, counts = np.arange(n), np.eye(k)[labels], np.bincount(labels, minlength=k)
    offsets, weights = np.zeros(k), np.ones(n)

    def loss(tried: DoubleArray) -> tuple[float, DoubleArray]:
        probabilities = softmax(scores + tried)
        right = np.maximum(probabilities[rows, labels], LEAST)
        value = -(weights * np.log(right)).sum() + STIFFNESS * (tried @ tried) / 2
        return float(value), weights @ (probabilities - wanted) + STIFFNESS * tried

    for _ in range(ROUNDS):
        offsets = minimize(loss, offsets, jac=True, method="L-BFGS-B").x
        lost = -np.log(np.maximum(softmax(scores + offsets)[rows, labels], LEAST))
        # one more example of average loss, so that a single surprise does not own its label
        of_label = (np.bincount(labels, lost, k) + lost.mean()) / (counts + 1)
        weights = of_label[labels] / of_label[labels].mean()
    return np.asarray(offsets - offsets.mean())
