"""Drawing held-back records by strata of the model's certainty, with known inclusion probabilities.

A stratum whose texts the model is often wrong about says more about accuracy than one where it is nearly always right.
So a draw first picks a stratum, with a probability proportional to its size and to the expected standard deviation of
its results (Neyman 1934), and then a text of that stratum at random. The weight of a drawn text is the ratio of its
stratum's size to that probability; weighted means are unbiased for all texts (Horvitz and Thompson 1952).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray
from argilla_loop.policy.chance import chance

# Lower edges of the strata of certainty; the upper ones are usual certainty thresholds. Chosen, not measured.
EDGES = (0.0, 0.5, 0.7, 0.9, 0.97)
# The least standard deviation that is expected of any stratum: a model that is wrongly certain must be found out.
LEAST_DEVIATION = 0.15  # that of 2.3% errors; chosen, not measured


@dataclass(frozen=True, slots=True)
class Draw:
    """One text that is drawn to be held back.

    Attributes:
        position: index into the candidates.
        weight: number of texts that it stands for, relative to a plain random draw (mean 1).
    """

    position: int
    weight: float


def stratum_of(certainties: NDArray[np.float64]) -> IndexArray:
    """Return the stratum of each certainty, shape (n,): an index into ``EDGES``."""
    return np.searchsorted(np.asarray(EDGES[1:]), certainties, side="right").astype(np.int64)


def draw_held_back(
    certainties: NDArray[np.float64], order: IndexArray, count: int, *, seed: int, batch: int
) -> list[Draw]:
    """Draw ``count`` different candidates.

    Args:
        certainties: shape (n,), of all candidates.
        order: a permutation of the candidates, the same at every turn; within a stratum the first ones are taken.
        count: how many to draw.
        seed: of the draw of strata.
        batch: number of the batch, so that each batch draws anew.
    """
    strata = stratum_of(certainties)
    queues = [list(order[strata[order] == stratum]) for stratum in range(len(EDGES))]
    sizes = np.array([len(queue) for queue in queues], dtype=np.float64)
    sums = np.bincount(strata, weights=certainties, minlength=len(EDGES))
    means = np.divide(sums, sizes, out=np.zeros(len(EDGES)), where=sizes > 0)
    deviations = np.maximum(np.sqrt(means * (1 - means)), LEAST_DEVIATION)
    drawn: list[Draw] = []
    for number in range(min(count, len(order))):
        shares = np.array([len(queue) > 0 for queue in queues]) * sizes * deviations
        probabilities = shares / shares.sum()
        point = chance(f"held-back/{seed}/{batch}/{number}")
        stratum = int(np.searchsorted(np.cumsum(probabilities), point, side="right").clip(max=len(EDGES) - 1))
        if not queues[stratum]:  # rounding at the very end of the cumulated probabilities
            stratum = int(np.argmax(probabilities))
        weight = sizes[stratum] / sizes.sum() / probabilities[stratum]
        drawn.append(Draw(int(queues[stratum].pop(0)), round(float(weight), 6)))
    return drawn


def shares_of(
    certainties: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of the texts in each stratum, and the mean of their ``values`` (0.5 without texts)."""
    strata = stratum_of(certainties)
    sizes = np.bincount(strata, minlength=len(EDGES)).astype(np.float64)
    sums = np.bincount(strata, weights=values, minlength=len(EDGES))
    means = np.divide(sums, sizes, out=np.full(len(EDGES), 0.5), where=sizes > 0)
    return sizes / max(sizes.sum(), 1), means


def effective_size(weights: Sequence[float]) -> float:
    """Return how many equally weighted draws are worth as much as these (Kish 1965)."""
    squares = math.fsum(weight * weight for weight in weights)
    return math.fsum(weights) ** 2 / squares if squares else 0.0
