"""What was predicted so far, on disk, so that an interrupted run goes on where it stopped.

The file begins with a line of JSON that says what was predicted with which model. Chunks follow, each with its number
of rows and a checksum: a chunk that a kill or a full disk cut short is predicted again.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Self

# Column of the label in the model's labels (-1: the row has no text), and its certainty.
ROW = np.dtype([("column", "<i4"), ("certainty", "<f4")])
FRAME = struct.Struct("<II")  # rows, CRC-32 of their bytes

Rows = NDArray[np.void]


class PartialFile:
    """Rows predicted so far.

    Args:
        path: made if missing; one of another task is started anew.
        task: what says that it is the same task, such as digests of model and input.

    Raises:
        OSError: it cannot be read or written.
    """

    def __init__(self, path: Path, task: str) -> None:
        self.path, self._header = path, task.encode() + b"\n"
        self.rows = 0
        self._file = path.open("r+b" if path.is_file() else "w+b")
        if self._file.read(len(self._header)) != self._header:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(self._header)
            return
        end = self._file.tell()
        for chunk in self._chunks():
            self.rows += len(chunk)
            end = self._file.tell()
        self._file.seek(end)
        self._file.truncate()

    def append(self, rows: Rows) -> None:
        """Add ``rows``; they outlast a kill once this returns."""
        content = rows.tobytes()
        self._file.seek(0, os.SEEK_END)
        self._file.write(FRAME.pack(len(rows), zlib.crc32(content)) + content)
        self._file.flush()
        os.fsync(self._file.fileno())
        self.rows += len(rows)

    def chunks(self) -> Iterator[Rows]:
        """Yield what was added, in order, a chunk at a time."""
        self._file.seek(len(self._header))
        yield from self._chunks()

    def _chunks(self) -> Iterator[Rows]:
        while len(head := self._file.read(FRAME.size)) == FRAME.size:
            count, checksum = FRAME.unpack(head)
            content = self._file.read(count * ROW.itemsize)
            if len(content) != count * ROW.itemsize or zlib.crc32(content) != checksum:
                return
            yield np.frombuffer(content, ROW)

    def close(self) -> None:
        """Close the file, which stays."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
