"""The three passes of ``argilla-loop predict``: count the rows, predict them, write them with their predictions."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from argilla_loop.errors import FatalError, PoolError
from argilla_loop.learning.saved.load import SavedModel
from argilla_loop.observability.progress import progress
from argilla_loop.pool.files import files_revision, read_files
from argilla_loop.pool.layout import Columns, Problem, RawBatch, read_rows
from argilla_loop.service.prediction.output import as_type, merged_type, refuse_format, type_of, writer_for
from argilla_loop.service.prediction.partial import ROW, PartialFile, Rows
from argilla_loop.settings import PoolSettings
from argilla_loop.settings.files import atomic_write

# Rows predicted together and then kept: what an interruption costs, some seconds. Chosen, not measured.
CHUNK = 2048
NO_TEXT = (Problem.NULL, Problem.BLANK, Problem.NOT_TEXT)


@dataclass(slots=True)
class Outcome:
    """What was predicted.

    Attributes:
        rows: in the file.
        without_text: rows that have no text to predict.
        abstained: rows whose certainty is not above the threshold of their label.
        resumed: rows that an earlier run had predicted.
        columns: names of the columns that were added.
        seconds: that this run took.
        model_seconds: of them, those in which the model's graph ran.
    """

    rows: int = 0
    without_text: int = 0
    abstained: int = 0
    resumed: int = 0
    columns: tuple[str, str] = ("label", "certainty")
    seconds: float = 0.0
    model_seconds: float = 0.0


def refuse_output(out: Path, *, force: bool) -> None:
    """Check that ``out`` may be written.

    Raises:
        SettingsError: its name does not say how to write it.
        FatalError: it exists, and ``force`` is not given; or its folder does not.
    """
    refuse_format(out)
    if not out.parent.is_dir():
        raise FatalError(f"the folder {out.parent} does not exist: make it, or give another file")
    if out.is_dir() or (out.exists() and not force):
        raise FatalError(f"{out} exists already: add --force to replace it, or give another file")


def partial_path(out: Path) -> Path:
    """Return the file that holds what was predicted for ``out`` so far."""
    return out.with_name(f".{out.name}.partial")


def predict_file(
    model: SavedModel,
    source: PoolSettings,
    out: Path,
    *,
    everything: bool = False,
    on_rows: Callable[[int], object] = lambda _: None,
) -> Outcome:
    """Predict all rows of ``source`` and write them to ``out``, in their order, with label and certainty.

    Args:
        model: that predicts.
        source: the files.
        out: file to write; appears when it is complete.
        everything: whether the model never abstains.
        on_rows: called with the number of rows predicted so far.

    Raises:
        PoolError: the source cannot be read, or changes meanwhile.
        FatalError: the output cannot be written.
        ModelError: the model cannot run.
    """
    started = time.monotonic()
    revision = files_revision(source)
    count, schema = _survey(source)
    outcome = Outcome(rows=count, columns=_added(schema))
    task = json.dumps(
        {
            "model": model.description.files,
            "source": revision,
            "column": source.text_column,
        },
        sort_keys=True,
    )
    try:
        with PartialFile(partial_path(out), task) as done:
            outcome.resumed = done.rows
            on_rows(done.rows)
            _predict(model, source, done, outcome, on_rows)
            if done.rows != count or files_revision(source) != revision:
                raise PoolError("the file has changed while it was read: run the command again")
            with atomic_write(out) as unfinished:
                _write(model, source, done, unfinished, out, schema, outcome, everything=everything)
                unfinished.chmod(0o644)
    except OSError as error:
        raise FatalError(
            f"{out} cannot be written ({error.strerror}): free some space or choose another folder; what was predicted "
            "is kept, and the same command goes on"
        ) from error
    partial_path(out).unlink(missing_ok=True)
    outcome.seconds = time.monotonic() - started
    return outcome


def _survey(source: PoolSettings) -> tuple[int, Any]:
    """Return the number of rows, and a schema that all of them have."""
    count = 0
    kinds: dict[str, Any] = {}
    for columns, batch in read_files(source, CHUNK, whole=True):
        count += _length(batch)
        for name in columns.others:  # in the order of the file
            kind = type_of(batch[name])
            kinds[name] = merged_type(kinds[name], kind) if name in kinds and kinds[name] != kind else kind
    return count, pa.schema(list(kinds.items()))


def _added(schema: Any) -> tuple[str, str]:
    """Return the names of the added columns: ``label`` and ``certainty``, where the file has no such column."""

    def free(name: str) -> str:
        while name in schema.names:
            name = f"predicted_{name}"
        return name

    return free("label"), free("certainty")


def _predict(
    model: SavedModel,
    source: PoolSettings,
    done: PartialFile,
    outcome: Outcome,
    on_rows: Callable[[int], object],
) -> None:
    with progress("predicting", outcome.rows) as advance:
        advance(done.rows)
        for batch in _after(read_files(source, CHUNK, whole=False), done.rows):
            rows = _predicted(model, *batch, outcome)
            done.append(rows)
            advance(len(rows))
            on_rows(done.rows)


def _after(batches: Iterator[tuple[Columns, RawBatch]], skipped: int) -> Iterator[tuple[Columns, RawBatch]]:
    """Leave out the first ``skipped`` rows."""
    for columns, batch in batches:
        length = _length(batch)
        if length > skipped:
            yield columns, {name: column[skipped:] for name, column in batch.items()}
        skipped = max(skipped - length, 0)


def _predicted(model: SavedModel, columns: Columns, batch: RawBatch, outcome: Outcome) -> Rows:
    read = read_rows(batch, columns)
    usable = np.flatnonzero(~np.isin(read.problems, NO_TEXT))
    texts = read.texts.take(pa.array(usable)).to_pylist()
    rows = np.zeros(len(read.problems), ROW)
    rows["column"] = -1
    rows["certainty"] = np.nan
    started = time.monotonic()
    if texts:
        rows["column"][usable], rows["certainty"][usable] = model.predict_columns(texts)
    outcome.model_seconds += time.monotonic() - started
    return rows


def _write(
    model: SavedModel,
    source: PoolSettings,
    done: PartialFile,
    path: Path,
    out: Path,
    schema: Any,
    outcome: Outcome,
    *,
    everything: bool,
) -> None:
    """Read the source once more and write its rows with what was predicted."""
    label, certainty = outcome.columns
    whole = schema.append(pa.field(label, pa.string())).append(pa.field(certainty, pa.float32()))
    rows = _Queue(done.chunks())
    names = np.array([*model.labels, None], dtype=object)
    with writer_for(path, out, whole) as writer:
        for _, batch in read_files(source, CHUNK, whole=True):
            length = _length(batch)
            predicted = rows.take(length)
            columns = predicted["column"]
            empty = columns < 0
            silent = ~empty & model.abstains(columns, predicted["certainty"])
            given = np.where(empty | (silent & (not everything)), len(model.labels), columns)
            outcome.without_text += int(empty.sum())
            outcome.abstained += int(silent.sum())
            arrays = [
                as_type(batch[one.name], one.type) if one.name in batch else pa.nulls(length, one.type)
                for one in schema
            ]
            arrays.append(pa.array(names[given].tolist(), pa.string()))
            arrays.append(pa.array(predicted["certainty"], pa.float32(), mask=empty))
            writer.write(pa.table(arrays, schema=whole))


class _Queue:
    """Rows from chunks of other sizes.

    Args:
        chunks: in order.
    """

    def __init__(self, chunks: Iterator[Rows]) -> None:
        self._chunks, self._rest = chunks, np.zeros(0, ROW)

    def take(self, count: int) -> Rows:
        """Return the next ``count`` rows."""
        parts = [self._rest]
        while sum(map(len, parts)) < count:
            parts.append(next(self._chunks))
        together = np.concatenate(parts)
        self._rest = together[count:]
        return together[:count]


def _length(batch: RawBatch) -> int:
    return len(next(iter(batch.values())))
