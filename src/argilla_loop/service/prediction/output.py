"""Write rows of any columns as parquet, CSV, TSV or JSON lines, a batch at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from argilla_loop.errors import SettingsError

FORMATS = (".parquet", ".csv", ".tsv", ".jsonl", ".ndjson")
# Of lists of Python values, the type of a column that holds values of several types: they are written as JSON.
MIXED = pa.large_string()


class Writer(Protocol):
    """Takes batches of rows."""

    def write(self, table: Any) -> None:
        """Write the rows of a pyarrow table."""


def refuse_format(path: Path) -> None:
    """Check that the name of ``path`` says how to write it.

    Raises:
        SettingsError: it does not.
    """
    if path.suffix.lower() not in FORMATS:
        raise SettingsError(f"{path} has an unknown format: its name must end in one of {', '.join(FORMATS)}")


def merged_type(one: Any, other: Any) -> Any:
    """Return the type that holds values of both types; ``MIXED`` if there is none."""
    try:
        merged = pa.unify_schemas(
            [pa.schema([("x", one)]), pa.schema([("x", other)])], promote_options="permissive"
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return MIXED
    return merged.field("x").type


def type_of(column: Any) -> Any:
    """Return the type of a column, an Arrow array or a list of Python values."""
    if not isinstance(column, list):
        return column.type
    try:
        return pa.array(column).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        return MIXED


def as_type(column: Any, kind: Any) -> Any:
    """Return ``column`` as an array of the type ``kind``; what cannot be converted is written as JSON."""
    if column is None:
        raise TypeError
    if not isinstance(column, list):
        if column.type == kind:
            return column
        try:
            return column.cast(kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            column = column.to_pylist()
    if kind == MIXED:
        return pa.array([None if one is None else _as_text(one) for one in column], kind)
    return pa.array(column, kind)


@contextmanager
def writer_for(path: Path, name: Path, schema: Any) -> Iterator[Writer]:
    """Yield what writes rows of ``schema`` to ``path``.

    Args:
        path: file to write.
        name: whose ending says the format.
        schema: pyarrow schema.
    """
    kind = name.suffix.lower()
    if kind == ".parquet":
        with pq.ParquetWriter(path, schema, compression="zstd") as parquet:
            yield _Parquet(parquet)
    elif kind in (".csv", ".tsv"):
        flat = pa.schema([(field.name, MIXED if _is_nested(field.type) else field.type) for field in schema])
        options = pa_csv.WriteOptions(delimiter="\t" if kind == ".tsv" else ",")
        with pa_csv.CSVWriter(path, flat, write_options=options) as lines:
            yield _Csv(lines, flat)
    else:
        with path.open("w", encoding="utf-8", newline="\n") as file:
            yield _JsonLines(file)


class _Parquet:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def write(self, table: Any) -> None:
        self._writer.write_table(table)


class _Csv:
    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema

    def write(self, table: Any) -> None:
        columns = [
            as_type(table.column(field.name).combine_chunks(), field.type)
            if table.schema.field(field.name).type == field.type
            else as_type(table.column(field.name).to_pylist(), field.type)
            for field in self._schema
        ]
        self._writer.write_table(pa.table(columns, schema=self._schema))


class _JsonLines:
    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, table: Any) -> None:
        for row in table.to_pylist():
            self._file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")


def _is_nested(kind: Any) -> bool:
    return bool(pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(value, ensure_ascii=True, default=str)
