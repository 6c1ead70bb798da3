"""Means and differences over seeds and sets."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from few_labels.cells import Cell, Key


class Estimate(NamedTuple):
    """A mean and its standard error (not a number from one measurement), both in points of 100."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f}" + ("" if math.isnan(self.error) else f" ± {self.error:.1f}")


class Cells:
    """All cells measured, by key."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self._by_key = {cell.key: cell for cell in cells}
        keys = list(self._by_key)
        self.data = list(dict.fromkeys(key.data for key in keys))
        self.methods = list(dict.fromkeys(key.method for key in keys))
        self.noises = sorted({key.noise for key in keys})
        self.sizes = sorted({key.per_label for key in keys})
        self.seeds = sorted({key.seed for key in keys})

    def __iter__(self) -> Iterator[Cell]:
        return iter(self._by_key.values())

    def by_seed(self, data: str, method: str, noise: float, size: int) -> dict[int, Cell]:
        """Return the cells of all seeds measured."""
        wanted = {seed: Key(data, method, noise, size, seed) for seed in self.seeds}
        return {seed: self._by_key[key] for seed, key in wanted.items() if key in self._by_key}

    def mean(self, data: str, method: str, noise: float, size: int, field: str = "accuracy") -> float:
        """Return the mean of a field over the seeds where it is a number."""
        values = [getattr(cell, field) for cell in self.by_seed(data, method, noise, size).values()]
        known = [value for value in values if not math.isnan(value)]
        return statistics.fmean(known) if known else float("nan")

    def difference(self, method: str, other: str, data: str, noise: float, size: int) -> Estimate | None:
        """Return how much more accurate ``method`` is than ``other``, over the seeds of both; None without any."""
        mine, theirs = self.by_seed(data, method, noise, size), self.by_seed(data, other, noise, size)
        return estimate([mine[seed].accuracy - theirs[seed].accuracy for seed in mine if seed in theirs])

    def loss(self, method: str, data: str, noise: float, size: int) -> Estimate | None:
        """Return the accuracy that wrong labels cost, over the seeds measured with and without them."""
        right, wrong = self.by_seed(data, method, 0.0, size), self.by_seed(data, method, noise, size)
        return estimate([right[seed].accuracy - wrong[seed].accuracy for seed in right if seed in wrong])


def estimate(shares: Sequence[float]) -> Estimate | None:
    """Return mean and standard error of shares, in points; None without any."""
    if not shares:
        return None
    error = statistics.stdev(shares) / len(shares) ** 0.5 if len(shares) > 1 else float("nan")
    return Estimate(100 * statistics.fmean(shares), 100 * error)


def average(estimates: Iterable[Estimate | None]) -> Estimate | None:
    """Return the mean over sets with equal weights, and its standard error from their independent errors."""
    known = [one for one in estimates if one is not None]
    if not known:
        return None
    error = sum(one.error**2 for one in known) ** 0.5 / len(known)
    return Estimate(statistics.fmean(one.mean for one in known), error)
