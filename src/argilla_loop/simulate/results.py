"""Learning curves from rows: accuracy after a number of labels, and labels needed for an accuracy. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student
from sklearn.isotonic import IsotonicRegression

from argilla_loop.simulate.replay import BASELINES, Row

BY_VOTES = ", by votes"  # suffix for the baseline's runs, measured by the votes of its classifier
# Numbers of labels that the table shows; chosen, not measured.
BUDGETS = (10, 25, 50, 100, 200, 500, 1000, 2000, 5000)
MAX_BUDGETS = 6  # that fit the width of a terminal
CONFIDENCE = 0.95
MIN_RUNS = 3  # with two runs Student's interval is 12.7 standard errors wide on each side

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """The learning curve of one run: ascending numbers of human labels, and the accuracy after each."""

    strategy: str
    seed: int
    labels: DoubleArray
    accuracy: DoubleArray

    def at(self, labels: float) -> float | None:
        """Return the last accuracy measured by ``labels`` human labels; ``None`` where the run has none there."""
        if labels > self.labels[-1] or labels < self.labels[0]:
            return None
        return float(self.accuracy[np.searchsorted(self.labels, labels, side="right") - 1])

    def reaches(self, accuracy: float) -> float | None:
        """Return the number of labels after which the smoothed curve has ``accuracy``; ``None`` where it never has.

        The curve is smoothed by isotonic regression: the nearest curve (least squares) that never falls. So a single
        high point is averaged with lower ones after it, and a later dip does not count.
        """
        smooth = IsotonicRegression().fit_transform(self.labels, self.accuracy)
        reached = np.flatnonzero(smooth >= accuracy - 1e-9)  # less than a rounding error
        return float(self.labels[reached[0]]) if len(reached) else None


@dataclass(frozen=True, slots=True)
class MeanCurve:
    """The mean over runs at each number of labels, with its confidence interval.

    Attributes:
        labels: numbers of human labels, ascending.
        mean: mean accuracy over the runs.
        half_width: half of the interval's width (Student's t); NaN with fewer than ``MIN_RUNS`` runs.
    """

    labels: DoubleArray
    mean: DoubleArray
    half_width: DoubleArray


@dataclass(frozen=True, slots=True)
class LabelsNeeded:
    """How many labels a strategy needs for the baseline's final accuracy.

    Attributes:
        reached: number of its runs that reach the accuracy.
        runs: number of all its runs.
        labels: mean over runs. A run that does not reach the accuracy counts with all its labels, and the mean is then
            a lower bound.
        share: ``labels`` as a share of the labels that the baseline was given.
    """

    reached: int
    runs: int
    labels: float
    share: float


def curves(rows: Iterable[Row]) -> dict[str, list[Curve]]:
    """Return the curves of all runs by strategy, the baseline's last.

    Where several rows have the same number of labels, the last one counts. Where a strategy has finished runs, its
    unfinished ones are left out: half a run would shift every mean.
    """
    points: dict[tuple[str, int], dict[float, float]] = defaultdict(dict)
    finished: set[tuple[str, int]] = set()
    for row in rows:
        seed, labels = int(row["seed"] or 0), float(row["human_labels"] or 0)
        shown = float(row["accuracy"] or 0)
        found = {str(row["strategy"]): shown}
        if row["strategy"] in BASELINES:
            votes = row.get("accuracy_votes")
            found[f"{row['strategy']}{BY_VOTES}"] = shown if votes is None else float(votes)
        for strategy, accuracy in found.items():
            points[strategy, seed][labels] = accuracy
            if row["finished"]:
                finished.add((strategy, seed))
    with_finished = {strategy for strategy, _ in finished}
    runs: dict[str, list[Curve]] = defaultdict(list)
    for (strategy, seed), by_labels in points.items():
        if strategy not in with_finished or (strategy, seed) in finished:
            counts = sorted(by_labels)
            values = np.asarray([by_labels[n] for n in counts])
            runs[strategy].append(Curve(strategy, seed, np.asarray(counts), values))
    return {name: runs[name] for name in sorted(runs, key=is_baseline)}


def is_baseline(name: str) -> bool:
    """Whether the runs with this name are the baseline's, measured in either way."""
    return name.removesuffix(BY_VOTES) in BASELINES


def baselines(found: Mapping[str, Sequence[Curve]]) -> dict[str, Sequence[Curve]]:
    """Return the baseline's runs among those ``found``: measured by probabilities, and by votes."""
    return {name: runs for name, runs in found.items() if is_baseline(name)}


def mean_curve(runs: Sequence[Curve]) -> MeanCurve:
    """Return the mean of the runs, from where all have a point to where the first one ends."""
    first, last = max(run.labels[0] for run in runs), min(run.labels[-1] for run in runs)
    labels = np.unique(np.concatenate([run.labels for run in runs]))
    labels = labels[(labels >= first) & (labels <= last)]
    values = np.asarray([[run.at(n) for n in labels] for run in runs], dtype=np.float64)
    return MeanCurve(labels, values.mean(axis=0), np.asarray([_half_width(column) for column in values.T]))


def _half_width(values: DoubleArray) -> float:
    if len(values) < MIN_RUNS:
        return float("nan")
    quantile = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def accuracy_at(runs: Sequence[Curve], labels: float) -> tuple[float, float] | None:
    """Return mean accuracy after ``labels`` labels, and half the width of its confidence interval.

    Only runs that got there count; ``None`` where there are none.
    """
    found = [value for run in runs if (value := run.at(labels)) is not None]
    return (mean(found), _half_width(np.asarray(found))) if found else None


def budgets_up_to(labels: float) -> list[int]:
    """Return the numbers of labels to show accuracy at: round ones below ``labels``, and ``labels``."""
    return [*[n for n in BUDGETS if n < labels][1 - MAX_BUDGETS :], int(labels)]


def final_accuracy(runs: Sequence[Curve]) -> float:
    """Return the mean over runs of the last accuracy measured."""
    return mean(float(run.accuracy[-1]) for run in runs)


def labels_needed(runs: Sequence[Curve], baseline: Sequence[Curve]) -> LabelsNeeded:
    """Return the labels that ``runs`` need for the mean of the ``baseline``'s final accuracies."""
    accuracy = final_accuracy(baseline)
    reached = [run.reaches(accuracy) for run in runs]
    labels = mean(float(run.labels[-1]) if n is None else n for run, n in zip(runs, reached, strict=True))
    given = mean(float(run.labels[-1]) for run in baseline)
    return LabelsNeeded(
        len([n for n in reached if n is not None]), len(runs), labels, labels / given if given else 0.0
    )
