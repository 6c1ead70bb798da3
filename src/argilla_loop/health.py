"""Whether the running service does its work, asked from beside it: of its port, or of its heartbeat file."""

from __future__ import annotations

import httpx

from argilla_loop.observability.heartbeat import age, heartbeat_file, longest_silence
from argilla_loop.settings import Settings

SECONDS = 5.0  # that an answer may take
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
        # no proxy of the environment comes between us
        said = httpx.get(f"{address}/healthz", timeout=SECONDS, trust_env=False).json()
        whose, silence, status = said["dataset"], float(said["silent_for_seconds"]), said["status"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return (
            False,
            f"no argilla-loop answers at {address}: not running, or its port was taken (see its log)",
        )
    if whose != f"{settings.workspace}/{settings.dataset}":
        return False, f"{address} is the service of {whose}: give each service its own http.port"
    return silence <= limit, f"last heartbeat {silence:.0f} s ago; {status}"


def _by_file(settings: Settings, limit: float) -> tuple[bool, str]:
    seconds = age(heartbeat_file(settings))
    if seconds is None:
        return False, "last heartbeat none: not running, or never reached Argilla"
    return seconds <= limit, f"last heartbeat {seconds:.0f} s ago"
