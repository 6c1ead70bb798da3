"""Standard streams that end no service: the log is best effort, and output that nobody takes ends a command quietly."""

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

PIPE_ROOM = 4096  # bytes that a pipe which is ready takes without waiting (PIPE_BUF)
PATIENCE = 5.0  # seconds that a reader who reads nothing may keep us waiting, before its lines are lost
STANDARD = ((0, "stdin"), (1, "stdout"), (2, "stderr"))


class BestEffort:
    """A text stream whose ``write`` never raises and never waits long: what cannot be written is lost, and counted.

    It writes to the stream's descriptor, so nothing waits in a buffer that a later flush would stumble over.

    Args:
        stream: what to write to; ``None``, as Python has it for a closed standard error, takes nothing.
        returned: makes the line that is written first when writing works again, from the number of lines lost.
        count: is told of every number of lines that were lost.
    """

    def __init__(
        self,
        stream: TextIO | BestEffort | None,
        *,
        returned: Callable[[int], str] | None = None,
        count: Callable[[int], object] = lambda _: None,
    ) -> None:
        self._stream: TextIO | None = stream._stream if isinstance(stream, BestEffort) else stream  # noqa: SLF001  of its own class
        self._fd = _descriptor(self, self._stream)
        self._returned, self._count = returned, count
        self._lock = threading.RLock()  # a warning may come out of the garbage collector meanwhile
        self._torn = False  # whether the last line was begun and not finished
        self.lost = 0  # lines since writing last worked

    @property
    def encoding(self) -> str:
        """Of the stream below."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str) -> int:
        """Write ``text`` or lose it; returns its length."""
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
        """Nothing is held back."""

    def isatty(self) -> bool:
        """Whether a terminal shows it."""
        try:
            return self._stream is not None and self._stream.isatty()
        except (OSError, ValueError):  # closed meanwhile
            return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _put(self, text: str) -> bool:
        if self._stream is None:
            return True  # whoever closed it wants none of it
        try:
            if self._fd is None:
                self._stream.write(text)
                self._stream.flush()
                return True
            return self._send(self._fd, text.encode(self.encoding, "backslashreplace"))
        except (OSError, ValueError, LookupError):  # full, gone, closed; an encoding that is none
            return False

    def _send(self, fd: int, content: bytes) -> bool:
        """Write piece by piece, none of which waits for a reader longer than is left of ``PATIENCE``."""
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
    """The stream's descriptor; of a file one of our own, as its number may be another file's once it is closed."""
    try:
        fd = cast("TextIO", stream).fileno()
        if fd in dict(STANDARD):
            return fd
        fd = os.dup(fd)
    except (AttributeError, OSError, ValueError):  # none, or in memory
        return None
    weakref.finalize(owner, os.close, fd)
    return fd


class Output:
    """Standard output, with ``OutputError`` for whatever keeps it from being written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write ``text``.

        Raises:
            OutputError: it cannot be written.
        """
        try:
            return self._stream.write(text)
        except OSError as error:
            raise _lost_output(error) from None

    def flush(self) -> None:
        """Write what is held back.

        Raises:
            OutputError: it cannot be written.
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
    return OutputError(f"the output cannot be written ({error.strerror}): send it elsewhere")


def discard_output() -> None:
    """Let nobody try to write what is left of the output: the interpreter would, at its end, and complain."""
    with suppress(AttributeError, OSError, ValueError):
        if sys.stdout.fileno() == 1:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 1)
            os.close(nowhere)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Inside, all three are there whatever the process was started with, and writing to them fails as said above."""
    _open_closed_ones()
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = cast("TextIO", Output(sys.stdout)), cast("TextIO", BestEffort(sys.stderr))
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def _open_closed_ones() -> None:
    """Give a closed descriptor 0, 1 or 2 to the null device: else the next file, a database say, gets the number.

    What a library then prints would be written into that file.
    """
    for number, name in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(
                os.devnull, os.O_RDWR
            )  # the least free number: this one, as those below are open
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  for the process's life
