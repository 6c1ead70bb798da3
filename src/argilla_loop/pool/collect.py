"""Collect the rows of a source: texts on disk, and whatever is compared in arrays of numbers.

A million rows are a million strings on disk and some 60 MB of numbers, never a million Python objects.
"""

from __future__ import annotations

import mmap
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
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

# Rows named in one log event. Chosen, not measured.
MAX_NAMED_ROWS = 20
# A column with more different values is not a label column. Chosen, not measured.
MAX_LABELS = 1000
SCHEMA = pa.schema([("id", STRING), ("text", STRING)])


class Collector:
    """Takes rows in batches; keeps the usable ones and counts the reasons for leaving out the others.

    The texts are in an unnamed file in ``folder``, which ceases to exist with the pool, even after a ``kill -9``.

    Args:
        folder: for the texts.
        relabel: other names of labels.
    """

    def __init__(self, folder: Path, relabel: Mapping[str, str] | None = None) -> None:
        self._folder, self._relabel = folder, relabel or {}
        with self._disk_errors_explained():
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
        """Close the file; the result of ``finish`` stays readable."""
        self._file.close()

    def add(self, rows: Rows) -> None:
        """Add ``rows``.

        Raises:
            PoolError: there are more than ``MAX_LABELS`` labels, or the disk takes no more.
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
        digests = hash_strings(_unescape_markup(texts))
        hashes = to_hex(digests)
        ids = pc.coalesce(rows.ids.filter(mask), hashes)
        with self._disk_errors_explained():
            self._writer.write_batch(pa.record_batch([ids, texts], schema=SCHEMA))
        self._text_digests.append(digests)
        self._id_digests.append(hash_strings(ids))
        self._lengths.append(pc.utf8_length(texts).to_numpy().astype(np.int32))
        self._labels.append(self._encode_labels(rows.labels.filter(mask)))

    def finish(self) -> Collected:
        """Return the usable rows."""
        with self._disk_errors_explained():
            self._writer.close()
            self._file.flush()
        mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        table = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(mapped)))
        return Collected(
            batches=[table.get_batch(i) for i in range(table.num_record_batches)],
            text_digests=_concatenate(self._text_digests, (0, 2), np.uint64),
            id_digests=_concatenate(self._id_digests, (0, 2), np.uint64),
            lengths=_concatenate(self._lengths, (0,), np.int32),
            labels=_concatenate(self._labels, (0,), np.int32),
            label_names=tuple(self._codes_by_label),
        )

    @contextmanager
    def _disk_errors_explained(self) -> Iterator[None]:
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
            for position in positions[: MAX_NAMED_ROWS - len(named)].tolist():
                named.append(rows.ids[position].as_py() or f"row {self.rows + position + 1}")

    def _encode_labels(self, labels: Any) -> NDArray[np.int32]:
        encoded = labels.dictionary_encode()
        names = [self._relabel.get(name, name) for name in encoded.dictionary.to_pylist()]
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
    """The usable rows, including duplicates, in the order in which they were read."""

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


def hash_strings(strings: Any) -> Digests:
    """Return BLAKE2b digests of a large_string array without nulls, 128 bits each, shape (n, 2)."""
    if not len(strings):
        return np.empty((0, 2), np.uint64)
    _, offsets_buffer, data_buffer = strings.buffers()
    offsets = np.frombuffer(offsets_buffer, np.int64)[
        strings.offset : strings.offset + len(strings) + 1
    ].tolist()
    data = memoryview(data_buffer)
    hashed = b"".join(digest_utf8(data[start:end]) for start, end in pairwise(offsets))
    return np.frombuffer(hashed, np.uint64).reshape(-1, 2)


def keys_of_digests(digests: Digests) -> KeyArray:
    """Return the keys that ``policy.text_keys.keys_of`` returns for the same texts."""
    return digests[:, 0].copy()


def to_hex(digests: Digests) -> Any:
    """Return the digests in hexadecimal as a large_string array, built without Python strings."""
    length = len(digests)
    text = digests.tobytes().hex().encode()
    offsets = np.arange(length + 1, dtype=np.int64) * (2 * DIGEST_BYTES)
    return pa.LargeStringArray.from_buffers(length, pa.py_buffer(offsets), pa.py_buffer(text))


def first_occurrences(digests: Digests) -> IndexArray:
    """Return, for each digest, the position of the first equal one."""
    order = np.lexsort((digests[:, 1], digests[:, 0]))  # stable: equal ones keep their order
    ranked = digests[order]
    starts = np.ones(len(order), np.bool_)
    starts[1:] = (ranked[1:] != ranked[:-1]).any(axis=1)
    leaders = order[np.flatnonzero(starts)]
    first = np.empty(len(order), np.int64)
    first[order] = leaders[np.cumsum(starts) - 1]
    return first


def _unescape_markup(texts: Any) -> Any:
    """Return the same as ``policy.text_keys.unescape_markup``, for an array: keys are of these texts."""
    if not pc.any(pc.match_substring(texts, GUARD)).as_py():
        return texts
    return pc.replace_substring_regex(texts, f"{GUARD}([A-Za-z/!?])", r"<\1")


def _concatenate(parts: list[Any], empty_shape: tuple[int, ...], dtype: Any) -> Any:
    return np.concatenate(parts) if parts else np.empty(empty_shape, cast("type", dtype))
