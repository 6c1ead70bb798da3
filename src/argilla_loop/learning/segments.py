"""Embeddings on disk as rows of float16 that are mapped into memory, found by a hash of their text.

One file for each process that writes (a *segment*), which all of them read: nobody appends to another's file, so there
is nothing to wait for and nothing to corrupt. A process takes over a segment that nobody writes to, so there is
one, as a rule. It is a cache: whatever is wrong with a file costs time only, and it may be deleted at any moment.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import HalfArray, IndexArray
from argilla_loop.folders import make_own_folder

log = structlog.get_logger(__name__)

KeyArray = NDArray[np.uint64]  # shape (n, 2): 128 bits of hash for each text
Records = NDArray[np.void]

MAGIC = b"argilla-loop f16"
HEADER = struct.Struct("<16s32sI12x")  # magic, encoder's fingerprint, dimension
NEXT_SEGMENT_TRIES = 1000
MEMORY_ROWS = 1024  # room to begin with, where the disk takes nothing
ABSENT = -1


def keys_of(texts: Sequence[str]) -> KeyArray:
    """Hashes of ``texts``, shape (n, 2)."""
    digests = (blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype="<u8").reshape(-1, 2)


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
        self._index: list[tuple[KeyArray, IndexArray]] = []  # keys and their slots
        self._open()

    def find(self, keys: KeyArray) -> IndexArray:
        """Slots of ``keys``, -1 where there is no embedding."""
        with self._lock:
            known = np.concatenate([keys for keys, _ in self._index] or [np.empty((0, 2), np.uint64)])
            slots = np.concatenate([slots for _, slots in self._index] or [np.empty(0, np.int64)])
        if not len(known):
            return np.full(len(keys), ABSENT, dtype=np.int64)
        order = np.argsort(known[:, 0], kind="stable")
        at = np.searchsorted(known[order, 0], keys[:, 0]).clip(max=len(order) - 1)
        found = order[at]
        # Half a key finds the row, the other half confirms it: two texts that share a half cost one embedding a start.
        return np.where((known[found] == keys).all(axis=1), slots[found], ABSENT)

    def append(self, keys: KeyArray, vectors: HalfArray) -> IndexArray:
        """Store ``vectors`` (n, dimension) under ``keys`` (n, 2); returns their slots."""
        records = np.zeros(len(keys), dtype=self._record)
        records["key"], records["vector"] = keys, vectors
        records["crc"] = _checksums(records)
        with self._lock:
            segment = self._segments[-1]
            if isinstance(segment, _FileSegment) and segment.deleted():
                self._grow_elsewhere()
            try:
                before = self._segments[-1].append(records)
            except OSError as error:
                self._in_memory(error)
                before = self._segments[-1].append(records)
            slots = np.arange(len(records), dtype=np.int64) + self._first[-1] + before
            self._index.append((np.array(keys), slots))
        return slots

    def gather(self, slots: IndexArray) -> HalfArray:
        """Embeddings at ``slots``, shape (n, dimension), as a copy."""
        with self._lock:
            parts = [
                (first, segment.records()) for first, segment in zip(self._first, self._segments, strict=True)
            ]
        if len(parts) == 1:
            return np.asarray(parts[0][1]["vector"][slots], dtype=np.float16)
        vectors = np.empty((len(slots), self.dimension), dtype=np.float16)
        for first, records in parts:
            here = (slots >= first) & (slots < first + len(records))
            vectors[here] = records["vector"][slots[here] - first]
        return vectors

    def close(self) -> None:
        """Let go of the files; nothing may be read or appended afterwards."""
        with self._lock:
            for segment in self._segments:
                segment.close()

    def _open(self) -> None:
        try:
            make_own_folder(self.folder)
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
        with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
            if os.pread(file.fileno(), HEADER.size, 0) == self._header:
                self._add(_FileSegment(file, self._record, own=False))

    def _add(self, segment: _FileSegment | _MemorySegment) -> None:
        self._first.append(self._first[-1] + len(self._segments[-1].records()) if self._segments else 0)
        self._segments.append(segment)
        records = segment.records()
        used = records["key"].any(axis=1)
        sound = used & (records["crc"] == _checksums(records))
        if damaged := int((used & ~sound).sum()):
            log.warning(
                "pool_vectors_damaged", rows=damaged, of=len(records), then="embedding these texts again"
            )
            segment.forget(np.flatnonzero(used & ~sound))
        rows = np.flatnonzero(sound)
        self._index.append((np.array(records["key"][rows]), rows + self._first[-1]))

    def _grow_elsewhere(self) -> None:
        try:
            make_own_folder(self.folder)
            self._add(self._own_path()[1])
        except OSError as error:
            self._in_memory(error)

    def _in_memory(self, error: OSError) -> None:
        log.warning("pool_vectors_in_memory", folder=str(self.folder), reason=str(error))
        self._add(_MemorySegment(self._record))


class _FileSegment:
    """Rows of one file; its owner, who holds the lock, may append."""

    def __init__(self, file: BinaryIO | Any, record: np.dtype[np.void], *, own: bool = True) -> None:
        self._file, self._record, self._own = file, record, own
        self._count = max(os.fstat(file.fileno()).st_size - HEADER.size, 0) // record.itemsize
        if own:  # a torn tail; others map whole rows only, so nobody loses what is under his feet
            os.ftruncate(file.fileno(), self._end())
        self._mapped = self._map()

    def records(self) -> Records:
        """All rows, mapped."""
        if len(self._mapped) < self._count:
            self._mapped = self._map()
        return self._mapped

    def append(self, records: Records) -> int:
        """Write ``records`` behind the others; returns the number of rows before."""
        before = self._count
        try:
            _write(self._file, records.tobytes(), self._end())
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), self._end())
            raise
        self._count += len(records)
        return before

    def forget(self, rows: IndexArray) -> None:
        """Blank damaged rows, so that they are passed over from now on."""
        for row in rows.tolist() if self._own else []:
            with suppress(OSError):
                _write(self._file, bytes(self._record.itemsize), HEADER.size + row * self._record.itemsize)

    def deleted(self) -> bool:
        """Whether somebody has deleted the file; what was mapped stays readable."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def close(self) -> None:
        self._mapped = np.empty(0, dtype=self._record)
        self._count = 0
        self._file.close()

    def _end(self) -> int:
        return HEADER.size + self._count * self._record.itemsize

    def _map(self) -> Records:
        if not self._count:
            return np.empty(0, dtype=self._record)
        return np.asarray(
            np.memmap(self._file, dtype=self._record, mode="r", offset=HEADER.size, shape=(self._count,))
        )


class _MemorySegment:
    """Rows that the disk did not take."""

    def __init__(self, record: np.dtype[np.void]) -> None:
        self._rows: Records = np.empty(MEMORY_ROWS, dtype=record)
        self._count = 0

    def records(self) -> Records:
        return self._rows[: self._count]

    def append(self, records: Records) -> int:
        before, self._count = self._count, self._count + len(records)
        if self._count > len(self._rows):
            larger: Records = np.empty(max(self._count, 2 * len(self._rows)), dtype=self._rows.dtype)
            larger[:before] = self._rows[:before]
            self._rows = larger
        self._rows[before : self._count] = records
        return before

    def forget(self, rows: IndexArray) -> None:
        """Memory is not checked."""

    def close(self) -> None:
        self._count = 0


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
