"""Standard streams: what cannot be written is lost, counted and told; nothing waits, nothing raises."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from argilla_loop.errors import OutputError
from argilla_loop.observability import streams
from argilla_loop.observability.logs import HIDDEN, configure_logs, crashes_logged
from argilla_loop.observability.metrics import LOG_LINES_LOST
from argilla_loop.observability.streams import BestEffort, Output, standard_streams

SECRET = "canary-0123456789"


@pytest.fixture(autouse=True)
def _logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()


class Failing(io.StringIO):
    """Takes nothing while ``full``."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


def lost() -> float:
    return float(LOG_LINES_LOST._value.get())


def test_what_cannot_be_logged_is_counted_and_told_once_it_can_again() -> None:
    stream, before = Failing(), lost()
    configure_logs(stream=stream)
    log = structlog.get_logger()
    stream.full = True
    for _ in range(3):
        log.info("into_nothing")
    logging.getLogger("a.library").warning("into nothing, too")
    assert lost() - before == 4
    stream.full = False
    log.info("back")
    log.info("as_ever")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["event"] for event in events] == ["log_lines_lost", "back", "as_ever"]
    assert (events[0]["lines"], events[0]["level"]) == (4, "warning")


def test_a_stream_that_was_closed_ends_nothing() -> None:
    stream, before = io.StringIO(), lost()
    configure_logs(stream=stream, form="console")
    stream.close()
    structlog.get_logger().info("into_nothing")
    configure_logs(stream=stream)
    assert lost() - before == 1


def test_a_line_cut_by_a_full_disk_is_not_joined_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, room = os.write, [10]

    def little(fd: int, content: bytes) -> int:
        if not room[0]:
            raise OSError(28, "No space left on device")
        sent = write(fd, content[: room[0]])
        room[0] -= sent
        return sent

    with (tmp_path / "log").open("w") as file:
        stream = BestEffort(file, returned=lambda lines: f"{lines} lost\n")
        monkeypatch.setattr(os, "write", little)
        stream.write("a line that is cut\n")
        stream.write("another\n")
        room[0] = 1000
        stream.write("back\n")
    assert (tmp_path / "log").read_text() == "a line tha\n2 lost\nback\n"


class TestPipes:
    @pytest.fixture
    def pipe(self) -> Iterator[tuple[int, io.TextIOWrapper]]:
        """Reading end, and a stream into it."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "w") as stream:
            yield reading, stream
            with suppress(OSError):
                os.close(reading)

    def test_a_reader_who_reads_nothing_is_not_waited_for(
        self, pipe: tuple[int, io.TextIOWrapper], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not by a single write that is longer than the pipe, either; what he reads later is whole lines."""
        monkeypatch.setattr(streams, "PATIENCE", 0.05)
        reading, file = pipe
        stream = BestEffort(file, returned=lambda lines: f"{lines} lost\n")
        line = "x" * 999 + "\n"
        stream.write(line * 1000)
        while not stream.lost:
            stream.write(line)
        stream.write(line)
        text = ""
        while "lost" not in text:
            text += os.read(reading, 1 << 16).decode()
            stream.write("back\n")
        assert {len(one) for one in text.splitlines() if one.startswith("xxx")} <= set(range(1000))

    def test_a_reader_who_went_ends_nothing(self, pipe: tuple[int, io.TextIOWrapper]) -> None:
        reading, file = pipe
        os.close(reading)
        stream = BestEffort(file)
        assert stream.write("a\nb\n") == 4
        assert stream.lost == 2
        assert not stream.isatty()

    def test_output_says_who_is_to_blame(self, pipe: tuple[int, io.TextIOWrapper]) -> None:
        reading, file = pipe
        os.close(reading)
        output = Output(file)
        output.write("a")
        with pytest.raises(OutputError) as caught:
            output.flush()
        assert caught.value.reader_is_gone
        with suppress(OSError):  # what is left of it would complain at the end of the test
            file.close()


def test_output_that_cannot_be_written_is_one_line() -> None:
    stream = Failing()
    stream.full = True
    with pytest.raises(OutputError, match="No space left on device") as caught:
        Output(stream).write("a")
    assert not caught.value.reader_is_gone
    assert caught.value.exit_code == 74


def test_without_any_stream_there_is_one_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python has ``None`` for what was closed before it began."""
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    configure_logs()
    structlog.get_logger().info("into_nothing")
    with standard_streams():
        assert not sys.stdin.isatty()
        assert not sys.stderr.isatty()
        sys.stdout.write("into nothing")
        sys.stderr.write("into nothing")
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        stream.close()


def raise_with_secret() -> None:
    raise KeyError(f"no such {SECRET}")


@pytest.mark.parametrize("how", ["thread", "finaliser", "main"])
def test_what_nobody_catches_goes_through_the_filter(how: str) -> None:
    class Finalised:
        def __del__(self) -> None:
            raise_with_secret()

    def crash() -> None:
        if how == "thread":
            thread = threading.Thread(target=raise_with_secret)
            thread.start()
            thread.join()
        elif how == "finaliser":
            Finalised()
        else:
            try:
                raise_with_secret()
            except KeyError as error:
                sys.excepthook(KeyError, error, error.__traceback__)

    stream = io.StringIO()
    configure_logs(stream=stream, secrets=[SECRET])
    with crashes_logged():
        crash()
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line)["event"] == "unexpected_error"
    assert "Traceback" in line
    assert HIDDEN in line
    assert SECRET not in line


def test_a_library_that_logs_nonsense_prints_no_arguments(capfd: pytest.CaptureFixture[str]) -> None:
    """The standard handler prints what it cannot format to standard error, arguments and all."""
    stream, before = io.StringIO(), lost()
    configure_logs(stream=stream, secrets=[SECRET])
    handlers: list[Callable[[logging.LogRecord], object]] = [
        one.handle for one in logging.getLogger().handlers if isinstance(one, logging.StreamHandler)
    ]
    assert handlers
    record = logging.LogRecord("a.library", logging.WARNING, "x.py", 1, "%d things", (SECRET,), None)
    for handle in handlers:
        handle(record)
    assert lost() - before == 1
    assert SECRET not in stream.getvalue() + "".join(capfd.readouterr())
