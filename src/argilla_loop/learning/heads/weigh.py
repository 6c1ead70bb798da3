"""Weigh scorers by evidence: how much each counts is fitted on held-out examples, instead of choosing one of them.

The scores are added with weights, which multiplies the probabilities (a logarithmic pool, Genest and Zidek 1986). The
weights minimise a log-loss that is convex in them, so there is one solution. As all scorers are linear, their weighted
sum is again one linear scorer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.evidence import DoubleArray

# Strength of the prior: weights are drawn to their prior share with PRIOR / 2 nats for each squared unit. Of 1, 3 and
# 10, 3 is best or within 0.1 points, whichever kind of text is left out (benchmarks/kinds.md).
PRIOR = 3.0
# Nats that a unit of the names' weight must gain. It makes the weight exactly 0 where names say nothing (Tibshirani
# 1996): names that are exchanged between the labels then cost at most 0.3 points from four examples a label on.
NAME_COST = 1.0
# Share of its prior that the weight of a scorer of examples keeps at least: held out, two examples a label can all be
# predicted wrongly, and without any weight there would be no prediction. Chosen, not measured.
LEAST = 0.1


def weigh(
    scores: Sequence[FloatArray | DoubleArray],
    labels: IndexArray,
    shares: Sequence[float],
    *,
    names: Sequence[bool],
) -> NDArray[np.float64]:
    """Return the weight of each of ``scores``, none negative.

    The right label's target is (n + 1) / (n + 2), as in ``evidence.fit_scale``.

    Args:
        scores: of held-out examples, each of shape (n, k), scaled so that its softmax is calibrated.
        labels: theirs, shape (n,).
        shares: what each weight is drawn to.
        names: whether a scorer sees names only: its weight costs ``NAME_COST`` and may be 0.

    Returns:
        Shape (e,), one for each scorer.
    """
    n, k = scores[0].shape
    stacked = np.stack([np.asarray(one, dtype=np.float64).ravel() for one in scores], axis=1)
    doubt = 1.0 / (n + 2)
    target = np.full((n, k), doubt / k)
    target[np.arange(n), labels] += 1.0 - doubt
    wanted = target.ravel() @ stacked
    share, is_name = np.asarray(shares, dtype=np.float64), np.asarray(names, dtype=np.bool_)
    cost = NAME_COST * is_name

    def loss(weights: DoubleArray) -> tuple[float, DoubleArray]:
        summed = (stacked @ weights).reshape(n, k)
        highest = summed.max(axis=1, keepdims=True)
        powers = np.exp(summed - highest)
        total = powers.sum(axis=1, keepdims=True)
        away = weights - share
        value = (np.log(total) + highest).sum() + (cost - wanted) @ weights + PRIOR * (away @ away) / 2
        return float(value), (powers / total).ravel() @ stacked - wanted + cost + PRIOR * away

    least = np.where(is_name, 0.0, LEAST * share)
    found = minimize(loss, share, jac=True, method="L-BFGS-B", bounds=[(float(one), None) for one in least])
    return np.asarray(found.x, dtype=np.float64)
