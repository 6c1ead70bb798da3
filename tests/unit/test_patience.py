"""Pauses between tries."""

from __future__ import annotations

import threading

import httpx
import pytest

from argilla_loop.argilla.v2.connection import translated
from argilla_loop.errors import RetryableError
from argilla_loop.service.retries import MOST_ASKED, retry_until_stopped


class Waits(threading.Event):
    """Keeps how long was to be waited, and does not wait."""

    def __init__(self) -> None:
        super().__init__()
        self.pauses: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.pauses.append(timeout or 0.0)
        return False


def pauses(asked: list[float], *, max_wait: float = 1.0) -> list[float]:
    """The pauses before each further try where the server asks for ``asked``."""
    left = list(asked)
    stopping = Waits()

    def action() -> str:
        if not left:
            return "done"
        error = RetryableError("busy")
        error.retry_after = left.pop(0)
        raise error

    assert retry_until_stopped(action, what="look", stopping=stopping, max_wait=max_wait) == "done"
    return stopping.pauses


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    assert pauses([30.0, 0.0, 45.0])[::2] == [30.0, 45.0]
    assert pauses([30.0, 0.0])[1] <= 1.0


def test_nobody_makes_us_wait_for_ever() -> None:
    assert pauses([1e9]) == [MOST_ASKED]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0), ("-5", 0.0), ("", 0.0), ("٣", 0.0)],
)
def test_what_a_server_asks_for_is_read(header: str, seconds: float) -> None:
    request = httpx.Request("GET", "http://127.0.0.1/")
    response = httpx.Response(429, headers=[(b"Retry-After", header.encode())], request=request)
    with pytest.raises(RetryableError) as caught, translated("the search"):
        response.raise_for_status()
    assert caught.value.retry_after == seconds
