"""Rows on disk, so that a benchmark that was stopped continues: a CSV file with a column for each field of a class."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import astuple, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")

KINDS: dict[str, type] = {"str": str, "int": int, "float": float}


def read_rows(file: Path, kind: type[Row]) -> list[Row]:
    """Return all rows of ``file`` as instances of the dataclass ``kind``; none where there is no file."""
    if not file.exists():
        return []
    with file.open(encoding="utf-8", newline="") as lines:
        return [
            kind(**{field.name: KINDS[str(field.type)](row[field.name]) for field in fields(kind)})
            for row in csv.DictReader(lines)
        ]


def write_rows(
    file: Path, kind: type[Row], rows: Iterable[Row], mode: Literal["a", "w"], *, digits: int | None = None
) -> None:
    """Append rows to ``file`` or replace it; a new file begins with the columns' names.

    Args:
        file: the CSV file.
        kind: the dataclass of the rows.
        rows: the rows.
        mode: ``a`` to append, ``w`` to replace.
        digits: significant digits of numbers with a point; ``None`` for all.
    """
    with file.open(mode, encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        if not out.tell():
            writer.writerow([field.name for field in fields(kind)])
        writer.writerows([_written(value, digits) for value in astuple(row)] for row in rows)


def _written(value: Any, digits: int | None) -> Any:
    return f"{value:.{digits}g}" if digits is not None and isinstance(value, float) else value
