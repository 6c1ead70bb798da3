"""Whether a tuned encoder is better than the frozen one, by what both say of the same held-out examples. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.heads.evidence import DoubleArray, fit_scale, softmax, summarise

# The gain in log-likelihood over its standard error above which it is no chance: one-sided, 2.5 %.
MIN_CERTAINTY = 2.0
# The gain in accuracy below which a tuned encoder is not worth the change: half of a point would be lost elsewhere.
MIN_GAIN = 0.01
# Lower limit of a probability before its logarithm is taken, so that one surprise does not decide.
TINY = 1e-4


@dataclass(frozen=True, slots=True)
class Verdict:
    """What cross-validation says of a tuned encoder.

    Attributes:
        frozen: share of the held-out examples that the frozen encoder's heads get right.
        tuned: the same of the tuned encoders'.
        certainty: mean gain in log-likelihood over its standard error.
        is_better: whether the tuned encoder is to be taken.
        exponent: for the probabilities of heads on the tuned encoder. A head is calibrated on examples that its encoder
            has learnt from, so that it is too sure of itself; this corrects it by what neither has seen. At most 1.
        evidence: about the tuned encoder's heads with that exponent.
    """

    frozen: float
    tuned: float
    certainty: float
    is_better: bool
    exponent: float
    evidence: HeadEvidence


def compare(frozen: FloatArray, tuned: FloatArray, labels: IndexArray) -> Verdict:
    """Compare probabilities of the same held-out examples, shape (n, k), whose labels are ``labels`` (n,).

    Both are calibrated first: the question is what the vectors tell, not how sure a head is of itself.
    """
    rows = np.arange(len(labels))
    gains: list[DoubleArray] = []
    scales: list[float] = []
    calibrated: list[DoubleArray] = []
    for probabilities in (frozen, tuned):
        logs = np.log(np.maximum(probabilities, TINY))
        scales.append(fit_scale(logs, labels))
        calibrated.append(softmax(scales[-1] * logs))
        gains.append(np.log(np.maximum(calibrated[-1][rows, labels], TINY)))
    gain = gains[1] - gains[0]
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain)) if len(gain) > 1 else np.inf
    certainty = float(gain.mean() / error) if error > 0 else 0.0
    right = [float((one.argmax(axis=1) == labels).mean()) for one in (frozen, tuned)]
    exponent = min(1.0, scales[1])
    honest = softmax(exponent * np.log(np.maximum(tuned, TINY)))
    return Verdict(
        frozen=right[0],
        tuned=right[1],
        certainty=certainty,
        is_better=certainty >= MIN_CERTAINTY and right[1] - right[0] >= MIN_GAIN,
        exponent=exponent,
        evidence=summarise("tuned", honest, labels),
    )


def is_hopeless(frozen: FloatArray, tuned: FloatArray, labels: IndexArray) -> bool:
    """Return whether the first folds already show no gain, so that the others need not be trained."""
    verdict = compare(frozen, tuned, labels)
    return verdict.certainty <= 0.0 or verdict.tuned <= verdict.frozen
