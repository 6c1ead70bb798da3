"""One file of embeddings: a header, then rows of equal size that are only appended to.

A row is a CRC-32, the text's digest (16 bytes), and the float16 numbers. Rows are read, not mapped: if somebody cuts a
mapped file short, the process ends with SIGBUS, where a read returns fewer bytes.
"""

from __future__ import annotations

import fcntl
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray

log = structlog.get_logger(__name__)

KeyArray = NDArray[np.uint64]  # shape (n, 2): 128 bits of digest for each text
Records = NDArray[np.void]

MAGIC = b"argilla-loop f16"
HEADER = struct.Struct("<16s32sI12x")  # magic, encoder's fingerprint, dimension
# Rows of the first allocation, doubled whenever they are full. Chosen, not measured.
INITIAL_ROWS = 1024
# Rows read at a time: some 3 MB at 384 numbers each. Chosen, not measured.
READ_ROWS = 4096
# The largest distance of two rows that are read in one call together with what is between them. Chosen, not measured.
MAX_GAP = 8
CHECKSUM_BYTES = 4


def row_type(dimension: int) -> np.dtype[np.void]:
    """Return the type of a row with an embedding of ``dimension`` numbers."""
    return np.dtype([("crc", "<u4"), ("key", "<u8", (2,)), ("vector", "<f2", (dimension,))])


def header_of(fingerprint: str, dimension: int) -> bytes:
    """Return the header of a file with embeddings by the encoder ``fingerprint``."""
    return HEADER.pack(MAGIC, fingerprint.encode()[:32], dimension)


def checksums(records: Records) -> NDArray[np.uint32]:
    """Return the CRC-32 of each row's key and vector."""
    size = records.dtype.itemsize

    def each() -> Iterator[int]:
        content = np.ascontiguousarray(records).view(np.uint8).data
        for start in range(0, len(records) * size, size):
            yield zlib.crc32(content[start + CHECKSUM_BYTES : start + size])

    return np.fromiter(each() if len(records) else iter(()), dtype=np.uint32, count=len(records))


class Segment:
    """Rows of embeddings. The keys of all rows are in memory; zeros stand for a row that is damaged or unwritten."""

    def __init__(self) -> None:
        self._keys: KeyArray = np.zeros((INITIAL_ROWS, 2), dtype=np.uint64)
        self._count = 0

    @property
    def keys(self) -> KeyArray:
        """The keys of all rows, shape (n, 2)."""
        return self._keys[: self._count]

    def read(self, rows: IndexArray) -> Records:
        """Return the rows numbered ``rows``, which ascend; zeros for a row that is gone."""
        raise NotImplementedError

    def append(self, records: Records) -> int:
        """Add ``records`` at the end; return the number of rows before them."""
        raise NotImplementedError

    def is_intact(self) -> bool:
        """Return whether nobody else has changed the rows' number, so that more can be appended."""
        return True

    def close(self) -> None:
        """Forget the rows."""
        self._count = 0

    def _add_keys(self, keys: KeyArray) -> None:
        before, count = self._count, self._count + len(keys)
        self._keys = _grow(self._keys, count)
        self._keys[before:count] = keys
        self._count = count


class FileSegment(Segment):
    """The rows of one file.

    Args:
        file: opened without a buffer, its header checked.
        record: the type of a row, see ``row_type``.
        own: whether this process holds the file's lock, and so may append to it.
        read_rows: rows read at a time when the file is opened.
        max_gap: the largest distance of two rows that are read in one call.
    """

    def __init__(
        self,
        file: BinaryIO | Any,
        record: np.dtype[np.void],
        *,
        own: bool = True,
        read_rows: int = READ_ROWS,
        max_gap: int = MAX_GAP,
    ) -> None:
        super().__init__()
        self._file, self._record, self._own = file, record, own
        self._read_rows, self._max_gap = read_rows, max_gap
        count = max(os.fstat(file.fileno()).st_size - HEADER.size, 0) // record.itemsize
        self._load_keys(count)
        if own:  # cut off half a row at the end; other processes read whole rows only
            os.ftruncate(file.fileno(), self._end())

    def read(self, rows: IndexArray) -> Records:
        """Return the rows numbered ``rows``, which ascend; zeros where the file no longer has them."""
        records: Records = np.zeros(len(rows), dtype=self._record)
        content = records.view(np.uint8).data
        size = self._record.itemsize
        steps = np.diff(rows)
        breaks = np.flatnonzero(steps > self._max_gap) + 1
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
        """Write ``records`` at the end; return the number of rows before them.

        Raises:
            OSError: the disk does not take them; the file is as it was before.
        """
        before = self._count
        try:
            _write(self._file, records.tobytes(), self._end())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end())
            raise
        self._add_keys(records["key"])
        return before

    def is_intact(self) -> bool:
        """Return whether the file still exists and has the size that this process gave it."""
        stat = os.fstat(self._file.fileno())
        return stat.st_nlink > 0 and stat.st_size == self._end()

    def close(self) -> None:
        """Close the file; its lock ends with it."""
        super().close()
        self._file.close()

    def _load_keys(self, count: int) -> None:
        """Read all rows once; log how many are damaged, and ignore those from now on."""
        damaged = 0
        for start in range(0, count, self._read_rows):
            rows = np.arange(start, min(start + self._read_rows, count), dtype=np.int64)
            records = self.read(rows)
            used = records["key"].any(axis=1)
            broken = used & (records["crc"] != checksums(records))
            damaged += int(broken.sum())
            records["key"][broken] = 0
            self._add_keys(records["key"])
            self._erase(rows[broken])
        if damaged:
            log.warning("pool_vectors_damaged", rows=damaged, of=count, then="embedding these texts again")

    def _erase(self, rows: IndexArray) -> None:
        for row in rows.tolist() if self._own else []:
            with suppress(OSError):
                _write(self._file, bytes(self._record.itemsize), HEADER.size + row * self._record.itemsize)

    def _end(self) -> int:
        return HEADER.size + self._count * self._record.itemsize


class MemorySegment(Segment):
    """Rows that the disk did not take."""

    def __init__(self, record: np.dtype[np.void]) -> None:
        super().__init__()
        self._records: Records = np.empty(INITIAL_ROWS, dtype=record)

    def read(self, rows: IndexArray) -> Records:
        """Return the rows numbered ``rows``."""
        return np.asarray(self._records[rows])

    def append(self, records: Records) -> int:
        """Add ``records`` at the end; return the number of rows before them."""
        before, count = self._count, self._count + len(records)
        self._records = _grow(self._records, count)
        self._records[before:count] = records
        self._add_keys(records["key"])
        return before


def open_to_read(path: Path, header: bytes) -> BinaryIO | Any | None:
    """Open another process's file; return None if it has another header.

    Raises:
        OSError: it cannot be read.
    """
    file = path.open("rb", buffering=0)
    if os.pread(file.fileno(), HEADER.size, 0) == header:
        return file
    file.close()
    return None


def open_to_append(path: Path, header: bytes) -> BinaryIO | Any | None:
    """Open and lock ``path``, made if missing; return None if another process holds it.

    A file with another header is deleted, with a warning, and a new one takes its place.

    Raises:
        OSError: it cannot be made, locked or written.
    """
    while True:
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b", buffering=0)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError:
            file.close()
            raise
        found = os.pread(file.fileno(), HEADER.size, 0)
        if not found:
            _write(file, header, 0)
            return file
        if found == header:
            return file
        log.warning("pool_vectors_discarded", path=str(path), reason="not a file of this kind")
        path.unlink(missing_ok=True)
        file.close()


def _grow(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Return ``rows``, or a larger copy if ``count`` do not fit."""
    if count <= len(rows):
        return rows
    larger = np.zeros((max(count, 2 * len(rows)), *rows.shape[1:]), dtype=rows.dtype)
    larger[: len(rows)] = rows
    return larger


def _write(file: BinaryIO | Any, content: bytes, offset: int) -> None:
    rest = memoryview(content)
    while rest:  # a nearly full disk takes a part
        written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


def _read(file: BinaryIO | Any, into: memoryview, offset: int) -> None:
    """Fill ``into`` with as much as the file has."""
    while into:
        count = os.preadv(file.fileno(), [into], offset)
        if count == 0:
            return
        into, offset = into[count:], offset + count
