"""The pool: texts and ids in a memory-mapped Arrow file, by position."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from argilla_loop.domain import Example, IndexArray, KeyArray
from argilla_loop.pool.values import STRING


class ArrowStrings(Sequence[str]):
    """Strings of a column at selected rows; each becomes a Python string only on access."""

    def __init__(self, chunks: Sequence[Any], rows: IndexArray) -> None:
        """Wrap the column's chunks, and the ascending rows to select, counted over all chunks."""
        self._chunks = chunks
        self._starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return self._at(self._rows[index])
        return self._at(self._rows[[index]])[0]

    def __iter__(self) -> Iterator[str]:
        for chunk, start, end in zip(self._chunks, self._starts, self._starts[1:], strict=False):
            low, high = np.searchsorted(self._rows, (start, end))
            yield from chunk.take(pa.array(self._rows[low:high] - start)).to_pylist()

    def at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Return the strings at ``positions``, in that order."""
        return self._at(self._rows[np.asarray(positions, np.int64)])

    def among(self, strings: Collection[str]) -> NDArray[np.bool_]:
        """Return a mask of the strings that are among ``strings``, without making Python strings."""
        column = pa.chunked_array(self._chunks, STRING)
        found = pc.is_in(column, value_set=pa.array(list(strings), STRING))
        mask: NDArray[np.bool_] = found.to_numpy()[self._rows]
        return mask

    def _at(self, rows: IndexArray) -> list[str]:
        which = np.searchsorted(self._starts, rows, side="right") - 1
        inside = rows - self._starts[which]
        return [self._chunks[c][i].as_py() for c, i in zip(which.tolist(), inside.tolist(), strict=True)]


class ArrowPool:
    """A ``domain.Pool`` over Arrow: some 20 bytes of memory for each record."""

    def __init__(
        self,
        *,
        batches: Sequence[Any],
        rows: IndexArray,
        keys: KeyArray,
        labels: NDArray[np.int32],
        label_names: Sequence[str],
        fingerprint: str,
    ) -> None:
        """Wrap the rows that ``load_pool`` has read.

        Args:
            batches: record batches with the columns ``id`` and ``text``.
            rows: the row of each position, ascending, counted over all batches; shape (n,).
            keys: of the texts, see ``policy.text_keys``; shape (n,).
            labels: index into ``label_names`` at each position, -1 for none; shape (n,).
            label_names: the labels.
            fingerprint: digest of ids, texts and labels.
        """
        self._ids = ArrowStrings([batch.column("id") for batch in batches], rows)
        self._texts = ArrowStrings([batch.column("text") for batch in batches], rows)
        self._keys = keys
        self._labels = labels
        self._label_names = tuple(label_names)
        self._fingerprint = fingerprint

    @property
    def fingerprint(self) -> str:
        """A digest of the pool's ids, texts and labels."""
        return self._fingerprint

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> Sequence[str]:
        """Return the ids of all records, in pool order, as a view."""
        return self._ids

    def ids_at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Return the ids at ``positions``, in that order."""
        return self._ids.at(positions)

    def keys(self) -> KeyArray:
        """Return the key of each text, in pool order; shape (n,)."""
        return self._keys

    def texts(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Return the texts at ``positions``, in that order."""
        return self._texts.at(positions)

    def examples(self) -> list[Example]:
        """Return the records that came with a label, as human examples, in pool order."""
        labelled = np.flatnonzero(self._labels >= 0)
        names = [self._label_names[code] for code in self._labels[labelled].tolist()]
        triples = zip(self._ids.at(labelled), self._texts.at(labelled), names, strict=True)
        return [Example(id=id_, text=text, label=label) for id_, text, label in triples]

    def unlabelled(self, *, excluding: Collection[str] = ()) -> IndexArray:
        """Return the ascending positions of the records without a label whose id is not in ``excluding``."""
        free = self._labels < 0
        if excluding:
            free &= ~self._ids.among(excluding)
        return np.flatnonzero(free)
