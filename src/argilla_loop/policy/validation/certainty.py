"""Above which certainty records may be accepted, label by label."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray
from argilla_loop.policy.validation.promise import AcceptanceDecision

LEAST_ABOVE = 0.05  # share of the pool that must lie above a threshold to audit there; chosen, not measured


@dataclass(frozen=True, slots=True)
class Levels:
    """Above which certainty a record is acceptable, by label, and whether accepting it has been granted.

    Attributes:
        above: shape (k,); infinite for a label of which nothing is acceptable.
        granted: shape (k,); whether records may be accepted, or only audited.
        audited: shape (k,); above which certainty audits are drawn to gather evidence.
    """

    above: NDArray[np.float64]
    granted: NDArray[np.bool_]
    audited: NDArray[np.float64]

    def acceptable(self, columns: IndexArray, certainties: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which records may be accepted, or audited instead."""
        return self.granted[columns] & (certainties > self.above[columns])

    def audit_eligible(self, columns: IndexArray, certainties: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which records may be audited to gather evidence for accepting."""
        return certainties > self.audited[columns]


def levels_of(
    labels: Sequence[str],
    decisions: Mapping[str, AcceptanceDecision],
    *,
    closed: Container[str] = (),
    audit_threshold: float = 1.0,
) -> Levels:
    """Return the levels for ``labels``, in their order.

    Args:
        labels: of the model.
        decisions: by label; a label without one is neither accepted nor audited.
        closed: labels that are only audited, because they have too few human examples.
        audit_threshold: certainty above which to audit; never above what is granted.
    """
    above, audited = np.full(len(labels), np.inf), np.full(len(labels), np.inf)
    granted = np.zeros(len(labels), dtype=np.bool_)
    for column, label in enumerate(labels):
        if label not in decisions:
            continue
        threshold = decisions[label].threshold if label not in closed else None
        granted[column] = threshold is not None
        above[column] = audit_threshold if threshold is None else threshold
        audited[column] = min(audit_threshold, above[column])
    return Levels(above, granted, audited)


def mean_above(certainties: NDArray[np.float64], thresholds: Sequence[float]) -> dict[float, float]:
    """Return the mean of the ``certainties`` above each threshold, which is the model's estimate of its own precision.

    Thresholds with hardly any texts above them are left out, because auditing there gains nothing.
    """
    above = {threshold: certainties[certainties > threshold] for threshold in thresholds}
    least = LEAST_ABOVE * len(certainties)
    return {threshold: float(values.mean()) for threshold, values in above.items() if len(values) > least}
