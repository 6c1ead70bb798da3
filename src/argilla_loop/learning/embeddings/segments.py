"""Embeddings on disk as rows of float16, found by a hash of their text.

They are read, not mapped: a file that somebody cuts short under a mapping ends the process (SIGBUS), where a read
comes back short. One file for each process that writes (a *segment*), which all of them read: nobody appends to
another's file, so there is nothing to wait for and nothing to corrupt. A process takes over a segment that nobody
writes to, so there is one, as a rule. It is a cache: whatever is wrong with a file costs time only, and it may be
deleted, or cut short, at any moment.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import HalfArray, IndexArray
from argilla_loop.errors import RetryableError
from argilla_loop.policy.text_keys import digest
from argilla_loop.settings.files import make_private_folder

log = structlog.get_logger(__name__)

KeyArray = NDArray[np.uint64]  # shape (n, 2): 128 bits of hash for each text
Records = NDArray[np.void]

MAGIC = b"argilla-loop f16"
HEADER = struct.Struct("<16s32sI12x")  # magic, encoder's fingerprint, dimension
NEXT_SEGMENT_TRIES = 1000
MEMORY_ROWS = 1024  # room to begin with
READ_ROWS = 4096  # read at a time: some 3 MB of 384 numbers each
GAP = 8  # rows that are read for nothing where that saves a read
ABSENT = -1


class VectorsLostError(RetryableError):
    """Embeddings are gone, or others are in their place: somebody changed their file while it was used."""


def keys_of(texts: Sequence[str]) -> KeyArray:
    """Hashes of ``texts``, shape (n, 2)."""
    return np.frombuffer(b"".join(map(digest, texts)), dtype="<u8").reshape(-1, 2)


class VectorStore:
    """Finds, appends and reads embeddings by *slot*: a number that is valid as long as this object is.

    Safe to call from several threads. Where the disk takes nothing, rows stay in memory, with one warning.

    Args:
        folder: made if missing; holds ``vectors-<fingerprint>.<number>.f16``.
        fingerprint: the encoder's, so that embeddings of two encoders never mix.
        dimension: numbers in an embedding.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self.folder, self.fingerprint, self.dimension = folder, fingerprint, dimension
        self._header = HEADER.pack(MAGIC, fingerprint.encode()[:32], dimension)
        self._record = np.dtype([("crc", "<u4"), ("key", "<u8", (2,)), ("vector", "<f2", (dimension,))])
        self._lock = threading.Lock()
        self._segments: list[_FileSegment | _MemorySegment] = []  # only the last one grows
        self._first: list[int] = []  # the slot of each segment's first row
        self._open()

    def find(self, keys: KeyArray) -> IndexArray:
        """Slots of ``keys``, -1 where there is no embedding."""
        with self._lock:
            known = np.concatenate([segment.keys for segment in self._segments])
        slots = np.flatnonzero(known.any(axis=1))
        if not len(slots):
            return np.full(len(keys), ABSENT, dtype=np.int64)
        slots = slots[np.argsort(known[slots, 0], kind="stable")]
        found = slots[np.searchsorted(known[slots, 0], keys[:, 0]).clip(max=len(slots) - 1)]
        # Half a key finds the row, the other half confirms it: two texts that share a half cost one embedding a start.
        return np.where((known[found] == keys).all(axis=1), found, ABSENT)

    def append(self, keys: KeyArray, vectors: HalfArray) -> IndexArray:
        """Store ``vectors`` (n, dimension) under ``keys`` (n, 2); returns their slots."""
        records = np.zeros(len(keys), dtype=self._record)
        records["key"], records["vector"] = keys, vectors
        records["crc"] = _checksums(records)
        with self._lock:
            segment = self._segments[-1]
            if isinstance(segment, _FileSegment) and not segment.is_whole():
                self._grow_elsewhere()
            try:
                before = self._segments[-1].append(records)
            except OSError as error:
                self._in_memory(error)
                before = self._segments[-1].append(records)
            return np.arange(len(records), dtype=np.int64) + self._first[-1] + before

    def gather(self, slots: IndexArray) -> HalfArray:
        """Embeddings at ``slots``, shape (n, dimension).

        Raises:
            VectorsLostError: some are not in their file any more; another store, made anew, knows what is there.
        """
        with self._lock:
            parts = list(zip(self._first, self._segments, strict=True))
            counts = [len(segment.keys) for segment in self._segments]
        vectors = np.empty((len(slots), self.dimension), dtype=np.float16)
        for (first, segment), count in zip(parts, counts, strict=True):
            here = np.flatnonzero((slots >= first) & (slots < first + count))
            here = here[
                np.argsort(slots[here], kind="stable")
            ]  # a file is read from its beginning to its end
            rows = slots[here] - first
            for start in range(0, len(rows), READ_ROWS):
                part = slice(start, start + READ_ROWS)
                records = segment.read(rows[part])
                if not np.array_equal(records["key"], segment.keys[rows[part]]):
                    raise VectorsLostError(
                        f"embeddings in {self.folder} were changed while they were used: reading what is there anew"
                    )
                vectors[here[part]] = records["vector"]
        return vectors

    def close(self) -> None:
        """Let go of the files; nothing may be read or appended afterwards."""
        with self._lock:
            for segment in self._segments:
                segment.close()

    def _open(self) -> None:
        try:
            make_private_folder(self.folder)
            own = self._own_path()
            for path in sorted(self.folder.glob(f"vectors-{self.fingerprint}.*.f16")):
                if path != own[0]:
                    self._read_others(path)
            self._add(own[1])
        except OSError as error:
            self._in_memory(error)

    def _own_path(self) -> tuple[Path, _FileSegment]:
        """The first segment that nobody writes to; a new one where there is none."""
        for number in range(NEXT_SEGMENT_TRIES):
            path = self.folder / f"vectors-{self.fingerprint}.{number}.f16"
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                continue
            except OSError:
                file.close()
                raise
            head = os.pread(file.fileno(), HEADER.size, 0)
            if head and head != self._header:
                log.warning("pool_vectors_discarded", path=str(path), reason="not a file of this kind")
                path.unlink(missing_ok=True)
                file.close()
                return self._own_path()
            if not head:
                _write(file, self._header, 0)
            return path, _FileSegment(file, self._record)
        raise OSError(f"{NEXT_SEGMENT_TRIES} files in {self.folder} are in use")

    def _read_others(self, path: Path) -> None:
        with suppress(FileNotFoundError):
            file = path.open("rb", buffering=0)
            if os.pread(file.fileno(), HEADER.size, 0) == self._header:
                self._add(_FileSegment(file, self._record, own=False))
            else:
                file.close()

    def _add(self, segment: _FileSegment | _MemorySegment) -> None:
        self._first.append(self._first[-1] + len(self._segments[-1].keys) if self._segments else 0)
        self._segments.append(segment)

    def _grow_elsewhere(self) -> None:
        try:
            make_private_folder(self.folder)
            self._add(self._own_path()[1])
        except OSError as error:
            self._in_memory(error)

    def _in_memory(self, error: OSError) -> None:
        log.warning("pool_vectors_in_memory", folder=str(self.folder), reason=str(error))
        self._add(_MemorySegment(self._record))


class _Keys:
    """The keys of a segment's rows, by row; zeros where a row is damaged or was never written."""

    def __init__(self) -> None:
        self._rows: KeyArray = np.zeros((MEMORY_ROWS, 2), dtype=np.uint64)
        self._count = 0

    @property
    def keys(self) -> KeyArray:
        """Of all rows, shape (n, 2)."""
        return self._rows[: self._count]

    def _extend(self, keys: KeyArray) -> None:
        before, count = self._count, self._count + len(keys)
        self._rows = _with_room(self._rows, count)
        self._rows[before:count] = keys
        self._count = count


class _FileSegment(_Keys):
    """Rows of one file; its owner, who holds the lock, may append."""

    def __init__(self, file: BinaryIO | Any, record: np.dtype[np.void], *, own: bool = True) -> None:
        super().__init__()
        self._file, self._record, self._own = file, record, own
        count = max(os.fstat(file.fileno()).st_size - HEADER.size, 0) // record.itemsize
        self._check(count)
        if own:  # a torn tail; others read whole rows only
            os.ftruncate(file.fileno(), self._end())

    def read(self, rows: IndexArray) -> Records:
        """The rows ``rows``, which ascend; zeros where the file has none any more."""
        records: Records = np.zeros(len(rows), dtype=self._record)
        content = records.view(np.uint8).data
        size = self._record.itemsize
        steps = np.diff(rows)
        breaks = np.flatnonzero(steps > GAP) + 1
        for start, end in pairwise([0, *breaks.tolist(), len(rows)] if len(rows) else []):
            first, last = int(rows[start]), int(rows[end - 1])
            offset = HEADER.size + first * size
            if (steps[start : end - 1] == 1).all():
                _read(self._file, content[start * size : end * size], offset)
            else:
                between: Records = np.zeros(last - first + 1, dtype=self._record)
                _read(self._file, between.view(np.uint8).data, offset)
                records[start:end] = between[rows[start:end] - first]
        return records

    def append(self, records: Records) -> int:
        """Write ``records`` behind the others; returns the number of rows before."""
        before = self._count
        try:
            _write(self._file, records.tobytes(), self._end())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end())
            raise
        self._extend(records["key"])
        return before

    def is_whole(self) -> bool:
        """Whether the file is as we left it: somebody may have deleted it, or cut it short."""
        stat = os.fstat(self._file.fileno())
        return stat.st_nlink > 0 and stat.st_size == self._end()

    def close(self) -> None:
        self._count = 0
        self._file.close()

    def _check(self, count: int) -> None:
        """Read all rows once; those that are damaged are told, and passed over from now on."""
        damaged = 0
        for start in range(0, count, READ_ROWS):
            rows = np.arange(start, min(start + READ_ROWS, count), dtype=np.int64)
            records = self.read(rows)
            used = records["key"].any(axis=1)
            broken = used & (records["crc"] != _checksums(records))
            damaged += int(broken.sum())
            records["key"][broken] = 0
            self._extend(records["key"])
            self._blank(rows[broken])
        if damaged:
            log.warning("pool_vectors_damaged", rows=damaged, of=count, then="embedding these texts again")

    def _blank(self, rows: IndexArray) -> None:
        for row in rows.tolist() if self._own else []:
            with suppress(OSError):
                _write(self._file, bytes(self._record.itemsize), HEADER.size + row * self._record.itemsize)

    def _end(self) -> int:
        return HEADER.size + self._count * self._record.itemsize


class _MemorySegment(_Keys):
    """Rows that the disk did not take."""

    def __init__(self, record: np.dtype[np.void]) -> None:
        super().__init__()
        self._records: Records = np.empty(MEMORY_ROWS, dtype=record)

    def read(self, rows: IndexArray) -> Records:
        return np.asarray(self._records[rows])

    def append(self, records: Records) -> int:
        before, count = self._count, self._count + len(records)
        self._records = _with_room(self._records, count)
        self._records[before:count] = records
        self._extend(records["key"])
        return before

    def close(self) -> None:
        self._count = 0


def _with_room(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """``rows``, or a larger copy where ``count`` do not fit."""
    if count <= len(rows):
        return rows
    larger = np.zeros((max(count, 2 * len(rows)), *rows.shape[1:]), dtype=rows.dtype)
    larger[: len(rows)] = rows
    return larger


def _checksums(records: Records) -> NDArray[np.uint32]:
    """CRC-32 of each row's key and vector."""
    size = records.dtype.itemsize

    def each() -> Iterator[int]:
        content = np.ascontiguousarray(records).view(np.uint8).data
        for start in range(0, len(records) * size, size):
            yield zlib.crc32(content[start + 4 : start + size])

    return np.fromiter(each() if len(records) else iter(()), dtype=np.uint32, count=len(records))


def _write(file: BinaryIO | Any, content: bytes, offset: int) -> None:
    rest = memoryview(content)
    while rest:  # a disk that is nearly full takes a part
        written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


def _read(file: BinaryIO | Any, into: memoryview, offset: int) -> None:
    """Fill ``into`` as far as the file goes."""
    while into:
        count = os.preadv(file.fileno(), [into], offset)
        if count == 0:
            return
        into, offset = into[count:], offset + count
