"""Accuracy of the query strategies by number of labels, on labelled files, with a fast linear model.

``python benchmarks/strategies.py FILE…`` writes ``benchmarks/strategies.md``; takes about half an hour for four files.
Each FILE is parquet or CSV with the columns ``text`` and ``label``, and ``split`` (``train``, ``test``) where it has
one. Embeddings are read from a ``.npy`` of the same name beside it (same rows), or made with the encoder of the demo.

It isolates the choice of texts: no Argilla, no acceptance, one plain logistic regression. Until a model can be
trained a strategy chooses without one, as in the loop; ``argilla-loop simulate`` measures the whole loop.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.policy.query import Strategy, choose
from shared.machine import versions
from shared.sets import embeddings_of, read_frame

BUDGETS = (20, 50, 100, 200)
BATCH = 10
POOL, HELD_BACK = 3000, 1000
START = 20  # labels before the first model
STRATEGIES: tuple[Strategy, ...] = (
    "sequential", "random", "least-confidence", "margin", "entropy", "diverse", "typical", "mixed",
)  # fmt: skip
# examples that a label needs to be known to the model, texts labelled before the first model
LATER = ((1, 20), (1, 50), (1, 100), (2, 20))
JOBS = 2

REPORT = """# Query strategies: accuracy by number of labels

Mean over {seeds} seeds; up to {pool:,} pool texts in random order, up to {held_back:,} held-back texts, batches of
{batch}, logistic regression (C = 10) on fp32 all-MiniLM-L6-v2. The first {start} texts are chosen without a model; a
strategy that needs one chooses as `typical` does. *Labels found*: the number of labels with at least one example,
and with two. *ms*: median time of a choice, on a busy machine.

{sets}
## When `mixed` gets its first model

`mixed` chooses as `typical` does until *from* texts are labelled. *Each*: the model of `mixed` does not know a label
with fewer examples; the accuracy is that of a model of all labels. If *from* grows further, `mixed` becomes `typical`
in the tables above.

| set | each | from | {budgets} |
|---|---|---|{rule}
{later}

Python {python}, {versions}, {jobs} sets at a time.
Made by `python benchmarks/strategies.py FILE…`.
"""


@dataclass(frozen=True, slots=True)
class Task:
    """A labelled set, drawn by one seed: pool in random order, and texts held back."""

    pool: FloatArray
    pool_labels: NDArray[np.int64]
    test: FloatArray
    test_labels: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Point:
    """What is reached with a number of labels."""

    accuracy: float
    found: int  # labels with an example
    twice: int  # labels with two


def tasks(path: Path, seeds: int) -> Iterator[Task]:
    """The set in ``path``, drawn anew by each seed."""
    frame = read_frame(path)
    vectors = embeddings_of(path, list(frame["text"]))
    labels = np.unique(frame["label"].to_numpy(str), return_inverse=True)[1].astype(np.int64)
    held = (frame["split"] == "test").to_numpy() if "split" in frame else None
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(frame))
        test = (
            order[held[order]][:HELD_BACK] if held is not None else order[: min(HELD_BACK, len(order) // 3)]
        )
        rest = order[~held[order]] if held is not None else order[len(test) :]
        pool = rest[:POOL]
        yield Task(np.asarray(vectors[pool]), labels[pool], np.asarray(vectors[test]), labels[test])


def trained(task: Task, taken: IndexArray, at_least: int) -> LogisticRegression | None:
    """A model of the labels that have ``at_least`` examples, or ``None`` where fewer than two have."""
    labels = task.pool_labels[taken]
    enough = np.isin(labels, np.flatnonzero(np.bincount(labels) >= at_least))
    if len(set(labels[enough].tolist())) < 2:
        return None
    model = LogisticRegression(C=10, max_iter=60, tol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # near enough, and what a turn has time for
        warnings.filterwarnings(
            "ignore", "The number of unique classes", UserWarning
        )  # many labels, few texts
        return model.fit(task.pool[taken[enough]], labels[enough])


def run(
    task: Task, strategy: Strategy, seed: int, *, start: int = START, at_least: int = 1
) -> tuple[dict[int, Point], list[float]]:
    """Label up to the largest budget; what is reached at each, and the seconds of each choice."""
    left = np.arange(len(task.pool))
    taken = np.empty(0, dtype=np.int64)
    model: LogisticRegression | None = None
    points, seconds = {}, []
    while len(taken) < max(BUDGETS):
        guess = model.predict_proba(task.pool[left]).astype(np.float32) if model is not None else None
        rows, began = task.pool[left], time.perf_counter()
        chosen = choose(
            strategy, BATCH, embeddings=rows, probabilities=guess, covered=task.pool[taken],
            positions=left, seed=seed,
        )  # fmt: skip
        seconds.append(time.perf_counter() - began)
        taken = np.concatenate([taken, left[chosen]])
        left = np.delete(left, chosen)
        needs_model = strategy not in {"sequential", "random", "diverse", "typical"} and len(taken) >= start
        model = trained(task, taken, at_least) if needs_model else None
        if len(taken) in BUDGETS:
            judge = trained(task, taken, 1)
            right = 0.0 if judge is None else float((judge.predict(task.test) == task.test_labels).mean())
            counts = np.bincount(task.pool_labels[taken])
            points[len(taken)] = Point(right, int((counts > 0).sum()), int((counts > 1).sum()))
    return points, seconds


def mean(runs: Sequence[dict[int, Point]], budget: int, what: Callable[[Point], float]) -> float:
    """Over the seeds."""
    return statistics.fmean(what(points[budget]) for points in runs)


def strategies_table(path: Path, drawn: Sequence[Task]) -> Iterator[str]:
    """Lines of one set's table."""
    yield f"## {path.stem}: {len(set(drawn[0].test_labels.tolist()))} labels\n"
    yield "| strategy | " + " | ".join(map(str, BUDGETS)) + " | labels found at 100 | at 200 | ms |"
    yield "|---|" + "---|" * (len(BUDGETS) + 3)
    for strategy in STRATEGIES:
        done = [run(task, strategy, seed) for seed, task in enumerate(drawn)]
        runs = [points for points, _ in done]
        found = " | ".join(
            f"{mean(runs, b, lambda p: p.found):.0f}, {mean(runs, b, lambda p: p.twice):.0f}"
            for b in (100, 200)
        )
        milliseconds = 1000 * statistics.median(one for _, seconds in done for one in seconds)
        yield f"| {strategy} | {accuracies(runs)} | {found} | {milliseconds:.0f} |"
    yield ""


def later_rows(path: Path, drawn: Sequence[Task]) -> Iterator[str]:
    """Lines of one set for the table of the first model."""
    for at_least, start in LATER:
        runs = [run(task, "mixed", s, start=start, at_least=at_least)[0] for s, task in enumerate(drawn)]
        yield f"| {path.stem} | {at_least} | {start} | {accuracies(runs)} |"


def accuracies(runs: Sequence[dict[int, Point]]) -> str:
    """Cells, one a budget."""
    return " | ".join(f"{mean(runs, budget, lambda p: p.accuracy):.3f}" for budget in BUDGETS)


def measure(path: Path, seeds: int) -> tuple[list[str], list[str]]:
    """Both tables' lines of one set."""
    with threadpool_limits(1):
        drawn = list(tasks(path, seeds))
        return list(strategies_table(path, drawn)), list(later_rows(path, drawn))


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    with ProcessPoolExecutor(JOBS) as workers:
        measured = list(workers.map(measure, options.files, repeat(options.seeds)))
    text = REPORT.format(
        seeds=options.seeds,
        pool=POOL,
        held_back=HELD_BACK,
        batch=BATCH,
        start=START,
        jobs=JOBS,
        sets="\n".join(line for lines, _ in measured for line in lines),
        budgets=" | ".join(map(str, BUDGETS)),
        rule="---|" * len(BUDGETS),
        later="\n".join(line for _, lines in measured for line in lines),
        python=platform.python_version(),
        versions=versions(("numpy", "scikit-learn")),
    )
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
