"""Logs: coloured lines on a terminal, JSON elsewhere; every event passes one filter that hides secrets.

Each has the run (of this process) and the turn it belongs to, so that one run or one turn can be picked out of a year.
"""

from __future__ import annotations

import logging
import secrets as chance
import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

import structlog
from structlog.stdlib import ProcessorFormatter

HIDDEN = "**********"
Level = Literal["debug", "info", "warning", "error"]


class Trail:
    """A structlog processor that adds the ids of run and turn, whichever thread an event comes from."""

    def __init__(self) -> None:
        self.run = chance.token_hex(3)
        self.turn = 0  # counted from 1; what happens between two turns bears the number of the one before

    def next_turn(self) -> None:
        """A turn begins."""
        self.turn += 1

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        """Add the ids to one event."""
        event.setdefault("run", self.run)
        if self.turn:
            event.setdefault("turn", self.turn)
        return event


#: The process's own, as the heartbeat is.
trail = Trail()


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


_hide = HideSecrets(())


def redacted(text: str) -> str:
    """``text`` for a terminal, without the secrets that ``configure_logs`` was told of."""
    return str(_hide(None, "", text))


def configure_logs(
    *,
    level: Level = "info",
    form: Literal["auto", "console", "json"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Set up structlog for the whole process; logs go to ``stream`` (standard error), those of libraries too."""
    stream = stream or sys.stderr
    pretty = form == "console" or (form == "auto" and stream.isatty())
    global _hide  # noqa: PLW0603  structlog's configuration is the process's too
    hide = _hide = HideSecrets(secrets)
    every: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        trail,
    ]
    rendered: list[Any]
    if pretty:
        # plain traces: rich ones show local variables, texts and keys among them
        plain = structlog.dev.plain_traceback
        rendered = [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain), hide]
    else:
        rendered = [
            structlog.processors.format_exc_info,
            hide,  # before the renderer escapes anything
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]
    structlog.configure(
        processors=every + rendered,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    # Libraries log by the standard module: in the same form and through the same filter, but only what is wrong.
    library = logging.StreamHandler(stream)
    library.setFormatter(
        ProcessorFormatter(
            processors=[ProcessorFormatter.remove_processors_meta, *rendered],
            foreign_pre_chain=[*every, structlog.stdlib.add_logger_name],
        )
    )
    logging.basicConfig(
        handlers=[library], level=logging.DEBUG if level == "debug" else logging.WARNING, force=True
    )
    logging.captureWarnings(capture=True)
    for noisy in ("httpx", "httpcore", "urllib3", "filelock", "fsspec", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
