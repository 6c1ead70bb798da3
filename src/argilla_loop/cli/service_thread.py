"""The service in a thread of this process, for the commands that show what it does while it runs."""

from __future__ import annotations

import contextlib
import queue
import threading

from argilla_loop.loop.turn import Turn
from argilla_loop.service.service import Service
from argilla_loop.settings import Settings

# To wait for a turn at the end; a later run repeats an unfinished one. Chosen, not measured.
STOP_SECONDS = 10.0


class ServiceThread:
    """The service for ``settings``; its turns can be awaited."""

    def __init__(self, settings: Settings) -> None:
        self._turns: queue.Queue[Turn | BaseException] = queue.Queue()
        self._service = Service(settings, on_turn=self._turns.put)
        self._thread = threading.Thread(target=self._serve, name="service", daemon=True)

    @property
    def page_url(self) -> str | None:
        """Address of the service's page; ``None`` if it has none."""
        return self._service.page_url

    def start(self) -> None:
        """Start the service."""
        self._thread.start()

    def next_turn(self, timeout: float) -> Turn | None:
        """Return the next turn; ``None`` if there is none within ``timeout`` seconds.

        Raises:
            FatalError: the service failed.
        """
        with contextlib.suppress(queue.Empty):
            item = self._turns.get(timeout=timeout)
            if isinstance(item, BaseException):
                raise item
            return item
        return None

    def stop(self) -> None:
        """Stop the service."""
        self._service.stop()
        if self._thread.ident is not None:
            self._thread.join(STOP_SECONDS)

    def _serve(self) -> None:
        try:
            self._service.run()
        except BaseException as error:  # noqa: BLE001  the main thread raises it
            self._turns.put(error)
