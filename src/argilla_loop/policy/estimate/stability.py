"""How much successive models agree."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

KEPT = 10  # comparisons; chosen, not measured


class Stability:
    """Compares each model with the one before it, on a fixed random sample of the pool.

    Args:
        model: version of the latest model, if it is known from an earlier process.
        agreement: what that process found; it stays valid only if the next model is the same.
    """

    def __init__(self, model: str | None = None, agreement: Sequence[float] = ()) -> None:
        self._model, self._agreement = model, tuple(agreement)
        self._before: tuple[str, Sequence[str]] | None = None  # sample and predictions of the latest model

    def follow(self, model: str, sample: str, predicted: Sequence[str]) -> tuple[float, ...]:
        """Return Cohen's kappa of successive models, the latest last.

        Args:
            model: version of the current model; the same version adds nothing.
            sample: fingerprint of the sample; predictions on different samples are not compared.
            predicted: what the current model predicts on it.
        """
        if model != self._model:
            if self._before is None:
                self._agreement = ()  # the models of an earlier process cannot be compared with this one
            elif self._before[0] == sample:
                self._agreement = (*self._agreement, kappa(self._before[1], predicted))[-KEPT:]
        self._model, self._before = model, (sample, predicted)
        return self._agreement


def kappa(one: Sequence[str], other: Sequence[str]) -> float:
    """Return Cohen's kappa (1960) of two labellings of the same texts; 1 if both give one label to all of them."""
    names = {name: n for n, name in enumerate(sorted({*one, *other}))}
    table = np.zeros((len(names), len(names)))
    np.add.at(table, ([names[a] for a in one], [names[b] for b in other]), 1.0)
    table /= max(table.sum(), 1.0)
    chance = float((table.sum(axis=0) * table.sum(axis=1)).sum())
    return 1.0 if chance >= 1 else (float(np.trace(table)) - chance) / (1 - chance)
