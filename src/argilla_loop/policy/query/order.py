"""Random orders of a pool that stay the same as records leave it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray


def random_ranks(positions: IndexArray, seed: int | tuple[int, ...]) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each of ``positions``, drawn from ``seed`` and the position alone.

    The other positions keep their numbers if some are removed.
    """
    if len(positions) == 0:
        return np.empty(0)
    return np.random.default_rng(seed).random(int(positions.max()) + 1)[positions]


def shuffled(positions: IndexArray, seed: int) -> IndexArray:
    """Return ``positions`` in a random order that stays the same as records leave the pool.

    The rank of a position depends on ``seed`` and the position alone, so removing some never reorders the others.
    """
    return positions[np.argsort(random_ranks(positions, seed), kind="stable")]
