"""Measures of answers and their probabilities."""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from few_labels.data import Texts

CERTAIN = 0.9  # the service's default threshold
BINS = 15  # as in Guo et al. 2017


class Measures(TypedDict):
    """Measures of answers, see ``measure``."""

    accuracy: float
    macro_f1: float
    ece: float
    precision_certain: float
    coverage_certain: float


def measure(labels: Texts, probabilities: NDArray[np.float64], gold: Texts) -> Measures:
    """Return accuracy, macro-F1 over the gold labels, calibration error, and precision and coverage above ``CERTAIN``.

    Calibration error is ECE with ``BINS`` equal-width bins of the highest probability
    (Guo et al. 2017, "On Calibration of Modern Neural Networks").

    Args:
        labels: the columns' labels.
        probabilities: shape (n, len(labels)).
        gold: the right label of each row.
    """
    from sklearn.metrics import f1_score  # noqa: PLC0415 - seconds, the report does without

    predicted = np.array(labels, dtype=object)[probabilities.argmax(axis=1)]
    certainty = probabilities.max(axis=1)
    right = predicted == np.array(gold, dtype=object)
    bins = np.minimum((certainty * BINS).astype(int), BINS - 1)
    gaps = [abs(float((right - certainty)[bins == one].sum())) for one in np.unique(bins)]
    certain = certainty > CERTAIN
    return {
        "accuracy": float(right.mean()),
        "macro_f1": float(
            f1_score(gold, list(predicted), labels=sorted(set(gold)), average="macro", zero_division=0.0)
        ),
        "ece": sum(gaps) / len(gold),
        "precision_certain": float(right[certain].mean()) if certain.any() else float("nan"),
        "coverage_certain": float(certain.mean()),
    }
