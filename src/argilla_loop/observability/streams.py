"""Robust standard streams: a failing log never stops the service, and a closed output ends a command quietly."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

from argilla_loop.errors import OutputError

PIPE_ROOM = 4096  # bytes that a ready pipe accepts without blocking (PIPE_BUF of Linux)
PATIENCE = (
    5.0  # seconds to wait for a reader that does not read, before lines are dropped. Chosen, not measured.
)
STANDARD = ((0, "stdin"), (1, "stdout"), (2, "stderr"))


class BestEffort:
    """A text stream whose ``write`` never raises and never blocks for long. Lines that cannot be written are counted.

    It writes to the stream's descriptor, so that no data remains in a buffer for a later flush to fail on.

    Args:
        stream: the stream to write to; ``None``, which is Python's value for a closed standard error, discards all.
        returned: formats the line that reports the number of lost lines when writing works again.
        count: called with the number of lines of each loss.
    """

    def __init__(
        self,
        stream: TextIO | BestEffort | None,
        *,
        returned: Callable[[int], str] | None = None,
        count: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._stream: TextIO | None = stream._stream if isinstance(stream, BestEffort) else stream  # noqa: SLF001  an object of this class
        self._fd = _descriptor(self, self._stream)
        self._returned, self._count = returned, count
        self._lock = threading.RLock()  # the garbage collector may log a warning during a write
        self._torn = False  # whether the last line is incomplete
        self.lost = 0  # lines since the last successful write

    @property
    def encoding(self) -> str:
        """The encoding of the underlying stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write or drop ``text``, and return its length."""
        with self._lock:
            before = "\n" if self._torn else ""
            if self.lost and self._returned is not None:
                before += self._returned(self.lost)
            if self._put(before + text):
                self.lost, self._torn = 0, False
            else:
                lines = max(1, text.count("\n"))
                self.lost += lines
                self._count(lines)
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """Write each of ``lines``."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Do nothing: there is no buffer."""

    def isatty(self) -> bool:
        """Return whether the stream is a terminal."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):  # the stream was closed
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _put(self, text: str) -> bool:
        if self._stream is None:
            return True  # a closed stream is meant to discard everything
        try:
            if self._fd is None:
                self._stream.write(text)
                self._stream.flush()
                return True
            return self._send(self._fd, text.encode(self.encoding, "backslashreplace"))
        except (
            OSError,
            ValueError,
            LookupError,
        ):  # disk full, reader gone, stream closed, or unknown encoding
            return False

    def _send(self, fd: int, content: bytes) -> bool:
        """Write in pieces, and return whether the reader took all of them within ``PATIENCE``."""
        deadline = time.monotonic() + (0.0 if self.lost else PATIENCE)
        waiting = select.poll()
        waiting.register(fd, select.POLLOUT)
        sent = 0
        try:
            while sent < len(content):
                if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
                    return False
                sent += os.write(fd, content[sent : sent + PIPE_ROOM])
        finally:
            self._torn = self._torn or 0 < sent < len(content)
        return True


def _descriptor(owner: object, stream: TextIO | None) -> int | None:
    """Return the stream's descriptor, duplicated unless it is a standard one, or ``None`` if it has none.

    The number of a file's own descriptor may belong to another file after the file is closed.
    """
    try:
        fd = cast("TextIO", stream).fileno()
        if fd in dict(STANDARD):
            return fd
        fd = os.dup(fd)
    except (AttributeError, OSError, ValueError):  # no descriptor, such as a stream in memory
        return None
    weakref.finalize(owner, os.close, fd)
    return fd


class Output:
    """Standard output that raises ``OutputError`` if it cannot be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text`` and return its length.

        Raises:
            OutputError: the text cannot be written.
        """
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _lost_output(error) from None

    def flush(self) -> None:
        """Write the buffered text.

        Raises:
            OutputError: the text cannot be written.
        """
        try:
            self._stream.flush()
        except OSError as error:
            raise _lost_output(error) from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _lost_output(error: OSError) -> OutputError:
    if error.errno == errno.EPIPE:
        return OutputError("nobody reads the output", reader_is_gone=True)
    return OutputError(f"the output cannot be written ({error.strerror}): redirect it to another place")


def discard_output() -> None:
    """Discard the rest of the output. Otherwise the interpreter would try to write it at exit and print an error."""
    with suppress(AttributeError, OSError, ValueError):
        if sys.stdout.fileno() == 1:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Provide all three standard streams inside this context, with the error handling of this module."""
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", Output(sys.stdout)), cast("TextIO", BestEffort(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _open_closed_ones() -> None:
    """Open the null device on each of the descriptors 0, 1 and 2 that is closed.

    Otherwise the next opened file, such as a database, would get the number, and a library's output would be written
    into that file.
    """
    for number, name in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)  # gets this number, the lowest free one
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  stays open for the life of the process
