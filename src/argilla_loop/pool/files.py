"""Local files as a source: parquet, CSV, TSV, JSON, JSON lines, plain text, or a folder saved by ``datasets``."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from glob import glob, has_magic
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, cast

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from argilla_loop.errors import PoolError, collapse_whitespace
from argilla_loop.pool.layout import Columns, RawBatch, resolve_columns
from argilla_loop.settings import PoolSettings

FORMATS = {
    ".parquet": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".txt": "text",
    ".text": "text",
}
# Bytes read at a time from a CSV file, which no line may exceed. Chosen, not measured.
CSV_BLOCK = 8 << 20
# Characters of another library's error that a message quotes. Chosen, not measured.
MAX_REASON = 200
SAVED = ("state.json", "dataset_dict.json")  # files of a folder written by save_to_disk


def find_files(settings: PoolSettings) -> list[Path]:
    """Return the files and saved folders of ``pool.path``: in the given order, those of a glob sorted, each once.

    Raises:
        PoolError: a path does not exist, or a file's format is unknown.
    """
    found: list[Path] = []
    for pattern in settings.path or []:
        found += _expand(pattern.expanduser())
    return list(dict.fromkeys(found))


def files_revision(settings: PoolSettings) -> str:
    """Return a digest that changes when a file is added, removed or written to; it reads names, sizes and times only.

    Raises:
        PoolError: as ``find_files``.
    """
    digest = blake2b(digest_size=8)
    for path in find_files(settings):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            try:
                stat = file.stat()
            except OSError:  # removed in between: the next call sees it
                continue
            digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def read_files(
    settings: PoolSettings, batch_size: int, *, whole: bool = False
) -> Iterator[tuple[Columns, RawBatch]]:
    """Yield batches of all files in turn; each file may have further columns.

    Args:
        settings: the files and their columns.
        batch_size: rows of a batch at most.
        whole: whether the further columns are read too.

    Raises:
        PoolError: a file cannot be read, or lacks a column.
    """
    for path in find_files(settings):
        try:
            yield from _read_one(settings, path, batch_size, whole=whole)
        except PoolError:
            raise
        except (
            Exception
        ) as error:  # pandas, pyarrow, datasets and the codecs raise many kinds on a broken file
            reason = collapse_whitespace(error) or type(error).__name__
            reason = re.sub(
                r"(columns, got \d+):.*", r"\1", reason
            )  # pyarrow quotes the line, and a message must not contain texts
            raise PoolError(
                f"{path} cannot be read ({reason[:MAX_REASON]}): is it written to the end, and what its name says?"
            ) from error


def _read_one(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    if path.is_dir():
        return _read_saved(settings, path, batch_size, whole=whole)
    readers = {"parquet": _read_parquet, "csv": _read_csv, "json": _read_json, "text": _read_text}
    return readers[cast("str", format_of(path))](settings, path, batch_size, whole=whole)


def format_of(path: Path) -> str | None:
    """Return the format that the name implies, ``None`` if unknown; ``.gz`` may follow."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    return FORMATS.get(suffixes[-1]) if suffixes else None


def _expand(pattern: Path) -> list[Path]:
    known = ", ".join(FORMATS)
    if _is_saved(pattern):
        return [pattern]
    if pattern.is_dir():
        inside = [
            p for p in sorted(pattern.rglob("*")) if p.is_file() and format_of(p) and not _hidden(p, pattern)
        ]
        if not inside:
            raise PoolError(
                f"pool.path {pattern} holds no file that can be read ({known}) and no saved dataset"
            )
        return inside
    matches = _matches(pattern)
    found = (
        [pattern]
        if pattern.is_file()
        else [match for match in matches if match.is_file() or _is_saved(match)]
    )
    if not found:
        raise PoolError(
            f"pool.path {pattern} does not exist: give a file, a folder or a glob that matches something"
        )
    for path in found:
        if path.is_file() and format_of(path) is None:
            raise PoolError(
                f"{path} has an unknown format: its name must end in one of {known}, .gz may follow"
            )
    return found


def _matches(pattern: Path) -> list[Path]:
    if not has_magic(str(pattern)):
        return []
    # Path.glob takes no absolute pattern before Python 3.13.
    return sorted(map(Path, glob(str(pattern), recursive=True)))  # noqa: PTH207


def _is_saved(path: Path) -> bool:
    return any((path / name).is_file() for name in SAVED)


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _read_saved(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    """Read a folder written by ``save_to_disk``.

    ``load_from_disk`` would map its files. Saving to the same folder again cuts them short, which ends a process that
    has mapped them.
    """
    splits = path / "dataset_dict.json"
    if splits.is_file():
        names = json.loads(splits.read_bytes())["splits"]
        if settings.split not in names:
            raise PoolError(
                f"{path} has no split {settings.split!r}: set pool.split to one of {', '.join(names)}"
            )
        path /= settings.split
    columns = None
    for file in json.loads((path / "state.json").read_bytes())["_data_files"]:
        with pa.OSFile(str(path / file["filename"])) as source, pa.ipc.open_stream(source) as stream:
            columns = columns or _columns_of(settings, stream.schema, str(path), whole=whole)
            wanted = columns.names()
            for batch in stream:
                for start in range(0, len(batch), batch_size):
                    part = batch.slice(start, batch_size)
                    yield columns, {name: part.column(name) for name in wanted}


def _columns_of(settings: PoolSettings, schema: Any, where: str, *, whole: bool) -> Columns:
    """Return the columns of a saved dataset, whose features are in the schema of its files."""
    from datasets import ClassLabel, Features  # noqa: PLC0415  the import takes two seconds, which other sources do not spend

    features = Features.from_arrow_schema(schema)
    names = {name: kind.names for name, kind in features.items() if isinstance(kind, ClassLabel)}
    return resolve_columns(settings, schema.names, where, names, whole=whole)


def _read_parquet(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    """Read with pyarrow: ``datasets`` refuses a file that has any column of a type that it does not know."""
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        columns = resolve_columns(settings, schema.names, str(path), _class_labels(schema), whole=whole)
        wanted = columns.names()
        for batch in file.iter_batches(batch_size, columns=wanted):
            yield columns, {name: batch.column(name) for name in wanted}


def _class_labels(schema: Any) -> dict[str, list[str]]:
    """Return the names of integer labels, by column, if ``datasets`` has written them into the file."""
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        kinds = {name: kind for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
        return {
            name: [str(label) for label in kind["names"]]
            for name, kind in kinds.items()
            if pa.types.is_integer(schema.field(name).type)
        }
    except (TypeError, ValueError, KeyError, AttributeError):  # not written by datasets
        return {}


def _read_csv(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    """Read comma or tab separated values with a header line.

    It uses pyarrow: ``datasets`` accepts a line with a comma too many, and cuts its text there.
    """
    separator = "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","
    with _open_text(path) as text:
        available = next(csv.reader(text, delimiter=separator), [])
    columns = resolve_columns(settings, available, str(path), whole=whole)
    wanted = columns.names()
    with (
        pa.input_stream(path, compression="gzip" if path.suffix.lower() == ".gz" else None) as file,
        pa_csv.open_csv(
            file,
            pa_csv.ReadOptions(block_size=CSV_BLOCK),
            pa_csv.ParseOptions(delimiter=separator, newlines_in_values=True),
            # Everything is a string: an id 007 stays so, and a text "None" or "NA" is a text.
            pa_csv.ConvertOptions(column_types=dict.fromkeys(wanted, pa.string()), include_columns=wanted),
        ) as reader,
    ):
        for block in reader:
            for start in range(0, len(block), batch_size):
                part = block.slice(start, batch_size)
                yield columns, {name: part.column(name) for name in wanted}


def _read_text(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    from datasets import load_dataset  # noqa: PLC0415  as above

    # Streaming reads the file itself, without a copy in a cache. Each line is a row; the byte order mark that some
    # editors write is not part of the first one.
    stream = load_dataset("text", data_files=[str(path)], split="train", streaming=True, encoding="utf-8-sig")
    columns = resolve_columns(settings, ["text"], str(path), whole=whole)
    for table in stream.with_format("arrow").iter(batch_size=batch_size):
        yield columns, {name: table.column(name).combine_chunks() for name in columns.names()}


def _read_json(
    settings: PoolSettings, path: Path, batch_size: int, *, whole: bool
) -> Iterator[tuple[Columns, RawBatch]]:
    """Read a list of objects or strings, or one of them on each line.

    It uses the standard library: ``datasets`` refuses a whole file for a single lone surrogate, and does not say which
    line is broken.
    """
    with _open_text(path) as file:
        rows = _json_rows(file, path)
        columns = None
        known: dict[str, None] = {}
        while batch := [row if isinstance(row, dict) else {"text": row} for row in islice(rows, batch_size)]:
            if columns is None or whole:  # a later row may have further keys
                known |= dict.fromkeys(key for row in batch for key in row)
                columns = resolve_columns(settings, list(known), str(path), whole=whole)
            yield columns, {name: [row.get(name) for row in batch] for name in columns.names()}


def _open_text(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return cast("TextIO", gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _json_rows(file: TextIO, path: Path) -> Iterator[object]:
    while (first := file.read(1)).isspace():
        pass
    if first == "[":
        yield from json.loads("[" + file.read())
        return
    number = 0
    line = first + file.readline()
    while line:
        number += 1
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise PoolError(
                    f"{path} line {number} is not JSON ({error.msg}): each line must hold one object; "
                    "is the file written to the end?"
                ) from None
        line = file.readline()
