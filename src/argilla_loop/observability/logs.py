"""Structured logs: coloured lines on a terminal and JSON elsewhere. One filter hides secrets in every event.

Each event has the ids of its run (one process) and its turn, so that you can select one run or one turn in a long log.
Logging is best effort: lines that cannot be written are counted, and the next line that can be written reports their
number.
"""

from __future__ import annotations

import logging
import secrets as chance
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.stdlib import ProcessorFormatter

from argilla_loop.observability.streams import BestEffort

HIDDEN = "**********"
Level = Literal["debug", "info", "warning", "error"]


class Trail:
    """A structlog processor that adds the ids of the run and the turn to events of all threads."""

    def __init__(self) -> None:
        self.run = chance.token_hex(3)
        self.turn = 0  # counted from 1; an event between two turns has the number of the earlier one

    def next_turn(self) -> None:
        """Start a new turn."""
        self.turn += 1

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        """Add the ids to an event."""
        event.setdefault("run", self.run)
        if self.turn:
            event.setdefault("turn", self.turn)
        return event


#: The trail of this process.
trail = Trail()


class HideSecrets:
    """A structlog processor that masks secret values anywhere in an event, including messages of libraries."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = sorted({s for s in secrets if s}, key=len, reverse=True)

    def __call__(self, _logger: Any, _method: str, event: Any) -> Any:
        """Mask the secrets in an event, before or after rendering."""
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
    """Return ``text`` with the secrets that were passed to ``configure_logs`` masked."""
    return str(_hide(None, "", text))


def configure_logs(
    *,
    level: Level = "info",
    form: Literal["auto", "console", "json"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> None:
    """Configure structlog and the standard logging module for the process.

    Args:
        level: minimum level of the logged events.
        form: ``console`` for coloured lines, ``json`` for one object per line, ``auto`` to choose by the stream.
        secrets: values to mask in every event.
        stream: where to write; default: standard error.
    """

    def returned(lines: int) -> str:
        event: Any = {"event": "log_lines_lost", "lines": lines, "why": "the log could not be written"}
        for step in every + rendered:
            event = step(None, "warning", event)
        return f"{event}\n"

    sink = BestEffort(stream or sys.stderr, returned=returned, count=_count_lost)
    pretty = form == "console" or (form == "auto" and sink.isatty())
    global _hide  # noqa: PLW0603  structlog's configuration is global, too
    hide = _hide = HideSecrets(secrets)
    every: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if pretty else "iso", utc=not pretty),
        trail,
    ]
    rendered: list[Any]
    if pretty:
        # plain tracebacks, because rich ones show local variables such as texts and keys
        plain = structlog.dev.plain_traceback
        rendered = [structlog.dev.ConsoleRenderer(colors=sink.isatty(), exception_formatter=plain), hide]
    else:
        rendered = [
            structlog.processors.format_exc_info,
            hide,  # before the renderer escapes characters of a secret
            structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
        ]

    structlog.configure(
        processors=every + rendered,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", sink)),
        cache_logger_on_first_use=False,
    )
    # Libraries use the standard module. Their warnings and errors get the same format and filter.
    library = _LibraryHandler(sink)
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


class _LibraryHandler(logging.StreamHandler[Any]):
    """A handler that counts lost lines; the standard one would print them with their arguments, without the filter."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  logging's signature and name
        _count_lost(1)


def _count_lost(lines: int) -> None:
    # prometheus_client takes as long to import as all other modules of this one
    from argilla_loop.observability.metrics import LOG_LINES_LOST  # noqa: PLC0415

    LOG_LINES_LOST.inc(lines)


@contextmanager
def crashes_logged() -> Iterator[None]:
    """Log uncaught exceptions of all threads and finalisers inside this context, so that the log's filter applies."""

    def in_main(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _log_crash(kind, error, trace)

    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread is not None else None
            _log_crash(args.exc_type, args.exc_value, args.exc_traceback, thread=name)

    def in_finaliser(args: sys.UnraisableHookArgs) -> None:
        _log_crash(args.exc_type, args.exc_value, args.exc_traceback, thread="finaliser")

    before = sys.excepthook, threading.excepthook, sys.unraisablehook
    sys.excepthook, threading.excepthook, sys.unraisablehook = in_main, in_thread, in_finaliser
    try:
        yield
    finally:
        sys.excepthook, threading.excepthook, sys.unraisablehook = before


def _log_crash(
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
    **where: str | None,
) -> None:
    structlog.get_logger(__name__).error(
        "unexpected_error", exc_info=(kind, error or kind(), trace), **where, then="please report it"
    )
