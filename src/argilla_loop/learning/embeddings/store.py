"""Embeddings on disk as rows of float16, found by a digest of their text.

Each process that writes has a file of its own (a *segment*), which all processes read: nobody appends to another's
file, so there is nothing to wait for and nothing to corrupt. A process takes over a segment that nobody writes to, so
as a rule there is one. The store is a cache: whatever is wrong with a file costs time only, and a file may be deleted
or cut short at any moment.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import structlog

from argilla_loop.domain import HalfArray, IndexArray
from argilla_loop.errors import RetryableError
from argilla_loop.learning.embeddings.segments import (
    MAX_GAP,
    READ_ROWS,
    FileSegment,
    KeyArray,
    MemorySegment,
    Segment,
    checksums,
    header_of,
    open_to_append,
    open_to_read,
    row_type,
)
from argilla_loop.policy.text_keys import digest
from argilla_loop.settings.files import make_private_folder

log = structlog.get_logger(__name__)

# Segments that may be in use at a time, one for each process that writes. Chosen, not measured.
MAX_SEGMENTS = 1000
ABSENT = -1


class VectorsLostError(RetryableError):
    """Embeddings are gone or replaced: somebody changed their file while it was in use."""


def hash_texts(texts: Sequence[str]) -> KeyArray:
    """Return the digests of ``texts`` as pairs of numbers, shape (n, 2)."""
    return np.frombuffer(b"".join(map(digest, texts)), dtype="<u8").reshape(-1, 2)


class VectorStore:
    """Finds, appends and reads embeddings by *slot*: a number that is valid as long as this object is.

    Safe to call from several threads. If the disk takes nothing, rows stay in memory, with one warning.

    Args:
        folder: made if missing; holds ``vectors-<fingerprint>.<number>.f16``.
        fingerprint: the encoder's, so that embeddings of two encoders never mix.
        dimension: numbers in an embedding.
        read_rows: rows read at a time.
        max_gap: the largest distance of two rows that are read in one call.
    """

    def __init__(
        self,
        folder: Path,
        fingerprint: str,
        dimension: int,
        *,
        read_rows: int = READ_ROWS,
        max_gap: int = MAX_GAP,
    ) -> None:
        self.folder, self.fingerprint, self.dimension = folder, fingerprint, dimension
        self._read_rows, self._max_gap = read_rows, max_gap
        self._header = header_of(fingerprint, dimension)
        self._record = row_type(dimension)
        self._lock = threading.Lock()
        self._segments: list[Segment] = []  # only the last one grows
        self._first: list[int] = []  # the slot of each segment's first row
        self._open()

    def find(self, keys: KeyArray) -> IndexArray:
        """Return the slots of ``keys``, -1 where there is no embedding."""
        with self._lock:
            known = np.concatenate([segment.keys for segment in self._segments])
        slots = np.flatnonzero(known.any(axis=1))
        if not len(slots):
            return np.full(len(keys), ABSENT, dtype=np.int64)
        slots = slots[np.argsort(known[slots, 0], kind="stable")]
        found = slots[np.searchsorted(known[slots, 0], keys[:, 0]).clip(max=len(slots) - 1)]
        # Half a key finds the row and the other half confirms it. Two texts that share a half cost one embedding at
        # each start.
        return np.where((known[found] == keys).all(axis=1), found, ABSENT)

    def append(self, keys: KeyArray, vectors: HalfArray) -> IndexArray:
        """Store ``vectors`` (n, dimension) under ``keys`` (n, 2); return their slots."""
        records = np.zeros(len(keys), dtype=self._record)
        records["key"], records["vector"] = keys, vectors
        records["crc"] = checksums(records)
        with self._lock:
            if not self._segments[-1].is_intact():
                self._start_segment()
            try:
                before = self._segments[-1].append(records)
            except OSError as error:
                self._continue_in_memory(error)
                before = self._segments[-1].append(records)
            return np.arange(len(records), dtype=np.int64) + self._first[-1] + before

    def gather(self, slots: IndexArray) -> HalfArray:
        """Return the embeddings at ``slots``, shape (n, dimension).

        Raises:
            VectorsLostError: some are no longer in their file; a new store finds those that are.
        """
        with self._lock:
            parts = list(zip(self._first, self._segments, strict=True))
            counts = [len(segment.keys) for segment in self._segments]
        vectors = np.empty((len(slots), self.dimension), dtype=np.float16)
        for (first, segment), count in zip(parts, counts, strict=True):
            here = np.flatnonzero((slots >= first) & (slots < first + count))
            here = here[np.argsort(slots[here], kind="stable")]  # read a file from its start to its end
            rows = slots[here] - first
            for start in range(0, len(rows), self._read_rows):
                part = slice(start, start + self._read_rows)
                records = segment.read(rows[part])
                if not np.array_equal(records["key"], segment.keys[rows[part]]):
                    raise VectorsLostError(
                        f"embeddings in {self.folder} were changed while they were used: reading what is there anew"
                    )
                vectors[here[part]] = records["vector"]
        return vectors

    def close(self) -> None:
        """Close the files; nothing may be read or appended afterwards."""
        with self._lock:
            for segment in self._segments:
                segment.close()

    def _open(self) -> None:
        try:
            make_private_folder(self.folder)
            path, own = self._claim_segment()
            for other in sorted(self.folder.glob(f"vectors-{self.fingerprint}.*.f16")):
                if other != path:
                    self._add_foreign(other)
            self._add(own)
        except OSError as error:
            self._continue_in_memory(error)

    def _claim_segment(self) -> tuple[Path, FileSegment]:
        """Return the first segment that nobody writes to; a new one if there is none."""
        for number in range(MAX_SEGMENTS):
            path = self.folder / f"vectors-{self.fingerprint}.{number}.f16"
            if (file := open_to_append(path, self._header)) is not None:
                return path, FileSegment(file, self._record, read_rows=self._read_rows, max_gap=self._max_gap)
        raise OSError(f"{MAX_SEGMENTS} files in {self.folder} are in use")

    def _add_foreign(self, path: Path) -> None:
        """Read another process's segment too."""
        with suppress(FileNotFoundError):
            if (file := open_to_read(path, self._header)) is not None:
                self._add(
                    FileSegment(
                        file, self._record, own=False, read_rows=self._read_rows, max_gap=self._max_gap
                    )
                )

    def _add(self, segment: Segment) -> None:
        self._first.append(self._first[-1] + len(self._segments[-1].keys) if self._segments else 0)
        self._segments.append(segment)

    def _start_segment(self) -> None:
        try:
            make_private_folder(self.folder)
            self._add(self._claim_segment()[1])
        except OSError as error:
            self._continue_in_memory(error)

    def _continue_in_memory(self, error: OSError) -> None:
        log.warning("pool_vectors_in_memory", folder=str(self.folder), reason=str(error))
        self._add(MemorySegment(self._record))
