"""How a command ends: one line for what was foreseen, a trace in the log for what was not, and never a secret."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from argilla_loop.cli import health
from argilla_loop.cli.app import main
from argilla_loop.errors import PoolError, RetryableError
from argilla_loop.observability.logs import configure_logs

SECRET = "canary-0123456789"


@pytest.fixture(autouse=True)
def _logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(sys, "argv", ["argilla-loop", "health"])
    yield
    structlog.reset_defaults()


def ends_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> int:
    """Exit code of a command that meets ``error`` once the settings are read."""

    def fail(*_: object) -> None:
        configure_logs(secrets=[SECRET], form="json")
        raise error

    monkeypatch.setattr(health, "load_settings", fail)
    return main()


@pytest.mark.parametrize(
    ("error", "code"), [(PoolError(f"not there\n{SECRET}"), 5), (RetryableError(f"away {SECRET}"), 75)]
)
def test_what_was_foreseen_is_one_line_and_its_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(error, monkeypatch) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert SECRET not in line


def test_what_nobody_foresaw_is_a_trace_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(KeyError(f"no such {SECRET}"), monkeypatch) == 1
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert event["event"] == "unexpected_error"
    assert "Traceback" in event["exception"]
    assert SECRET not in line
