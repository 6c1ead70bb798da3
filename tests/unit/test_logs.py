"""Logs: JSON elsewhere than on a terminal, and never a secret."""

from __future__ import annotations

import io
import json
import logging
import threading
import time
from collections.abc import Iterator

import pytest
import structlog

from argilla_loop.observability.logs import HIDDEN, configure_logs, trail
from argilla_loop.observability.progress import progress

SECRET = "canary-0123456789"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the logs of one test go; structlog is as before afterwards."""
    yield io.StringIO()
    structlog.reset_defaults()


def test_elsewhere_than_on_a_terminal_every_event_is_a_line_of_json(stream: io.StringIO) -> None:
    configure_logs(stream=stream)
    structlog.get_logger().info("batch_logged", batch=3, seconds=0.1)
    event = json.loads(stream.getvalue())
    assert (event["event"], event["batch"], event["level"]) == ("batch_logged", 3, "info")


def test_on_request_events_are_lines_to_read(stream: io.StringIO) -> None:
    configure_logs(form="console", stream=stream)
    structlog.get_logger().info("batch_logged", batch=3)
    assert "batch_logged" in stream.getvalue()
    assert "batch=3" in stream.getvalue()


def test_the_level_is_kept(stream: io.StringIO) -> None:
    configure_logs(level="warning", stream=stream)
    structlog.get_logger().info("quiet")
    assert stream.getvalue() == ""


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_secret_never_comes_through(form: str, stream: io.StringIO) -> None:
    """Not in a field, not nested, not in an exception's trace, not in its message."""
    configure_logs(form=form, secrets=[SECRET], stream=stream)  # type: ignore[arg-type]  # literal by parametrize
    log = structlog.get_logger()
    log.info("a", key=SECRET, nested={"headers": [f"Bearer {SECRET}"]})
    with pytest.raises(ValueError, match="invalid literal") as caught:
        int(SECRET)
    log.warning("b", error=str(caught.value), exc_info=caught.value)
    assert SECRET not in stream.getvalue()
    assert HIDDEN in stream.getvalue()


def test_every_event_says_which_run_and_turn_it_belongs_to(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trail, "turn", 0)
    configure_logs(stream=stream)
    log = structlog.get_logger()
    log.info("service_started")
    trail.next_turn()
    thread = threading.Thread(target=log.info, args=("from_a_thread",))
    thread.start()
    thread.join()
    trail.next_turn()
    log.info("later")
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert {event["run"] for event in events} == {trail.run}
    assert [event.get("turn") for event in events] == [None, 1, 2]


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_libraries_log_has_the_same_form_and_hides_the_same_secrets(
    form: str, stream: io.StringIO
) -> None:
    configure_logs(form=form, secrets=[SECRET], stream=stream)  # type: ignore[arg-type]  # literal by parametrize
    library = logging.getLogger("some.library")
    library.warning("connection with %s lost", SECRET)
    library.info("a line a request")
    (line,) = stream.getvalue().splitlines()
    assert SECRET not in line
    if form == "json":
        event = json.loads(line)
        assert (event["event"], event["logger"]) == (f"connection with {HIDDEN} lost", "some.library")
        assert event["run"] == trail.run


def test_long_work_says_how_far_it_is(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a terminal, an event every few seconds, with what is left."""
    configure_logs(stream=stream)
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with progress("embedding_texts", total=100) as advance:
        for _ in range(10):
            now[0] += 1.0
            advance(5)
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(e["task"], e["done"], e["total"], e["seconds_left"]) for e in events] == [
        ("embedding_texts", 25, 100, 15),
        ("embedding_texts", 50, 100, 10),
    ]
