"""Evidence about a head from cross-validation on people's examples: its accuracy and its calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray

DoubleArray = NDArray[np.float64]

# The certainty above which precision and coverage are reported: the default certainty threshold of the settings.
CERTAIN = 0.9
# Bins of the calibration error, as in Guo et al. (2017).
BINS = 15
# Limits of the search for a scale. Chosen, not measured.
SCALES = (0.02, 100.0)
# Lower limit of a probability in a log-loss, so that one surprise does not decide between heads. Chosen, not measured.
MIN_PROBABILITY = 1e-6
# Folds by the number of examples: nearly leave-one-out up to 60, five up to 1,000, then three. More folds changed no
# choice there and cost a second; observed when the heads were written, no table records it.
SMALL, MEDIUM = 60, 1000


def assign_folds(labels: IndexArray, count: int, seed: int) -> IndexArray:
    """Return a fold 0..count-1 for each row: labels spread evenly over folds, folds of even size; seeded."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % count
    return fold


def count_folds(rows: int) -> int:
    """Return the number of folds for ``rows`` examples: nearly leave-one-out for a few, three for thousands."""
    if rows <= SMALL:
        return min(rows, 10)
    return 5 if rows <= MEDIUM else 3


def softmax(scores: FloatArray | DoubleArray) -> DoubleArray:
    """Return probabilities, shape (n, k), of scores of that shape."""
    shifted = np.asarray(scores, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def fit_scale(scores: FloatArray | DoubleArray, labels: IndexArray) -> float:
    """Return the factor on held-out ``scores`` (n, k) whose softmax has the least log-loss.

    This is temperature scaling (Guo et al. 2017). The right label's target is (n + 1) / (n + 2) and not 1 (Platt
    1999): a dozen examples that all came out right are no reason to be certain of anything.
    """
    rows = np.arange(len(labels))
    centred = np.asarray(scores, dtype=np.float64)
    centred = centred - centred.max(axis=1, keepdims=True)
    doubt = 1.0 / (len(labels) + 2)
    wanted = (1 - doubt) * centred[rows, labels] + doubt * centred.mean(axis=1)

    def loss(log_scale: float) -> float:
        scale = np.exp(log_scale)
        return float((np.log(np.exp(scale * centred).sum(axis=1)) - scale * wanted).mean())

    low, high = np.log(SCALES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 0.01})
    return float(np.exp(found.x))


def calibration_error(probabilities: DoubleArray | FloatArray, labels: IndexArray) -> float:
    """Return the expected calibration error over 15 even bins (Naeini et al. 2015; Guo et al. 2017), 0 to 1."""
    certainty, right = _certainty(probabilities, labels)
    bins = np.minimum((certainty * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, right - certainty, BINS)
    return float(np.abs(gaps).sum() / max(len(labels), 1))


def summarise(head: str, probabilities: DoubleArray | FloatArray, labels: IndexArray) -> HeadEvidence:
    """Return the evidence about ``head`` in held-out ``probabilities`` (n, k) of examples with ``labels`` (n,)."""
    certainty, right = _certainty(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels]
    certain = certainty > CERTAIN
    return HeadEvidence(
        head=head,
        examples=len(labels),
        accuracy=float(right.mean()),
        log_loss=float(-np.log(np.maximum(own, MIN_PROBABILITY)).mean()),
        calibration_error=calibration_error(probabilities, labels),
        precision=float(right[certain].mean()) if certain.any() else None,
        coverage=float(certain.mean()),
    )


def _certainty(
    probabilities: DoubleArray | FloatArray, labels: IndexArray
) -> tuple[DoubleArray, DoubleArray]:
    certainty = np.asarray(probabilities.max(axis=1), dtype=np.float64)
    return certainty, (probabilities.argmax(axis=1) == labels).astype(np.float64)
