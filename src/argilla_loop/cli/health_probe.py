"""Whether the running service does its work, asked from beside it: of its port, or of its heartbeat file."""

from __future__ import annotations

import threading
import time
from queue import Empty, SimpleQueue
from typing import Any

import httpx

from argilla_loop.observability.heartbeat import age, heartbeat_file, longest_silence
from argilla_loop.settings import Settings

SECONDS = 5.0  # that an answer may take, all of it
PAUSE = 0.1  # seconds until a request that was cut off is tried again
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  where a service that listens everywhere is asked


def health(settings: Settings, max_age: float | None = None) -> tuple[bool, str]:
    """Whether the service of ``settings`` is healthy, and one line that says why; Argilla itself is never asked.

    Args:
        settings: of the service; with ``http.port`` 0 its heartbeat file says how it is.
        max_age: seconds that its last look, or step of long work, may lie back; default: ``longest_silence``.
    """
    limit = longest_silence(settings) if max_age is None else max_age
    return _by_http(settings, limit) if settings.http.port else _by_file(settings, limit)


def _by_http(settings: Settings, limit: float) -> tuple[bool, str]:
    host, port = HERE.get(settings.http.host, settings.http.host), settings.http.port
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    try:
        said = _answer(f"{address}/healthz")
        whose, silence, status = said["dataset"], float(said["silent_for_seconds"]), said["status"]
    except (httpx.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
        return (
            False,
            f"no argilla-loop answers at {address}: not running, or its port was taken (see its log)",
        )
    if whose != f"{settings.workspace}/{settings.dataset}":
        return False, f"{address} is the service of {whose}: give each service its own http.port"
    return silence <= limit, f"last heartbeat {silence:.0f} s ago; {status}"


def _answer(url: str) -> Any:
    """What ``url`` answers, tried again where a busy port cuts it off.

    In a thread that is left alone after ``SECONDS``: a time-out of httpx is for each read, and another program on the
    port might send a byte at a time for ever.

    Raises:
        TimeoutError: no answer in ``SECONDS``.
        httpx.HTTPError: nobody listens there, or every answer was cut off.
        ValueError: the answer is no JSON.
    """
    answers: SimpleQueue[Any] = SimpleQueue()
    deadline = time.monotonic() + SECONDS

    def ask() -> None:
        while True:
            try:
                # no proxy of the environment comes between us
                answers.put(httpx.get(url, timeout=SECONDS, trust_env=False).json())
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError) as error:
                if time.monotonic() + PAUSE < deadline:
                    time.sleep(PAUSE)
                    continue
                answers.put(error)
            except Exception as error:  # noqa: BLE001  handed to whoever waits
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
        return False, "last heartbeat none: not running, or never reached Argilla"
    return seconds <= limit, f"last heartbeat {seconds:.0f} s ago"
