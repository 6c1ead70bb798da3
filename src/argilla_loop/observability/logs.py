"""Logs: coloured lines on a terminal, JSON elsewhere; every event passes one filter that hides secrets."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

import structlog

HIDDEN = "**********"
Level = Literal["debug", "info", "warning", "error"]


class HideSecrets:
    """A structlog processor that replaces secret values wherever they turn up, in messages of others too."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for s in secrets if s}, key=len, reverse=True)

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        """Clean one event, rendered or not."""
        return self._clean(event) if self._secrets else event

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, HIDDEN)
        elif isinstance(value, dict):
            return {key: self._clean(item) for key, item in value.items()}
        elif isinstance(value, (list, tuple)):
            return [self._clean(item) for item in value]
        return value


def configure_logs(
    *,
    level: Level = "info",
    form: Literal["auto", "console", "json"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up structlog for the whole process; logs go to ``stream`` (standard error)."""
    stream = stream or sys.stderr
    pretty = form == "console" or (form == "auto" and stream.isatty())
    hide = HideSecrets(secrets)
    processors: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
    ]
    if pretty:
        # plain traces: rich ones show local variables, texts and keys among them
        plain = structlog.dev.plain_traceback
        processors += [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain), hide]
    else:
        processors += [
            structlog.processors.format_exc_info,
            hide,  # before the renderer escapes anything
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    # Libraries that log by the standard module: only what is wrong, never a line a request.
    logging.basicConfig(
        stream=stream, level=logging.DEBUG if level == "debug" else logging.WARNING, force=True
    )
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "fsspec"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
