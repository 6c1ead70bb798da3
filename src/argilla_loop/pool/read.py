"""Read the rows of every kind of source in batches.

At most one batch is in memory, except for a ``.json`` file that is a single list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from argilla_loop.pool.files import read_files
from argilla_loop.pool.hub import read_hub
from argilla_loop.pool.layout import Columns, RawBatch
from argilla_loop.settings import PoolSettings

# Rows read at a time. Chosen, not measured; benchmarks/pool.md has the memory and time that it leads to.
BATCH = 10_000

ArgillaRow = tuple[str, str, "str | None"]
ArgillaRows = Callable[[], Iterable[ArgillaRow]]


def read(
    settings: PoolSettings, argilla_rows: ArgillaRows | None, *, batch_rows: int = BATCH
) -> Iterator[tuple[Columns, RawBatch]]:
    """Yield batches of the first ``settings.limit`` rows, each with the columns to read from it."""
    left = settings.limit
    for columns, batch in _all_rows(settings, argilla_rows, batch_rows):
        length = len(next(iter(batch.values())))
        if left is not None and length >= left:
            yield columns, {name: column[:left] for name, column in batch.items()}
            return
        if left is not None:
            left -= length
        yield columns, batch


def describe_source(settings: PoolSettings) -> str:
    """Return the source in a few words, for report and messages."""
    if settings.source == "hub":
        parts = [f"{settings.name}", settings.subset, settings.split]
        at = f" at {settings.revision}" if settings.revision else ""
        return "Hugging Face " + "/".join(part for part in parts if part) + at
    if settings.source == "argilla":
        return f"Argilla dataset {settings.dataset}"
    return ", ".join(str(path) for path in settings.path or [])


def _all_rows(
    settings: PoolSettings, argilla_rows: ArgillaRows | None, batch_rows: int
) -> Iterator[tuple[Columns, RawBatch]]:
    if settings.source == "hub":
        return read_hub(settings, batch_rows)
    if settings.source == "files":
        return read_files(settings, batch_rows)
    if argilla_rows is None:
        raise TypeError("the source 'argilla' needs argilla_rows: the service hands them in")
    return _read_argilla(argilla_rows(), batch_rows)


def _read_argilla(rows: Iterable[ArgillaRow], batch_rows: int) -> Iterator[tuple[Columns, RawBatch]]:
    columns = Columns(text="text", label="label", id="id")
    iterator = iter(rows)
    while batch := list(islice(iterator, batch_rows)):
        ids, texts, labels = (list(column) for column in zip(*batch, strict=True))
        yield columns, {"id": ids, "text": texts, "label": labels}
