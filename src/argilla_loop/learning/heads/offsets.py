"""Offsets for labels that many others beat by chance, such as a catch-all ("other") beside many narrow labels."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.evidence import MIN_PROBABILITY, DoubleArray, softmax

# Strength of the penalty on offsets: ten examples of a label move its offset, two hardly do. Chosen, not measured.
PENALTY = 3.0
# Held-out examples below which a label keeps its score: without any, the fit would take the label for never right. The
# number is chosen, not measured.
MIN_EXAMPLES = 4
# Rounds of weighting and fitting; further ones changed nothing when this was written. No table records it.
ROUNDS = 4


def fit_offsets(scores: FloatArray | DoubleArray, labels: IndexArray) -> DoubleArray:
    """Return what to add to each label's held-out score so that no label is far worse than the others.

    A text whose label has no common subject loses to whichever of a hundred other labels comes nearest by chance, and
    nobody knows how many such texts the pool holds. So the offsets minimise a log-loss in which a label weighs the more
    the worse it does. This is distributionally robust over the labels' shares (Sagawa et al. 2020), with the weights of
    a chi-square ball, which are proportional to the loss (Namkoong and Duchi 2017).

    Args:
        scores: log-probabilities up to a constant, shape (n, k), of examples that the scorer was not fitted on.
        labels: theirs, 0..k-1, shape (n,).

    Returns:
        Offsets, shape (k,): of mean 0 over the labels that have ``MIN_EXAMPLES`` examples, and 0 for the others.
    """
    offsets = np.zeros(scores.shape[1])
    known = np.flatnonzero(np.bincount(labels, minlength=len(offsets)) >= MIN_EXAMPLES)
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
        right = np.maximum(probabilities[rows, labels], MIN_PROBABILITY)
        value = -(weights * np.log(right)).sum() + PENALTY * (tried @ tried) / 2
        return float(value), weights @ (probabilities - wanted) + PENALTY * tried

    for _ in range(ROUNDS):
        offsets = minimize(loss, offsets, jac=True, method="L-BFGS-B").x
        lost = -np.log(np.maximum(softmax(scores + offsets)[rows, labels], MIN_PROBABILITY))
        # one more example of average loss, so that a single surprise does not decide its label's weight
        of_label = (np.bincount(labels, lost, k) + lost.mean()) / (counts + 1)
        weights = of_label[labels] / of_label[labels].mean()
    return np.asarray(offsets - offsets.mean())
