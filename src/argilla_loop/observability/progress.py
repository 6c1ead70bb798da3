"""Progress of long work: a bar on a terminal, or a log event every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from argilla_loop.observability.heartbeat import heartbeat
from argilla_loop.observability.streams import BestEffort

log = structlog.get_logger(__name__)

LOG_EVERY_SECONDS = 5.0  # chosen, not measured


@contextmanager
def progress(task: str, total: int, *, logged: bool = True) -> Iterator[Callable[[int], None]]:
    """Show the progress of ``task``; yield a function to call with the number of items just finished.

    Each call also updates the heartbeat, so that long work that makes progress counts as healthy.

    Args:
        task: snake_case name of the work, such as ``embedding_texts``.
        total: total number of items.
        logged: whether to log the progress without a terminal; False if the caller logs it.
    """
    if sys.stderr is not None and sys.stderr.isatty():
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(file=cast("TextIO", BestEffort(sys.stderr))),  # a terminal may disappear
            transient=True,
        ) as bar:
            handle = bar.add_task(task.replace("_", " "), total=total)

            def advance_bar(n: int) -> None:
                heartbeat.beat()
                bar.advance(handle, n)

            yield advance_bar
        return

    started = last = time.monotonic()
    done = 0

    def advance(n: int) -> None:
        nonlocal done, last
        heartbeat.beat()
        done += n
        now = time.monotonic()
        if logged and now - last >= LOG_EVERY_SECONDS:
            last = now
            left = (now - started) / done * (total - done) if done else None
            log.info("progress", task=task, done=done, total=total, seconds_left=left and round(left))

    yield advance
