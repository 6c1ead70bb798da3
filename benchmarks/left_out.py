"""The weights' constants, tuned leaving out one kind of text at a time. Writes ``kinds_left_out.md``.

    python benchmarks/left_out.py SETS [--seeds 3]

``SETS`` is what ``kind_sets.py`` wrote, with the embeddings of each set beside it (``.npy``). For each kind of text,
the constants are those with the best mean over the sets of the other kinds, and are measured on the sets of this kind.
``kinds.py`` takes the page over.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from argilla_loop.learning.heads import choose, weigh
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.scorers import PARTS, Training, fit_scorers
from argilla_loop.learning.label_names import embed_names
from few_labels.data import by_label, draw, read_split
from kinds import KINDS
from shared.encoder import fp32_encoder
from shared.sets import read_frame
from shared.tables import table

SIZES = (2, 8, 32)
SHARES, COSTS, PRIORS = (0.2, 0.35, 0.5), (0.0, 0.5, 1.0, 2.0), (1.0, 3.0, 10.0)
FEW = 20  # labels of a set; with more a run takes hours
POOL, TEST = 2500, 800
HERE = Path(__file__).parent
Constants = tuple[float, float, float]


def main() -> None:
    """Measure all constants in all cells, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("sets", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    asked = parser.parse_args()
    used = (weigh.PRIOR, weigh.NAME_COST, choose.NAMES_SHARE)
    found: dict[tuple[str, int], dict[Constants, list[float]]] = defaultdict(lambda: defaultdict(list))
    with threadpool_limits(1):
        for kind, names in KINDS.items():
            for name in names:
                for size, constants, accuracy in _measure(asked.sets / f"{name}.parquet", asked.seeds):
                    found[kind, size][constants].append(accuracy)
                print(kind, name, flush=True)

    def mean(kinds: list[str], constants: Constants) -> float:
        return statistics.fmean(
            statistics.fmean(found[kind, size][constants]) for kind in kinds for size in SIZES
        )

    kinds = [kind for kind in KINDS if found[kind, SIZES[0]]]
    grid = list(found[kinds[0], SIZES[0]])
    rows = []
    for kind in kinds:
        others = [other for other in kinds if other != kind]
        best = max(grid, key=lambda one: mean(others, one))
        row = [kind, ", ".join(f"{one:g}" for one in best), f"{mean(others, best) - mean(others, used):.2f}"]
        for size in SIZES:
            row += [f"{statistics.fmean(found[kind, size][one]):.1f}" for one in (best, used)]
        rows.append(row)
    columns = ["kind", "prior, cost, share", "better than those in use on the others"]
    columns += [f"{size} a class, {what}" for size in SIZES for what in ("left out", "in use")]
    (HERE / "kinds_left_out.md").write_text(
        "## Constants tuned without a kind\n\nThe strength of the prior, the cost of names and their share are those "
        f"that are best on the *other* kinds. In use are {used[0]:g}, {used[1]:g} and {used[2]:g}. "
        f"{asked.seeds} seeds, sets of up to {FEW} labels.\n\n{table(columns, rows)}\n",
        encoding="utf-8",
    )


def _measure(file: Path, seeds: int) -> list[tuple[int, Constants, float]]:
    split = read_split(file)
    labels = sorted(by_label(split.train))
    if len(labels) > FEW:
        return []
    vectors = dict(
        zip(read_frame(file)["text"], np.load(file.with_suffix(".npy")).astype(np.float32), strict=True)
    )
    encoder = fp32_encoder(Path(tempfile.gettempdir()) / "argilla-loop-accuracy")
    names, cells = embed_names(labels, encoder), []
    for size, seed in itertools.product(SIZES, range(seeds)):
        task = draw(split, size, seed, 0.0)
        training = Training(
            vectors=np.stack([vectors[text] for text in task.examples]),
            labels=np.array([labels.index(label) for label in task.examples.values()]),
            trusted=np.ones(len(task.examples), dtype=np.int64),
            weights=np.ones(len(task.examples), dtype=np.float32),
            names=names,
            graph=PoolGraph(np.stack([vectors[text] for text in task.pool[:POOL]])),
        )
        evident, fold, count = choose.hold_out(training, seed)
        scorers = fit_scorers(training, fold, count, PARTS["weighed"], with_names=False)
        texts = list(task.test)[:TEST]
        test, gold = (
            np.stack([vectors[text] for text in texts]),
            [labels.index(task.test[text]) for text in texts],
        )
        for constants in itertools.product(PRIORS, COSTS, SHARES):
            weigh.PRIOR, weigh.NAME_COST, choose.NAMES_SHARE = constants
            head = choose.weighed_head("weighed", scorers, evident, training.labels[evident], covered=True)
            cells.append((size, constants, 100 * float((head.predict(test) == gold).mean())))
    return cells


if __name__ == "__main__":
    main()
