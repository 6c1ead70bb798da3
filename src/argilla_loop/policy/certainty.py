"""Which scored records the service may validate by itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import FloatArray, IndexArray, Route


def best(probabilities: FloatArray) -> tuple[IndexArray, NDArray[np.float64]]:
    """Column of the most probable label of each row, and its probability, the certainty.

    Args:
        probabilities: shape (n, k).

    Returns:
        Columns (n,) and certainties (n,); the leftmost column where labels tie.
    """
    columns = probabilities.argmax(axis=1).astype(np.int64)
    return columns, probabilities[np.arange(len(probabilities)), columns].astype(np.float64)


def route(certainty: float, *, threshold: float | None) -> Route:
    """``ACCEPT`` above ``threshold``, else ``ASK``; a threshold of ``None`` means that people see everything."""
    return Route.ACCEPT if threshold is not None and certainty > threshold else Route.ASK
