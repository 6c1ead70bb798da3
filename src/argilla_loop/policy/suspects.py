"""Answers of people that cross-validation contradicts: confident learning.

C. G. Northcutt, L. Jiang and I. L. Chuang (2021): Confident learning: estimating uncertainty in dataset labels.
*Journal of Artificial Intelligence Research* 70.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray

# Least number of examples of a label whose mean probability is its threshold; with fewer, nothing is confident of it.
# Chosen, not measured.
MIN_EXAMPLES = 2


@dataclass(frozen=True, slots=True)
class Suspect:
    """An example whose label is doubtful.

    Attributes:
        position: index of the example.
        column: the label that the model gives instead.
        given: probability of the example's own label, by a model that has not seen the example.
        other: probability of the label in ``column``, by the same model.
    """

    position: int
    column: int
    given: float
    other: float


def find_suspects(probabilities: FloatArray, labels: IndexArray) -> list[Suspect]:
    """Return the examples whose label is confidently another one, most suspicious first.

    The threshold of a label is the mean probability of that label over the examples that have it. An example is
    confidently another label if its most probable label among those above their thresholds is not its own: it lies off
    the diagonal of the confident joint. The order is by normalised margin, the probability of the own label minus that
    of the other one.

    Args:
        probabilities: shape (n, k), of examples by models that have not seen them.
        labels: shape (n,), the column of each example's own label.
    """
    if not len(labels):
        return []
    count = np.bincount(labels, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    sums = np.bincount(labels, weights=own, minlength=probabilities.shape[1])
    thresholds = np.where(count >= MIN_EXAMPLES, sums / np.maximum(count, 1), np.inf)
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    best = confident.argmax(axis=1)
    off = np.flatnonzero((confident.max(axis=1) >= 0) & (best != labels))
    # the model must also prefer the other label, which a low threshold alone does not say
    off = off[probabilities[off, best[off]] > own[off]]
    margins = own[off] - probabilities[off, best[off]]
    return [
        Suspect(int(n), int(best[n]), float(own[n]), float(probabilities[n, best[n]]))
        for n in off[np.argsort(margins, kind="stable")]
    ]
