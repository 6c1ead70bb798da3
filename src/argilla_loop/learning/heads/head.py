"""The result of training: a mean of linear scorers, with the scales and offsets that calibrate it.

A trained head has one scorer, the weighed sum of those that were fitted (``choose``). Heads that were saved by earlier
versions have several. The kinds say which scorers of examples are weighed, beside that of the labels' names:

    weighed   all of them
    linear    softmax regressions on the examples alone
    blended   those, and a discriminant whose label means are drawn to the pool's
    leaning   those, and a discriminant in the pool's covariance, its means mostly the pool's
    pooled    only the latter
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.heads.evidence import DoubleArray, softmax

Kind = Literal["weighed", "linear", "blended", "leaning", "pooled"]
# Suffix of a head's name where the labels' own names count.
NAMED = "-named"
# Lower limit of a probability before its logarithm is taken: far below what float32 scores tell apart. Chosen, not
# measured.
TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Head:
    """A fitted head.

    Attributes:
        name: kind and whether names count, such as ``weighed-named``.
        coefficients: of its scorers, each of shape (d + 1, k), the intercepts last.
        scales: factor on the scores of each.
        scale: exponent on their mean probabilities.
        offsets: added to each label's log-probability, shape (k,); None for none.
        evidence: results of cross-validation, those of this head first.
    """

    name: str
    coefficients: tuple[FloatArray, ...]
    scales: tuple[float, ...]
    scale: float = 1.0
    offsets: DoubleArray | None = None
    evidence: tuple[HeadEvidence, ...] = field(default=(), compare=False)

    @property
    def classes_(self) -> IndexArray:
        """Class numbers, under the name that scikit-learn's classifiers use."""
        return np.arange(self.coefficients[0].shape[1], dtype=np.int64)

    def predict_proba(self, vectors: FloatArray) -> DoubleArray:
        """Return probabilities, shape (n, k), rows summing to 1, of embeddings of shape (n, d).

        A row's probabilities do not depend, to the last bit, on the other rows.
        """
        # BLAS sums one row in another order than many rows; einsum does not.
        scores = [
            np.einsum("nd,kd->nk", vectors, np.ascontiguousarray(one[:-1].T)) + one[-1]
            for one in self.coefficients
        ]
        return mean_probabilities(scores, self.scales, self.scale, self.offsets)

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return the same as ``predict_proba`` except for the last bits, many times faster: float32, shape (n, k)."""
        scores = [vectors @ one[:-1] + one[-1] for one in self.coefficients]
        return np.asarray(mean_probabilities(scores, self.scales, self.scale, self.offsets), dtype=np.float32)

    def predict(self, vectors: FloatArray) -> IndexArray:
        """Return the most probable class of each row, in agreement with ``predict_proba``."""
        return np.asarray(self.predict_proba(vectors).argmax(axis=1), dtype=np.int64)


def mean_probabilities(
    scores: Sequence[FloatArray],
    scales: Sequence[float],
    scale: float,
    offsets: DoubleArray | None = None,
) -> DoubleArray:
    """Return the mean of the softmaxes of scaled ``scores``, raised to ``scale``, offset, and normalised again."""
    mean = sum(softmax(scaled * one) for one, scaled in zip(scores, scales, strict=True)) / len(scores)
    if scale != 1.0 or offsets is not None:
        return softmax(scale * log_probabilities(np.asarray(mean)) + (0.0 if offsets is None else offsets))
    return np.asarray(mean)


def log_probabilities(probabilities: DoubleArray) -> DoubleArray:
    """Return the logarithms of ``probabilities``, finite also where one is zero."""
    return np.asarray(np.log(np.maximum(probabilities, TINY)))
