"""Check the health of the running service from another process, through its port or its heartbeat file."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

import httpx

from argilla_loop.observability.heartbeat import age, heartbeat_file, longest_silence
from argilla_loop.settings import Settings

SECONDS = 5.0  # timeout of the whole answer. Chosen, not measured.
PAUSE = 0.1  # seconds until a request that was cut off is retried. Chosen, not measured.
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  a service that listens on all addresses is reached at these


def health(settings: Settings, max_age: float | None = None) -> tuple[bool, str]:
    """Return whether the service with ``settings`` is healthy, and one line with the reason. Argilla is not asked.

    Args:
        settings: settings of the service; with ``http.port`` 0 its heartbeat file is read.
        max_age: maximum number of seconds since the last heartbeat; default: ``longest_silence``.
    """
    limit = longest_silence(settings) if max_age is None else max_age
    return _by_http(settings, limit) if settings.http.port else _by_file(settings, limit)


def _by_http(settings: Settings, limit: float) -> tuple[bool, str]:
    host, port = HERE.get(settings.http.host, settings.http.host), settings.http.port
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        answer = _answer(f"{address}/healthz")
        whose, silence, status = answer["dataset"], float(answer["silent_for_seconds"]), answer["status"]
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return (
            False,
            f"no argilla-loop answers at {address}: it is not running, or its port was in use (see its log)",
        )
    if whose != f"{settings.workspace}/{settings.dataset}":
        return False, f"{address} is the service of {whose}: give each service its own http.port"
    return silence <= limit, f"last heartbeat {silence:.0f} s ago; {status}"


def _answer(url: str) -> Any:
    """Return the JSON document at ``url``. A request that a busy port cuts off is retried.

    The request runs in a thread that is abandoned after ``SECONDS``: httpx's timeout applies to each read, and another
    program on the port could send one byte at a time forever.

    Raises:
        TimeoutError: there is no complete answer within ``SECONDS``.
        httpx.HTTPError: nothing listens at the address, or every answer was cut off.
        ValueError: the answer is not JSON.
    """
    answers: SimpleQueue[Any] = SimpleQueue()
    deadline = time.monotonic() + SECONDS

    def ask() -> None:
        while True:
            try:
                # without a proxy from the environment
                answers.put(httpx.get(url, timeout=SECONDS, trust_env=False).json())
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
                if time.monotonic() + PAUSE < deadline:
                    time.sleep(PAUSE)
                    continue
                answers.put(error)
            except Exception as error:  # noqa: BLE001  raised in the waiting thread
                answers.put(error)
            return

    threading.Thread(target=ask, name="health", daemon=True).start()
    try:
        answer = answers.get(timeout=SECONDS)
    except Empty:
        raise TimeoutError(f"{url} gave no answer in {SECONDS:g} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _by_file(settings: Settings, limit: float) -> tuple[bool, str]:
    seconds = age(heartbeat_file(settings))
    if seconds is None:
        return False, "last heartbeat none: the service is not running, or it never reached Argilla"
    return seconds <= limit, f"last heartbeat {seconds:.0f} s ago"
