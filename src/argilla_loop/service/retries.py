"""Retries with growing pauses, until an action succeeds or the service stops."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog
import tenacity

from argilla_loop.errors import FatalError, RetryableError
from argilla_loop.observability.heartbeat import heartbeat
from argilla_loop.observability.metrics import RETRIES

log = structlog.get_logger(__name__)

T = TypeVar("T")
FIRST_PAUSE = 0.5  # seconds; chosen, not measured
MOST_ASKED = 600.0  # seconds of Retry-After that are honoured at most; chosen, not measured


def retry_until_stopped(
    action: Callable[[], T],
    *,
    what: str,
    stopping: threading.Event,
    max_wait: float = 60.0,
    ends_with: tuple[type[Exception], ...] = (FatalError,),
) -> T | None:
    """Call ``action`` until it returns; pauses grow exponentially with jitter up to ``max_wait`` seconds.

    If a server asks for a longer pause (Retry-After), it is honoured, up to ``MOST_ASKED`` seconds.

    Args:
        action: what to do.
        what: its name in the log.
        stopping: when set, ends the retries at once.
        max_wait: longest pause in seconds.
        ends_with: errors that are raised instead of being tried again.

    Returns:
        What ``action`` returns; ``None`` if ``stopping`` was set first.
    """
    failures = 0
    growing = tenacity.wait_exponential_jitter(
        multiplier=min(FIRST_PAUSE, max_wait), max=max_wait, jitter=FIRST_PAUSE
    )

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, RetryableError) else 0.0
        return max(growing(state), min(asked, MOST_ASKED))

    def say(state: tenacity.RetryCallState) -> None:
        nonlocal failures
        failures += 1
        error = state.outcome.exception() if state.outcome else None
        waits = state.next_action.sleep if state.next_action else 0.0
        RETRIES.labels(error.cause if isinstance(error, RetryableError) else "unexpected").inc()
        heartbeat.missed()
        log.warning(
            f"{what}_failed",  # noqa: G004  two names in all: start_failed, look_failed
            error=str(error) or type(error).__name__,
            failures=failures,
            retry_in_seconds=round(waits, 1),
            exc_info=None
            if isinstance(error, RetryableError)
            else error,  # a traceback for unexpected errors only
        )

    def worth_another_try(error: BaseException) -> bool:
        return isinstance(error, Exception) and not isinstance(error, ends_with)

    result: T | None = tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_another_try),
        wait=pause,
        sleep=tenacity.sleep_using_event(stopping),
        stop=tenacity.stop_when_event_set(stopping),
        before_sleep=say,
        retry_error_callback=lambda _: None,
    )(action)
    if failures and not stopping.is_set():
        log.info(f"{what}_recovered", failures=failures)  # noqa: G004  start_recovered, look_recovered
    return result
