"""Measures of a model's uncertainty about each text, higher meaning less sure (Settles 2009, section 3.1)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from argilla_loop.domain import FloatArray

# Rows measured at a time, so that many labels times many texts need no second copy. Chosen, not measured.
CHUNK = 8192


def least_confidence(probabilities: FloatArray) -> FloatArray:
    """Return one minus the highest probability, shape (n,), for ``probabilities`` of shape (n, k)."""
    return np.asarray(1.0 - probabilities.max(axis=1), dtype=np.float32)


def margin(probabilities: FloatArray) -> FloatArray:
    """Return one minus the lead of the most probable label over the second, shape (n,)."""
    if probabilities.shape[1] == 1:
        return least_confidence(probabilities)
    rest = probabilities.copy()
    rows, first = np.arange(len(rest)), rest.argmax(axis=1)
    rest[rows, first] = -np.inf
    return np.asarray(1.0 - (probabilities[rows, first] - rest.max(axis=1)), dtype=np.float32)


def entropy(probabilities: FloatArray) -> FloatArray:
    """Return the Shannon entropy in nats, shape (n,)."""
    logarithms = np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
    return np.asarray(-(probabilities * logarithms).sum(axis=1), dtype=np.float32)


def measure_in_chunks(measure: Callable[[FloatArray], FloatArray], probabilities: FloatArray) -> FloatArray:
    """Return ``measure`` of all rows, float32 of shape (n,)."""
    found = np.empty(len(probabilities), dtype=np.float32)
    for start in range(0, len(found), CHUNK):
        found[start : start + CHUNK] = measure(probabilities[start : start + CHUNK])
    return found
