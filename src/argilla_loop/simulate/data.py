"""Read a labelled file as a set to simulate on: a pool to label, and held-back texts to measure on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from argilla_loop.domain import Example, IndexArray, KeyArray
from argilla_loop.errors import PoolError
from argilla_loop.policy.text_keys import keys_of
from argilla_loop.pool.layout import Problem, read_rows
from argilla_loop.pool.read import read
from argilla_loop.settings import PoolSettings
from argilla_loop.settings.files import text_digest

log = structlog.get_logger(__name__)

SPLIT_COLUMN = "split"  # used by default where its values are the ones below
TRAIN = ("train", "training")
TEST = ("test", "validation", "valid", "dev")  # the first of these that occurs
MAX_LABELS = 1000  # a column with more values is taken for a wrong one; chosen, not measured


class Labelled(NamedTuple):
    """A text with its right label."""

    id: str
    text: str
    label: str


@dataclass(frozen=True)
class LabelledSet:
    """The texts of a simulation. No text is in both parts, so none is learnt from and measured on.

    Attributes:
        name: name of the set, for tables and pictures.
        pool: texts that may be labelled.
        held_back: texts that only measure a model.
    """

    name: str
    pool: Sequence[Labelled]
    held_back: Sequence[Labelled]

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """The labels to choose from: those of the pool, sorted."""
        return tuple(sorted({row.label for row in self.pool}))

    @cached_property
    def fingerprint(self) -> str:
        """A digest that changes when any text or label does, or the part that it is in."""
        digest = hashlib.sha256()
        for part in (self.pool, self.held_back):
            for row in part:
                for field in row:
                    digest.update(field.encode("utf-8", "surrogatepass") + b"\0")
            digest.update(b"\1")
        return digest.hexdigest()[:16]


class SimulatedPool:
    """``domain.Pool`` in memory, without labels; also a ``loop.PoolSource`` that never changes."""

    def __init__(self, rows: Sequence[Labelled], fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._ids = [row.id for row in rows]
        self._texts = [row.text for row in rows]
        self._keys = keys_of(self._texts)

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> list[str]:
        """Return the ids of all records."""
        return self._ids

    def ids_at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Return the ids at ``positions``."""
        return [self._ids[position] for position in positions]

    def keys(self) -> KeyArray:
        """Return the key of each text."""
        return self._keys

    def texts(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Return the texts at ``positions``."""
        return [self._texts[position] for position in positions]

    def examples(self) -> list[Example]:
        """Return nothing: only the annotator knows labels."""
        return []

    def unlabelled(self, *, excluding: Collection[str] = ()) -> IndexArray:
        """Return the ascending positions of the records whose id is not in ``excluding``."""
        taken = set(excluding)
        return np.asarray([n for n, one in enumerate(self._ids) if one not in taken], dtype=np.int64)

    def revision(self) -> str:
        """Return the fingerprint, as the pool never changes."""
        return self.fingerprint

    def current(self) -> SimulatedPool:
        """Return the pool itself."""
        return self


def read_labelled(  # one argument for each option of the command
    path: Path,
    *,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
    held_back: float = 0.3,
    most_held_back: int = 2000,
    pool_size: int | None = None,
    seed: int = 0,
) -> LabelledSet:
    """Read a labelled file and divide it into pool and held-back texts.

    Rows without a text or a label are left out. A text that occurs twice is taken once. A text that occurs with two
    labels is left out, as its right label is not known.

    Args:
        path: parquet, CSV, TSV, JSON or JSON lines, as for a pool.
        text_column: column of the texts.
        label_column: column of the right labels.
        split_column: column that says in which part a row is: ``train`` is the pool, ``test`` is held back, or
            ``validation`` where there is no ``test``. ``None``: the column ``split`` if the file has one with these
            values, otherwise a share is held back.
        held_back: that share, of each label.
        most_held_back: the most texts to measure on; each label keeps its share.
        pool_size: the most texts that may be labelled; each label keeps its share. ``None`` for all.
        seed: seed of the draws.

    Raises:
        PoolError: the file cannot be read, lacks a column, or has too few texts or labels.
    """
    settings = PoolSettings.model_validate(
        {"path": path, "text_column": text_column, "label_column": label_column}
    )
    texts, labels = _columns(settings)
    splits = _splits(settings, split_column)
    rows, parts = _usable(texts, labels, splits)
    if len(found := {row.label for row in rows}) > MAX_LABELS:
        raise PoolError(f"{path} has {len(found)} labels: is {label_column!r} (--label-column) the one?")
    rng = np.random.default_rng(seed)
    if splits is None:
        drawn = _draw(rows, round(held_back * len(rows)), rng)
        pool, back = [row for row in rows if row.id not in drawn], [row for row in rows if row.id in drawn]
    else:
        measured = next((name for name in TEST if name in parts), "")
        pool = [row for row, part in zip(rows, parts, strict=True) if part in TRAIN]
        back = [row for row, part in zip(rows, parts, strict=True) if part == measured]
    back = _at_most(back, most_held_back, rng)
    pool = _at_most(pool, pool_size, rng)
    known = {row.label for row in pool}
    back = [row for row in back if row.label in known]  # nothing can learn a label that the pool lacks
    if len(known) < 2 or not back:  # noqa: PLR2004 - a classifier needs two
        raise PoolError(
            f"{path} gives {len(known)} labels in {len(pool)} texts to label and {len(back)} texts to measure on: "
            "at least two labels and one text to measure on are needed; look at --label-column, "
            "--split-column, --held-back and --pool-size"
        )
    log.info(
        "labelled_file_read", rows=len(texts), pool=len(pool), held_back=len(back), labels=len(known),
        left_out=len(texts) - len(rows), by="split column" if splits is not None else "share",
    )  # fmt: skip
    return LabelledSet(path.name.split(".")[0], pool, back)


def _columns(settings: PoolSettings) -> tuple[list[str | None], list[str | None]]:
    texts: list[str | None] = []
    labels: list[str | None] = []
    for columns, batch in read(settings, None):
        rows = read_rows(batch, columns)
        usable = rows.problems == Problem.NONE
        texts += [text if ok else None for text, ok in zip(rows.texts.to_pylist(), usable, strict=True)]
        labels += rows.labels.to_pylist()
    return texts, labels


def _splits(settings: PoolSettings, column: str | None) -> list[str] | None:
    """Return the split column's value for each row; ``None`` where the file has no usable one."""
    try:
        _, values = _columns(settings.model_copy(update={"label_column": column or SPLIT_COLUMN}))
    except PoolError as error:  # the file itself was read before: the column is missing
        if column is not None:
            raise PoolError(str(error).replace("pool.label_column", "--split-column")) from None
        return None
    splits = [(value or "").strip().casefold() for value in values]
    values_found = set(splits)
    if values_found.intersection(TRAIN) and values_found.intersection(TEST):
        return splits
    if column is not None:
        raise PoolError(
            f"column {column!r} does not say which rows are 'train' and which are 'test' (its values are "
            f"{', '.join(sorted(values_found)[:5])}): name another with --split-column, or omit it to hold back a share"
        )
    return None


def _usable(
    texts: Sequence[str | None], labels: Sequence[str | None], splits: Sequence[str] | None
) -> tuple[list[Labelled], list[str]]:
    labels_of: dict[str, str | None] = {}
    part_of: dict[str, str] = {}
    for text, label, part in zip(texts, labels, splits or [""] * len(texts), strict=True):
        if text is not None and label is not None:
            if labels_of.setdefault(text, label) != label:
                labels_of[text] = None
            part_of.setdefault(text, part)
    rows, parts = [], []
    for text, label in labels_of.items():
        if label is not None:
            rows.append(Labelled(_id(text), text, label))
            parts.append(part_of[text])
    return rows, parts


def _id(text: str) -> str:
    return text_digest(text)[:16]


def _at_most(rows: list[Labelled], most: int | None, rng: np.random.Generator) -> list[Labelled]:
    if most is None or len(rows) <= most:
        return rows
    chosen = _draw(rows, most, rng)
    return [row for row in rows if row.id in chosen]


def _draw(rows: Sequence[Labelled], count: int, rng: np.random.Generator) -> set[str]:
    """Return the ids of ``count`` rows; each label keeps its share (method of largest remainders)."""
    by_label: dict[str, list[str]] = {}
    for row in rows:
        by_label.setdefault(row.label, []).append(row.id)
    share = count / max(len(rows), 1)
    take = {label: int(len(ids) * share) for label, ids in by_label.items()}
    remainders = sorted(by_label, key=lambda label: (take[label] - len(by_label[label]) * share, label))
    for label in remainders[: count - sum(take.values())]:
        take[label] += 1
    return {one for label in sorted(by_label) for one in _sample(by_label[label], take[label], rng)}


def _sample(ids: Sequence[str], count: int, rng: np.random.Generator) -> Iterator[str]:
    return (ids[n] for n in rng.permutation(len(ids))[:count])


def rare_labels(rows: Sequence[Labelled], minimum: int) -> list[str]:
    """Return the labels with fewer than ``minimum`` texts: with them the cold start never ends."""
    return sorted(label for label, n in Counter(row.label for row in rows).items() if n < minimum)
