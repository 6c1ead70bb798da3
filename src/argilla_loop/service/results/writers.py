"""Writers of a data set, one for each format; all of them write blocks of rows as they come, in constant memory."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import fields
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from argilla_loop.errors import SettingsError
from argilla_loop.policy.figures import is_formula
from argilla_loop.policy.result import Row

COLUMNS = tuple(field.name for field in fields(Row))
FORMATS = ("parquet", "csv", "jsonl", "datasets")
ENDINGS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", "": "datasets"}
ARROW_FILE = "data-00000-of-00001.arrow"
# Rows, or bytes, of a row group of parquet: its usual size, and so little that it fits into memory twice. Chosen, not
# measured.
GROUP_ROWS, GROUP_BYTES = 65_536, 64 << 20
# Line separators of Unicode, at which some programs end a line of JSON lines
_SEPARATORS = str.maketrans({"\u2028": "\\u2028", "\u2029": "\\u2029", "\x85": "\\u0085"})

Write = Callable[[Sequence[Row]], object]  # of at least one row


def format_of(target: Path, wanted: str | None) -> str:
    """Return the format of ``target``: the one that is ``wanted``, or the one of its ending.

    Raises:
        SettingsError: there is no such format, or no format with that ending.
    """
    if wanted is not None:
        if wanted not in FORMATS:
            raise SettingsError(f"there is no format {wanted!r}: choose one of {', '.join(FORMATS)}")
        return wanted
    found = ENDINGS.get(target.suffix.lower())
    if found is None:
        raise SettingsError(
            f"the ending {target.suffix!r} names no format: end OUT with .parquet, .csv or .jsonl, or without one "
            "for a folder that `datasets.load_from_disk` reads; or choose --format"
        )
    return found


def writer(
    form: str, target: Path, labels: Sequence[str], *, for_spreadsheets: bool = False
) -> AbstractContextManager[Write]:
    """Return a context that opens ``target`` and gives a function to write rows with.

    Args:
        form: one of ``FORMATS``.
        target: a file; for ``datasets`` a folder that exists.
        labels: the classes of the label column, for ``datasets``.
        for_spreadsheets: whether CSV cells that a spreadsheet takes for formulas begin with an apostrophe.

    Raises:
        OSError: it cannot be written.
    """
    if form == "parquet":
        return _parquet(target)
    if form == "csv":
        return _csv(target, guarded=for_spreadsheets)
    if form == "jsonl":
        return _json_lines(target)
    return _datasets(target, labels)


@contextmanager
def _csv(target: Path, *, guarded: bool) -> Iterator[Write]:
    # RFC 4180's line ends: with any other, Python leaves a carriage return within a cell unquoted
    with target.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\r\n")
        lines.writerow(COLUMNS)

        def cell(value: Any) -> Any:
            if isinstance(value, bool):
                return "true" if value else "false"
            return f"'{value}" if guarded and isinstance(value, str) and is_formula(value) else value

        yield lambda rows: lines.writerows([cell(value) for value in _values(row)] for row in rows)


@contextmanager
def _json_lines(target: Path) -> Iterator[Write]:
    with target.open("w", encoding="utf-8", newline="\n") as file:

        def write(rows: Sequence[Row]) -> None:
            for row in rows:
                one = dict(zip(COLUMNS, _values(row), strict=True))
                file.write(json.dumps(one, ensure_ascii=False).translate(_SEPARATORS) + "\n")

        yield write


@contextmanager
def _parquet(target: Path) -> Iterator[Write]:
    import pyarrow.parquet as pq  # noqa: PLC0415  slow to import

    schema = arrow_schema(pa.string())
    with target.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as out:

        def flush(batches: Sequence[Any]) -> None:
            table = pa.Table.from_batches(batches, schema)
            out.write_table(table.combine_chunks(), row_group_size=GROUP_ROWS)

        with _grouped(flush) as add:
            yield lambda rows: add(_batch(rows, schema))


@contextmanager
def _datasets(target: Path, labels: Sequence[str]) -> Iterator[Write]:
    """Write what ``datasets.Dataset.save_to_disk`` writes, but from blocks, and with a fingerprint of the content."""
    import datasets  # noqa: PLC0415  slow to import

    features = features_of(labels)
    codes = {label: code for code, label in enumerate(labels)}
    schema = features.arrow_schema
    digest = hashlib.sha256()
    with (target / ARROW_FILE).open("wb") as file, pa.ipc.new_stream(_Hashed(file, digest), schema) as out:
        yield lambda rows: out.write_batch(_batch(rows, schema, codes))
    datasets.DatasetInfo(features=features).write_to_directory(str(target))
    state: dict[str, Any] = {
        "_data_files": [{"filename": ARROW_FILE}],
        "_fingerprint": digest.hexdigest()[:16],
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": None,
    }
    (target / "state.json").write_text(json.dumps(state, indent=2) + "\n", encoding="utf-8")


def features_of(labels: Sequence[str]) -> Any:
    """Return the columns as ``datasets.Features``, the label as a ``ClassLabel``."""
    import datasets  # noqa: PLC0415  slow to import

    kinds = {"int": "int32", "float": "float64", "bool": "bool"}
    made = {name: datasets.Value(kinds.get(kind, "string")) for name, kind in _kinds().items()}
    return datasets.Features({**made, "label": datasets.ClassLabel(names=list(labels))})


def arrow_schema(label: Any) -> Any:
    """Return the columns as an Arrow schema, the label of type ``label``."""
    kinds = {"int": pa.int32(), "float": pa.float64(), "bool": pa.bool_()}
    return pa.schema(
        [
            (name, label if name == "label" else kinds.get(kind, pa.string()))
            for name, kind in _kinds().items()
        ]
    )


def _kinds() -> dict[str, str]:
    """Return the type of each column: int, float, bool, or anything else for a string."""
    return {field.name: str(field.type).split(" ")[0] for field in fields(Row)}


def _values(row: Row) -> list[Any]:
    values = [getattr(row, name) for name in COLUMNS]
    values[COLUMNS.index("source")] = row.source.value
    return values


def _batch(rows: Sequence[Row], schema: Any, codes: dict[str, int] | None = None) -> Any:
    columns = dict(zip(COLUMNS, zip(*(_values(row) for row in rows), strict=True), strict=True))
    if codes is not None:
        columns["label"] = tuple(None if label is None else codes[label] for label in columns["label"])
    return pa.RecordBatch.from_arrays(
        [pa.array(columns[field.name], field.type) for field in schema], schema=schema
    )


@contextmanager
def _grouped(flush: Callable[[Sequence[Any]], object]) -> Iterator[Callable[[Any], object]]:
    """Collect batches until they are a row group's worth, so that the file does not depend on how rows came."""
    waiting: list[Any] = []

    def add(batch: Any) -> None:
        waiting.append(batch)
        rows = sum(one.num_rows for one in waiting)
        if rows >= GROUP_ROWS or sum(one.nbytes for one in waiting) >= GROUP_BYTES:
            flush(waiting)
            waiting.clear()

    yield add
    flush(waiting)


class _Hashed:
    """A file for ``pyarrow`` that hashes what is written to it."""

    closed = False

    def __init__(self, file: IO[bytes], digest: Any) -> None:
        self._file, self._digest = file, digest

    def write(self, content: bytes) -> int:
        self._digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        """Leave the file open: its own context closes it."""
