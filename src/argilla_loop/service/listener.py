"""Listen to a dataset: look, and where the condition holds, act. The promise of Argilla 1.x's ``@listener``.

What differs from 1.x is what failed there: an error in a look, a condition or an action is logged and tried
again after a pause that grows up to a bound; ``stop()`` returns at once; two listeners share nothing; and what
fires is a level, not an edge: the action runs at every look for as long as the condition holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import structlog

from argilla_loop.argilla.v2.dataset import RecordSource
from argilla_loop.argilla.v2.query import Query, evaluated
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import FatalError
from argilla_loop.service.retries import retry_until_stopped

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Search:
    """What one look found: the bound query, its parameters, the count, and the records when asked for."""

    source: RecordSource
    query: Query
    params: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def total(self) -> int:
        """How many records match, counted once a look."""
        return self.source.count(self.query)

    @property
    def records(self) -> Iterator[LoggedRecord]:
        """The records that match, fetched page by page as they are taken."""
        yield from self.source.search(self.query)


Condition = Callable[[Search], bool]
Action = Callable[[Iterator[LoggedRecord], Search], object]


def found_any(search: Search) -> bool:
    """The default condition: at least one record matches."""
    return search.total > 0


class Listener:
    """Runs ``action`` whenever ``condition`` holds for what ``query`` finds, looking every ``interval`` seconds.

    Args:
        source: the dataset.
        query: its parameters (``"{idx}"``) are filled from ``params`` at every look.
        action: called with the matching records and the search (the context: query, parameters, count); one that
            returns ``True`` has more to do, and the next look follows at once.
        condition: whether to act; default: something matches.
        params: values, or callables that give the value of the moment.
        interval: seconds between two looks, measured from start to start; a look that takes longer is followed
            by the next one at once.
        max_wait: the longest pause in seconds after errors.
        on_look: called after every look that went well, such as a watchdog.
        ends_with: errors that end it instead of being tried again.
    """

    def __init__(
        self,
        source: RecordSource,
        query: Query,
        action: Action,
        *,
        condition: Condition = found_any,
        params: Mapping[str, Any] | None = None,
        interval: float = 10.0,
        max_wait: float = 60.0,
        on_look: Callable[[], object] | None = None,
        ends_with: tuple[type[Exception], ...] = (FatalError,),
    ) -> None:
        self.error: BaseException | None = None  # what ended it, where that was not stop()
        self._source, self._query, self._action = source, query, action
        self._condition, self._params = condition, dict(params or {})
        self._interval, self._max_wait, self._on_look = interval, max_wait, on_look
        self._ends_with = ends_with
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Look once and act if the condition holds; returns whether it did. Errors come through."""
        params = evaluated(self._params)
        search = Search(self._source, self._query.bind(params), params)
        if not self._condition(search):
            return False
        if self._action(search.records, search) is True:
            self._wake.set()
        return True

    def run(self) -> None:
        """Look until ``stop()``; only an error of ``ends_with`` ends it otherwise, and is raised."""
        while not self._stopping.is_set():
            started = time.monotonic()
            self._wake.clear()
            retry_until_stopped(
                self._look_and_tell,
                what="look",
                stopping=self._stopping,
                max_wait=self._max_wait,
                ends_with=self._ends_with,
            )
            left = self._interval - (time.monotonic() - started)
            if left > 0 and not self._stopping.is_set():
                self._wake.wait(left)

    def start(self) -> None:
        """Run in a thread of its own, which never keeps the process alive.

        Raises:
            RuntimeError: it is running already.
        """
        if self.is_running:
            raise RuntimeError("this listener is running already")
        self._stopping.clear()
        self._wake.clear()
        self.error = None
        self._thread = threading.Thread(target=self._run_in_thread, name="listener", daemon=True)
        self._thread.start()

    def stop(self, *, wait: float | None = None) -> None:
        """Ask it to end and return at once; with ``wait``, stay up to so many seconds until it has."""
        self._stopping.set()
        self._wake.set()
        if wait is not None and self._thread is not None:
            self._thread.join(wait)

    def wake(self) -> None:
        """Look now rather than at the next interval."""
        self._wake.set()

    @property
    def is_running(self) -> bool:
        """Whether its thread is alive; a listener that died is never called running."""
        return self._thread is not None and self._thread.is_alive()

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001  a thread has nobody to raise to: whoever waits reads it here
            self.error = error
            log.error("listener_ended", error=str(error), kind=type(error).__name__)  # noqa: TRY400  one line at 3 a.m.; the owner has the error itself

    def _look_and_tell(self) -> None:
        self.look()
        if self._on_look is not None:
            self._on_look()
