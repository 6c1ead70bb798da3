"""Orders in which a pool can be gone through, the same ones as records leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray


def ranks(positions: IndexArray, seed: int | tuple[int, ...]) -> NDArray[np.float64]:
    """A number in [0, 1) for each of ``positions``, drawn from ``seed`` and the position alone.

    So the others keep theirs when some positions are taken away.
    """
    if len(positions) == 0:
        return np.empty(0)
    return np.random.default_rng(seed).random(int(positions.max()) + 1)[positions]


def shuffled(positions: IndexArray, seed: int) -> IndexArray:
    """``positions`` in a random order that stays the same as records leave the pool.

    Each position draws its rank from ``seed`` and itself alone, so taking some away never reorders the rest.
    """
    return positions[np.argsort(ranks(positions, seed), kind="stable")]
