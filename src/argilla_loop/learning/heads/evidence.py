"""What cross-validation on people's examples says of a head: how right it is, and whether its probabilities mean it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray

DoubleArray = NDArray[np.float64]

CERTAIN = 0.9  # where precision and coverage are reported: the default certainty threshold
BINS = 15
SCALES = (0.02, 100.0)
# What a probability of nothing counts for, so that one surprise does not decide between heads.
LEAST = 1e-6


def folds(labels: IndexArray, count: int, seed: int) -> IndexArray:
    """Give each row a fold 0..count-1: labels spread evenly over folds, folds of even size; seeded."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    fold = np.empty(len(labels), dtype=np.int64)
    fold[order] = np.arange(len(labels)) % count
    return fold


def folds_for(rows: int) -> int:
    """How many folds ``rows`` examples are worth: nearly leave-one-out for a few, three for thousands."""
    if rows <= 60:  # noqa: PLR2004 - see below
        return min(rows, 10)
    return 5 if rows <= 1000 else 3  # noqa: PLR2004 - more folds change no choice there, and cost a second


def softmax(scores: FloatArray | DoubleArray) -> DoubleArray:
    """Probabilities, shape (n, k), of scores of that shape."""
    shifted = np.asarray(scores, dtype=np.float64)
    shifted = np.exp(shifted - shifted.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def fit_scale(scores: FloatArray | DoubleArray, labels: IndexArray) -> float:
    """Find the factor on held-out ``scores`` (n, k) whose softmax has the least log-loss.

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
    """Expected calibration error over 15 bins of even width (Naeini et al. 2015; Guo et al. 2017), 0 to 1."""
    certainty, right = _certainty(probabilities, labels)
    bins = np.minimum((certainty * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, right - certainty, BINS)
    return float(np.abs(gaps).sum() / max(len(labels), 1))


def evidence_of(head: str, probabilities: DoubleArray | FloatArray, labels: IndexArray) -> HeadEvidence:
    """What held-out ``probabilities`` (n, k) of examples with ``labels`` (n,) say of ``head``."""
    certainty, right = _certainty(probabilities, labels)
    own = probabilities[np.arange(len(labels)), labels]
    certain = certainty > CERTAIN
    return HeadEvidence(
        head=head,
        examples=len(labels),
        accuracy=float(right.mean()),
        log_loss=float(-np.log(np.maximum(own, LEAST)).mean()),
        calibration_error=calibration_error(probabilities, labels),
        precision=float(right[certain].mean()) if certain.any() else None,
        coverage=float(certain.mean()),
    )


def _certainty(
    probabilities: DoubleArray | FloatArray, labels: IndexArray
) -> tuple[DoubleArray, DoubleArray]:
    certainty = np.asarray(probabilities.max(axis=1), dtype=np.float64)
    return certainty, (probabilities.argmax(axis=1) == labels).astype(np.float64)
