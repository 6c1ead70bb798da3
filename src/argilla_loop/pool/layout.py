"""The columns of a source, and the meaning of a row. Pure: no files, no network.

The layout that Argilla 1.x exports (``text, inputs, prediction, annotation, status, …``) is recognised by its columns.
Its ``annotation`` is a label that a person gave. Its ``prediction`` is a model's guess and never a label.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from argilla_loop.errors import NoColumnError, PoolError
from argilla_loop.pool.values import BoolArray, Column, Strings, is_blank, join_fields, to_names, to_texts
from argilla_loop.settings import PoolSettings

RawBatch = Mapping[str, Column]

ARGILLA_1_COLUMNS = frozenset({"inputs", "prediction", "annotation", "status"})
FIELD_SEPARATOR = "\n\n"  # between the fields of a 1.x record that has several


class Problem(IntEnum):
    """The reason for skipping a row; report and log use these names."""

    NONE = 0
    NULL = 1  # no text at all
    BLANK = 2  # empty or white space
    NOT_TEXT = 3  # a number, a list, bytes…
    DISCARDED = 4  # discarded in Argilla 1.x
    ID_TAKEN = 5  # an earlier row has the same id and another text


class LabelProblem(IntEnum):
    """The reason for ignoring the label of a row that is otherwise usable."""

    NONE = 0
    SEVERAL = 1  # a multi-label annotation, or a value that is not a single name
    NOT_VALIDATED = 2  # a 1.x annotation without the status Validated


@dataclass(frozen=True, slots=True)
class Columns:
    """The names of the columns to read."""

    text: str | None
    inputs: str | None = None
    label: str | None = None
    id: str | None = None
    status: str | None = None
    label_names: tuple[str, ...] | None = None  # of a ClassLabel column, whose values are integers
    others: tuple[str, ...] = ()  # further columns, which only go along

    def names(self) -> list[str]:
        """Return the names of the columns to read, each once."""
        held = (self.text, self.inputs, self.label, self.id, self.status, *self.others)
        return list(dict.fromkeys(name for name in held if name is not None))


class Rows(NamedTuple):
    """Rows as read, in order; all arrays have one length."""

    texts: Any  # large_string, null where the row has a problem
    ids: Any  # large_string, null where the row has none
    labels: Any  # large_string, null where the row has none, or one that is ignored
    problems: NDArray[np.int8]
    label_problems: NDArray[np.int8]
    mended: int


def resolve_columns(
    settings: PoolSettings,
    available: Sequence[str],
    where: str,
    label_names: Mapping[str, Sequence[str]] | None = None,
    *,
    whole: bool = False,
) -> Columns:
    """Decide which of the ``available`` columns to read.

    Args:
        settings: the columns that the user configured.
        available: the names of all columns.
        where: the file or dataset, for messages.
        label_names: names by ``ClassLabel`` column.
        whole: whether all columns go along.

    Raises:
        PoolError: a configured column does not exist, or is a model's guess.
    """
    there = set(available)
    is_1x = there >= ARGILLA_1_COLUMNS
    if is_1x and settings.label_column in ("prediction", "prediction_agent"):
        raise PoolError(
            f"pool.label_column = {settings.label_column!r} of {where} is a model's guess, not a label: "
            "leave it out ('annotation' is read by default)"
        )
    inputs = "inputs" if is_1x and settings.text_column == "text" else None
    text = settings.text_column if settings.text_column in there or inputs is None else None
    id_column = settings.id_column or ("id" if is_1x and "id" in there else None)
    label = settings.label_column or ("annotation" if is_1x else None)
    for key, name in (("text_column", text), ("label_column", label), ("id_column", id_column)):
        if name is not None and name not in there:
            columns = ", ".join(map(str, available)) or "none"
            raise NoColumnError(
                f"{where} has no column {name!r}: set pool.{key} to one of its columns ({columns})",
                column=name,
                available=available,
            )
    names = (label_names or {}).get(label) if label else None
    return Columns(
        text=text,
        inputs=inputs,
        label=label,
        id=id_column,
        status="status" if is_1x else None,
        label_names=tuple(names) if names is not None else None,
        others=tuple(available) if whole else (),
    )


def read_rows(batch: RawBatch, columns: Columns) -> Rows:
    """Return the text, id and label of each row of ``batch``, or the reason for leaving it out."""
    length = len(next(iter(batch.values())))
    texts, not_text, mended = _texts(batch, columns, length)
    ids = to_names(batch[columns.id]) if columns.id else _no_strings(length)
    labels = to_names(batch[columns.label], columns.label_names) if columns.label else _no_strings(length)
    status = to_texts(batch[columns.status]).values if columns.status else pa.nulls(length, pa.large_string())

    problems = np.zeros(length, np.int8)
    problems[_mask(texts.is_null())] = Problem.NULL
    problems[_mask(is_blank(texts))] = Problem.BLANK
    problems[not_text] = Problem.NOT_TEXT
    problems[_mask(pc.equal(status, "Discarded"))] = Problem.DISCARDED

    label_problems = np.zeros(length, np.int8)
    label_problems[labels.odd] = LabelProblem.SEVERAL
    # Argilla 1.x gives a record with an annotation the status `Validated` by default: another status is on purpose.
    pending = _mask(pc.not_equal(status, "Validated")) & _mask(labels.values.is_valid())
    label_problems[pending] = LabelProblem.NOT_VALIDATED
    counting = pc.if_else(pa.array(label_problems == 0), labels.values, pa.scalar(None, pa.large_string()))
    return Rows(texts, ids.values, counting, problems, label_problems, mended)


def _texts(batch: RawBatch, columns: Columns, length: int) -> tuple[Any, BoolArray, int]:
    texts = to_texts(batch[columns.text]) if columns.text else _no_strings(length)
    if columns.inputs is None:
        return texts.values, texts.odd, texts.mended
    joined = join_fields(batch[columns.inputs], FIELD_SEPARATOR)
    return pc.coalesce(texts.values, joined), texts.odd, texts.mended


def _no_strings(length: int) -> Strings:
    return Strings(pa.nulls(length, pa.large_string()), np.zeros(length, np.bool_), 0)


def _mask(booleans: Any) -> BoolArray:
    mask: BoolArray = np.array(
        pc.fill_null(booleans, fill_value=False).to_numpy(zero_copy_only=False), np.bool_
    )
    return mask
