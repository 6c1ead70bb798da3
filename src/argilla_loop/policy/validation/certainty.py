"""How certain a model is of a record, and above which certainty records may be accepted."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray
from argilla_loop.policy.validation.promise import AcceptanceDecision

LEAST_ABOVE = 0.05  # share of the texts above a threshold that is worth checking


@dataclass(frozen=True, slots=True)
class Levels:
    """Above which certainty a record is acceptable, by label, and whether accepting it has been granted.

    Attributes:
        above: shape (k,); infinite where nothing of that label is acceptable.
        granted: shape (k,); where not, acceptable records may only be audited.
    """

    above: NDArray[np.float64]
    granted: NDArray[np.bool_]

    def acceptable(self, columns: IndexArray, certainties: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which records may be accepted, or audited in their place."""
        return self.granted[columns] & (certainties > self.above[columns])

    def audit_eligible(self, columns: IndexArray, certainties: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which records may be audited, so that one day others like them are accepted."""
        return ~self.granted[columns] & (certainties > self.above[columns])


def levels(
    labels: Sequence[str],
    decisions: Mapping[str, AcceptanceDecision],
    *,
    closed: Container[str] = (),
    audit_threshold: float = 1.0,
) -> Levels:
    """The levels for ``labels``, in their order.

    Args:
        labels: of the model.
        decisions: by label; a label without one is not accepted, nor checked.
        closed: labels that are neither, as people have labelled too few of them.
        audit_threshold: above which to look where nothing is granted.
    """
    above = np.full(len(labels), np.inf)
    granted = np.zeros(len(labels), dtype=np.bool_)
    for column, label in enumerate(labels):
        if label not in decisions or label in closed:
            continue
        threshold = decisions[label].threshold
        granted[column] = threshold is not None
        above[column] = audit_threshold if threshold is None else threshold
    return Levels(above, granted)


def mean_above(certainties: NDArray[np.float64], thresholds: Sequence[float]) -> dict[float, float]:
    """Mean of the ``certainties`` above each threshold: what the model takes its precision for.

    Thresholds that hardly anything lies above are left out: nothing is gained by checking there.
    """
    above = {threshold: certainties[certainties > threshold] for threshold in thresholds}
    least = LEAST_ABOVE * len(certainties)
    return {threshold: float(values.mean()) for threshold, values in above.items() if len(values) > least}
