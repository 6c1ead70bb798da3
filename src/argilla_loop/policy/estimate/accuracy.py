"""The stratified estimate of a model's accuracy, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.policy.estimate.strata import EDGES, effective_size, shares_of, stratum_of

# Before any result, a stratum is taken to be as accurate as the model is certain, with the weight of so many results.
# The interval believes the model less than the estimate does: its lower end allows for errors that the model did not
# expect, its upper end for fewer than it expected. So it holds with about its nominal share whether the model says too
# much or too little of itself (benchmarks/stopping.md).
PRIOR_RESULTS = 2.0
CAUTIOUS_RESULTS, UNEXPECTED = 1.0, 0.25
# Standard deviations of intercept and slope. Wider ones lose more where the certainties mean what they say than they
# gain where they do not (tests/unit/test_estimate.py has such texts).
CALIBRATION_PRIOR = (0.4, 0.2)
DRAWS = 4000  # of the posterior; the quantiles are then exact to about half a percentage point


@dataclass(frozen=True, slots=True)
class Result:
    """What people said of one text, compared with the model.

    Attributes:
        certainty: of the model's prediction.
        right: whether people gave the same label.
        weight: see ``strata.Draw``.
    """

    certainty: float
    right: bool
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated share.

    Attributes:
        value: the estimate, 0 to 1.
        low: lower end of the interval.
        high: upper end of the interval.
        results: number of human answers that it is based on.
    """

    value: float
    low: float
    high: float
    results: int


def estimate_accuracy(
    results: Sequence[Result], certainties: NDArray[np.float64], *, confidence: float
) -> Estimate:
    """Estimate on which share of the texts with these ``certainties`` the model is right.

    Each stratum of certainty has a beta distribution: its prior is the model's own certainty, its results count with
    their effective number. The strata are put together by their share of the texts (post-stratification).

    Args:
        results: of a random sample.
        certainties: shape (n,), of the texts in question.
        confidence: probability of the interval, 0 to 1.
    """
    return _combined(results, certainties, confidence)


def estimate_labels(
    results: Sequence[Result],
    certainties: NDArray[np.float64],
    *,
    scale: float = 1.0,
    accepted: int,
    accepted_results: Sequence[bool],
    human: int,
    confidence: float,
) -> Estimate:
    """Estimate which share of all texts has the right label once the model labels what is left.

    The labels of people count as right.

    Args:
        results: of a random sample, for the texts that are left.
        certainties: shape (n,), of the texts that are left, or of a random part of them.
        scale: number of texts that each certainty stands for.
        accepted: number of records that the service has accepted.
        accepted_results: of the audits drawn from such records.
        human: number of texts that people have labelled.
        confidence: probability of the interval.
    """
    left = len(certainties) * scale
    total = max(left + accepted + human, 1)
    right, wrong = sum(accepted_results), len(accepted_results) - sum(accepted_results)
    mine = np.random.default_rng(1).beta(right + 0.5, wrong + 0.5, DRAWS) if accepted else np.ones(DRAWS)
    mean = (right + 0.5) / (right + wrong + 1) if accepted else 1.0
    value, rest, best = _posterior(results, certainties)
    return _estimate(
        (human + accepted * mean + left * value) / total,
        (human + accepted * mine + left * rest) / total,
        (human + accepted * mine + left * best) / total,
        confidence,
        len(results) + len(accepted_results),
    )


def calibrate(results: Sequence[Result]) -> tuple[float, float]:
    """Return ``a`` and ``b`` such that a prediction of certainty c is right with probability sigmoid(a + b logit(c)).

    This is Platt's scaling (1999), fitted to the results, with a prior that the certainties mean what they say. It lets
    the results of one stratum tell something about the others.
    """
    x = _logit(np.array([result.certainty for result in results], dtype=np.float64))
    y = np.array([result.right for result in results], dtype=np.float64)
    w = np.array([0.0, 1.0])
    precision = np.diag(1 / np.square(CALIBRATION_PRIOR))
    design = np.stack([np.ones_like(x), x], axis=1)
    for _ in range(20):  # Newton's method, which converges here in a few steps
        p = _sigmoid(design @ w)
        gradient = design.T @ (p - y) + precision @ (w - np.array([0.0, 1.0]))
        hessian = (design * (p * (1 - p))[:, None]).T @ design + precision
        w = w - np.linalg.solve(hessian, gradient)
    return float(w[0]), float(w[1])


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    p = np.clip(p, 0.02, 0.995)
    return np.asarray(np.log(p / (1 - p)))


def _sigmoid(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(1 / (1 + np.exp(-x)))


def _combined(results: Sequence[Result], certainties: NDArray[np.float64], confidence: float) -> Estimate:
    return _estimate(*_posterior(results, certainties), confidence, len(results))


def _posterior(
    results: Sequence[Result], certainties: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], NDArray[np.float64]]:
    """Return the expected accuracy over all strata, with cautious and with hopeful draws of it, shape (``DRAWS``,)."""
    a, b = calibrate(results)
    shares, means = shares_of(certainties, _sigmoid(a + b * _logit(certainties)))
    rng = np.random.default_rng(0)
    strata = stratum_of(np.array([result.certainty for result in results], dtype=np.float64))
    value, cautious, hopeful = 0.0, np.zeros(DRAWS), np.zeros(DRAWS)
    for stratum in range(len(EDGES)):
        here = [result for result, where in zip(results, strata, strict=True) if where == stratum]
        weights = [result.weight for result in here]
        worth = effective_size(weights)
        right = sum(result.weight for result in here if result.right) / sum(weights) if here else 0.0
        prior = float(np.clip(means[stratum], 0.01, 0.99))
        value += shares[stratum] * (PRIOR_RESULTS * prior + worth * right) / (PRIOR_RESULTS + worth)
        good = CAUTIOUS_RESULTS * prior + worth * right
        bad = CAUTIOUS_RESULTS * (1 - prior) + worth * (1 - right)
        cautious += shares[stratum] * rng.beta(good, bad + UNEXPECTED, DRAWS)
        hopeful += shares[stratum] * rng.beta(good + UNEXPECTED, bad, DRAWS)
    return (value, cautious, hopeful) if shares.any() else (1.0, np.ones(DRAWS), np.ones(DRAWS))


def _estimate(
    value: float,
    cautious: NDArray[np.float64],
    hopeful: NDArray[np.float64],
    confidence: float,
    results: int,
) -> Estimate:
    tail = (1 - confidence) / 2
    low, high = np.quantile(cautious, tail), np.quantile(hopeful, 1 - tail)
    return Estimate(float(value), float(min(low, value)), float(max(high, value)), results)
