"""What the rows say: accuracy at so many labels, labels needed for so much accuracy. Pure."""

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

BY_VOTES = ", by votes"  # the same runs of the baseline, measured as its classifier does not show
BUDGETS = (10, 25, 50, 100, 200, 500, 1000, 2000, 5000)
MOST_BUDGETS = 6
CONFIDENCE = 0.95
LEAST_RUNS = 3  # an interval from two runs is so wide that it says nothing

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One run's learning curve: a point for each number of human labels, ascending."""

    strategy: str
    seed: int
    labels: DoubleArray
    accuracy: DoubleArray

    def at(self, labels: float) -> float | None:
        """Accuracy after so many labels: the last one measured by then; ``None`` where the run did not get there."""
        if labels > self.labels[-1] or labels < self.labels[0]:
            return None
        return float(self.accuracy[np.searchsorted(self.labels, labels, side="right") - 1])

    def reaches(self, accuracy: float) -> float | None:
        """The labels from which on the smoothed curve stays at or above ``accuracy``; ``None`` where it never is.

        Smoothed by isotonic regression, the curve that never falls and lies nearest to the points (least squares): what
        more labels give cannot be lost again, and one lucky point is averaged with the unlucky ones after it.
        """
        smooth = IsotonicRegression().fit_transform(self.labels, self.accuracy)
        there = np.flatnonzero(smooth >= accuracy - 1e-9)
        return float(self.labels[there[0]]) if len(there) else None


@dataclass(frozen=True, slots=True)
class Band:
    """Mean over runs at each number of labels, and half its confidence interval (Student's t; NaN below three runs)."""

    labels: DoubleArray
    mean: DoubleArray
    half: DoubleArray


@dataclass(frozen=True, slots=True)
class Needed:
    """How many labels a strategy needs for the baseline's final accuracy.

    Attributes:
        reached: how many of its runs get there.
        runs: of all.
        labels: mean over runs; one that does not get there counts with all labels that it was given, so that the mean
            is then a lower bound.
        share: of the labels that the baseline was given.
    """

    reached: int
    runs: int
    labels: float
    share: float


def curves(rows: Iterable[Row]) -> dict[str, list[Curve]]:
    """The curves of all runs by strategy, the baseline's last; where a count has several rows the last one counts.

    Of a strategy that has finished runs only those are taken: half a run would shift every mean.
    """
    points: dict[tuple[str, int], dict[float, float]] = defaultdict(dict)
    whole: set[tuple[str, int]] = set()
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
                whole.add((strategy, seed))
    begun = {strategy for strategy, _ in whole}
    runs: dict[str, list[Curve]] = defaultdict(list)
    for (strategy, seed), by_labels in points.items():
        if strategy not in begun or (strategy, seed) in whole:
            counts = sorted(by_labels)
            values = np.asarray([by_labels[n] for n in counts])
            runs[strategy].append(Curve(strategy, seed, np.asarray(counts), values))
    return {name: runs[name] for name in sorted(runs, key=is_baseline)}


def is_baseline(name: str) -> bool:
    """Whether the runs of that name are the baseline's, in whichever way they are measured."""
    return name.removesuffix(BY_VOTES) in BASELINES


def baselines(found: Mapping[str, Sequence[Curve]]) -> dict[str, Sequence[Curve]]:
    """The baseline's runs among those ``found``: as its classifier shows itself, and by its votes."""
    return {name: runs for name, runs in found.items() if is_baseline(name)}


def band(runs: Sequence[Curve]) -> Band:
    """The runs' mean curve, from where all have begun to where the first one ends."""
    first, last = max(run.labels[0] for run in runs), min(run.labels[-1] for run in runs)
    labels = np.unique(np.concatenate([run.labels for run in runs]))
    labels = labels[(labels >= first) & (labels <= last)]
    values = np.asarray([[run.at(n) for n in labels] for run in runs], dtype=np.float64)
    return Band(labels, values.mean(axis=0), np.asarray([_half(column) for column in values.T]))


def _half(values: DoubleArray) -> float:
    if len(values) < LEAST_RUNS:
        return float("nan")
    quantile = student.ppf((1 + CONFIDENCE) / 2, len(values) - 1)
    return float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def accuracy_at(runs: Sequence[Curve], labels: float) -> tuple[float, float] | None:
    """Mean accuracy after so many labels and half its confidence interval, over the runs that got there, if any."""
    found = [value for run in runs if (value := run.at(labels)) is not None]
    return (mean(found), _half(np.asarray(found))) if found else None


def budgets_up_to(labels: float) -> list[int]:
    """The label counts to show accuracy at: round ones below ``labels``, and itself."""
    return [*[n for n in BUDGETS if n < labels][1 - MOST_BUDGETS :], int(labels)]


def final_accuracy(runs: Sequence[Curve]) -> float:
    """Mean over runs of the last accuracy measured."""
    return mean(float(run.accuracy[-1]) for run in runs)


def labels_needed(runs: Sequence[Curve], baseline: Sequence[Curve]) -> Needed:
    """Labels that ``runs`` need for the mean of the ``baseline``'s final accuracies."""
    accuracy = final_accuracy(baseline)
    reached = [run.reaches(accuracy) for run in runs]
    labels = mean(float(run.labels[-1]) if n is None else n for run, n in zip(runs, reached, strict=True))
    given = mean(float(run.labels[-1]) for run in baseline)
    return Needed(
        len([n for n in reached if n is not None]), len(runs), labels, labels / given if given else 0.0
    )
