"""Brings the rows of a source together: texts to disk, everything that is compared into arrays of numbers.

A million rows are a million strings on disk and some 60 MB of numbers, never a million Python objects.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray, KeyArray
from argilla_loop.errors import PoolError
from argilla_loop.policy.text_keys import DIGEST_BYTES, GUARD, digest_utf8
from argilla_loop.pool.layout import LabelProblem, Problem, Rows
from argilla_loop.pool.values import STRING
from argilla_loop.settings.files import make_private_folder

Digests = NDArray[np.uint64]  # shape (n, 2): 128 bits a string

NAMED_ROWS = 20  # rows named in one log event
MAX_LABELS = 1000  # a column with more different values is no label column
SCHEMA = pa.schema([("id", STRING), ("text", STRING)])


class Collector:
    """Takes rows, batch by batch; keeps what is usable and remembers why the rest is not.

    The texts go to an unnamed file in ``folder``: it is gone when the pool is, even after a ``kill -9``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with self._room():
            make_private_folder(folder)
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  close() closes it
            self._writer = pa.ipc.new_file(self._file, SCHEMA)
        self._codes_by_label: dict[str, int] = {}
        self._text_digests: list[Digests] = []
        self._id_digests: list[Digests] = []
        self._lengths: list[NDArray[np.int32]] = []
        self._labels: list[NDArray[np.int32]] = []
        self.rows = 0
        self.mended = 0
        self.skipped: Counter[Problem] = Counter()
        self.ignored_labels: Counter[LabelProblem] = Counter()
        self.named: dict[Problem, list[str]] = {}

    def close(self) -> None:
        """Close the file; what ``finish`` handed over stays readable."""
        self._file.close()

    def add(self, rows: Rows) -> None:
        """Take ``rows``.

        Raises:
            PoolError: there are far too many different labels, or no room on disk.
        """
        usable = rows.problems == Problem.NONE
        self._note_problems(rows)
        self.rows += len(usable)
        self.mended += rows.mended
        self.ignored_labels.update(LabelProblem(code) for code in rows.label_problems[usable] if code)
        if not usable.any():
            return
        mask = pa.array(usable)
        texts = rows.texts.filter(mask)
        digests = digests_of(_unguarded(texts))
        hashes = hex_of(digests)
        ids = pc.coalesce(rows.ids.filter(mask), hashes)
        with self._room():
            self._writer.write_batch(pa.record_batch([ids, texts], schema=SCHEMA))
        self._text_digests.append(digests)
        self._id_digests.append(digests_of(ids))
        self._lengths.append(pc.utf8_length(texts).to_numpy().astype(np.int32))
        self._labels.append(self._encode_labels(rows.labels.filter(mask)))

    def finish(self) -> Collected:
        """Hand over what was taken."""
        with self._room():
            self._writer.close()
            self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        table = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped)))
        return Collected(
            batches=[table.get_batch(i) for i in range(table.num_record_batches)],
            text_digests=_joined(self._text_digests, (0, 2), np.uint64),
            id_digests=_joined(self._id_digests, (0, 2), np.uint64),
            lengths=_joined(self._lengths, (0,), np.int32),
            labels=_joined(self._labels, (0,), np.int32),
            label_names=tuple(self._codes_by_label),
        )

    @contextmanager
    def _room(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PoolError(
                f"texts cannot be kept in {self._folder} ({error.strerror or error}): set cache_dir to a folder that "
                "can be written to and has room"
            ) from error

    def _note_problems(self, rows: Rows) -> None:
        for code in np.unique(rows.problems[rows.problems != Problem.NONE]).tolist():
            problem = Problem(code)
            positions = np.flatnonzero(rows.problems == code)
            self.skipped[problem] += len(positions)
            named = self.named.setdefault(problem, [])
            for position in positions[: NAMED_ROWS - len(named)].tolist():
                named.append(rows.ids[position].as_py() or f"row {self.rows + position + 1}")

    def _encode_labels(self, labels: Any) -> NDArray[np.int32]:
        encoded = labels.dictionary_encode()
        names = encoded.dictionary.to_pylist()
        codes = np.array(
            [*(self._codes_by_label.setdefault(name, len(self._codes_by_label)) for name in names), -1],
            np.int32,
        )
        if len(self._codes_by_label) > MAX_LABELS:
            raise PoolError(
                f"the label column holds more than {MAX_LABELS} different values: set pool.label_column to the column "
                "that holds the labels, or leave it out"
            )
        # The last entry of codes, -1, stands for no label.
        indices: NDArray[np.int32] = codes[pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)]
        return indices


class Collected:
    """The usable rows, duplicates and all, in the order they were read."""

    def __init__(
        self,
        *,
        batches: list[Any],
        text_digests: Digests,
        id_digests: Digests,
        lengths: NDArray[np.int32],
        labels: NDArray[np.int32],
        label_names: tuple[str, ...],
    ) -> None:
        self.batches = batches
        self.text_digests = text_digests
        self.id_digests = id_digests
        self.lengths = lengths
        self.labels = labels
        self.label_names = label_names


def digests_of(strings: Any) -> Digests:
    """BLAKE2b digests of a large_string array without nulls, 128 bits each, shape (n, 2)."""
    if not len(strings):
        return np.empty((0, 2), np.uint64)
    _, offsets_buffer, data_buffer = strings.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[
        strings.offset : strings.offset + len(strings) + 1
    ].tolist()
    data = memoryview(data_buffer)
    hashed = b"".join(digest_utf8(data[start:end]) for start, end in pairwise(offsets))
    return np.frombuffer(hashed, np.uint64).reshape(-1, 2)


def keys_in(digests: Digests) -> KeyArray:
    """The keys that ``policy.text_keys.keys_of`` gives the same texts."""
    return digests[:, 0].copy()


def hex_of(digests: Digests) -> Any:
    """The digests written in hexadecimal: a large_string array, built without a Python string for each."""
    length = len(digests)
    text = digests.tobytes().hex().encode()
    offsets = np.arange(length + 1, dtype=np.int64) * (2 * DIGEST_BYTES)
    return pa.LargeStringArray.from_buffers(length, pa.py_buffer(offsets), pa.py_buffer(text))


def first_equal(digests: Digests) -> IndexArray:
    """For each digest the position of the first one that equals it."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: equal ones stay in the order they came
    ranked = digests[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    leaders = order[np.flatnonzero(starts)]
    first = np.empty(len(order), np.int64)
    first[order] = leaders[np.cumsum(starts) - 1]
    return first


def _unguarded(texts: Any) -> Any:
    """As ``policy.text_keys.unescape_markup``: what Argilla gives back, by which texts are told apart."""
    if not pc.any(pc.match_substring(texts, GUARD)).as_py():
        return texts
    return pc.replace_substring_regex(texts, f"{GUARD}([A-Za-z/!?])", r"<\1")


def _joined(parts: list[Any], empty_shape: tuple[int, ...], dtype: Any) -> Any:
    return np.concatenate(parts) if parts else np.empty(empty_shape, cast("type", dtype))
