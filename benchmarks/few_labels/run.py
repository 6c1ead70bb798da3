"""Measure the cells that are missing."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from argilla_loop.domain import Encoder
from few_labels.cells import Cell, Key, read_cells
from few_labels.data import Split, draw
from few_labels.measures import measure
from few_labels.methods import METHODS
from shared.rows import write_rows


def run(splits: Iterable[Split], keys: Sequence[Key], encoder: Encoder, table: Path, commit: str) -> None:
    """Measure the ``keys`` that ``table`` lacks, and append each cell to it."""
    by_name = {split.name: split for split in splits}
    known = {cell.key for cell in read_cells(table)}
    todo = [key for key in keys if key not in known]
    started = time.monotonic()
    for number, key in enumerate(todo):
        cell = measure_cell(by_name[key.data], key, encoder, commit)
        write_rows(table, Cell, [cell], "a", digits=6)
        print(
            f"{number + 1}/{len(todo)} {time.monotonic() - started:.0f} s: {key.data} {key.method} noise {key.noise} "
            f"{key.per_label} a label, seed {key.seed}: {cell.accuracy:.3f} in {cell.fit_seconds:.2f} s",
            flush=True,
        )


def measure_cell(split: Split, key: Key, encoder: Encoder, commit: str) -> Cell:
    """Draw, fit, predict and measure one cell."""
    task = draw(split, key.per_label, key.seed, key.noise)
    started = time.perf_counter()
    fitted = METHODS[key.method](task, encoder)
    fit_ended = time.perf_counter()
    labels, probabilities = fitted.score(list(task.test))
    predict_ended = time.perf_counter()
    gold = list(task.test.values())
    votes = fitted.vote(list(task.test)) if fitted.vote else None
    return Cell(
        **key._asdict(),
        labels=len(set(split.train.values())),
        examples=len(task.examples),
        pool=len(task.pool),
        test=len(task.test),
        **measure(labels, probabilities, gold),
        vote_accuracy=float(np.mean([a == b for a, b in zip(votes, gold, strict=True)]))
        if votes
        else float("nan"),
        fit_seconds=fit_ended - started,
        predict_seconds=predict_ended - fit_ended,
        head=fitted.head,
        commit=commit,
    )
