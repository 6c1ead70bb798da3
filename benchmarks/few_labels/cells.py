"""One measurement a cell, and the table that keeps them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from shared.rows import read_rows, write_rows


class Key(NamedTuple):
    """The key of a cell."""

    data: str
    method: str
    noise: float
    per_label: int
    seed: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: a line of ``accuracy.csv``. Shares are between 0 and 1."""

    data: str
    method: str
    noise: float
    per_label: int
    seed: int
    labels: int
    examples: int
    pool: int
    test: int
    accuracy: float  # of the most probable label
    vote_accuracy: float  # of ``predict``, where that is another; else not a number
    macro_f1: float
    ece: float
    precision_certain: float  # of those above ``CERTAIN``; not a number where there are none
    coverage_certain: float
    fit_seconds: float
    predict_seconds: float
    head: str  # the one of ours that was chosen
    commit: str

    @property
    def key(self) -> Key:
        """Return the key of the cell."""
        return Key(self.data, self.method, self.noise, self.per_label, self.seed)


def read_cells(table: Path) -> list[Cell]:
    """Return all cells measured so far; none where there is no table."""
    return read_rows(table, Cell)


def forget(table: Path, methods: Sequence[str]) -> None:
    """Drop the cells of ``methods``."""
    write_rows(table, Cell, [cell for cell in read_cells(table) if cell.method not in methods], "w", digits=6)
