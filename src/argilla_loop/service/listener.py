"""A loop that looks and, if a condition holds, acts: what Argilla 1.x promised with ``@listener``.

It differs from 1.x where that failed: an error in a condition or an action is logged and tried again after a pause that
grows up to a limit; ``stop()`` returns at once; two listeners share nothing; and the condition is a level, not an edge:
the action runs at every look for as long as the condition holds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import structlog

from argilla_loop.errors import FatalError
from argilla_loop.service.retries import retry_until_stopped

log = structlog.get_logger(__name__)


class Listener:
    """Runs ``action`` whenever ``condition`` holds, and looks every ``interval`` seconds.

    Args:
        condition: whether to act; evaluated at every look.
        action: returns ``True`` if it has more to do, so that the next look follows at once.
        interval: seconds between two looks, measured from start to start; a look that takes longer is followed by the
            next one at once.
        max_wait: the longest pause in seconds after errors.
        on_look: called after every look that succeeded, for example a watchdog.
        ends_with: errors that end the listener instead of being tried again.
    """

    def __init__(
        self,
        condition: Callable[[], bool],
        action: Callable[[], object],
        *,
        interval: float = 10.0,
        max_wait: float = 60.0,
        on_look: Callable[[], object] | None = None,
        ends_with: tuple[type[Exception], ...] = (FatalError,),
    ) -> None:
        self.error: BaseException | None = None  # what ended it, other than stop()
        self._condition, self._action = condition, action
        self._interval, self._max_wait, self._on_look = interval, max_wait, on_look
        self._ends_with = ends_with
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self) -> bool:
        """Look once and act if the condition holds; return whether it did. Errors are raised."""
        if not self._condition():
            return False
        if self._action() is True:
            self._wake.set()
        return True

    def run(self) -> None:
        """Look until ``stop()`` is called; an error of ``ends_with`` ends it as well, and is raised."""
        while not self._stopping.is_set():
            started = time.monotonic()
            self._wake.clear()
            retry_until_stopped(
                self._look_and_report,
                what="look",
                stopping=self._stopping,
                max_wait=self._max_wait,
                ends_with=self._ends_with,
            )
            left = self._interval - (time.monotonic() - started)
            if left > 0 and not self._stopping.is_set():
                self._wake.wait(left)

    def start(self) -> None:
        """Run in a separate thread, which does not keep the process alive.

        Raises:
            RuntimeError: the listener is running already.
        """
        if self.is_running:
            raise RuntimeError("this listener is running already")
        self._stopping.clear()
        self._wake.clear()
        self.error = None
        self._thread = threading.Thread(target=self._run_in_thread, name="listener", daemon=True)
        self._thread.start()

    def stop(self, *, wait: float | None = None) -> None:
        """Ask the listener to end, and return at once; with ``wait``, wait up to that many seconds for its thread."""
        self._stopping.set()
        self._wake.set()
        if wait is not None and self._thread is not None:
            self._thread.join(wait)

    def wake(self) -> None:
        """Look now instead of at the next interval."""
        self._wake.set()

    @property
    def is_running(self) -> bool:
        """Whether its thread is alive."""
        return self._thread is not None and self._thread.is_alive()

    def _run_in_thread(self) -> None:
        try:
            self.run()
        except BaseException as error:  # noqa: BLE001  a thread has no caller to raise to; the owner reads ``error``
            self.error = error
            log.error("listener_ended", error=str(error), kind=type(error).__name__)  # noqa: TRY400  one line is enough; the owner has the error itself

    def _look_and_report(self) -> None:
        self.look()
        if self._on_look is not None:
            self._on_look()
