"""What the listener calls at every look: hold the lease, keep audits blind, and do a turn where one is due."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from argilla_loop.argilla.protocol import Lease
from argilla_loop.loop.turn import Loop
from argilla_loop.observability import systemd
from argilla_loop.observability.logs import trail
from argilla_loop.observability.metrics import TURNS, WRITER
from argilla_loop.service.blindness import Blindness
from argilla_loop.service.http.monitor import Monitor


class Rounds:
    """The loop under a lease.

    Args:
        loop: observes, plans and acts.
        lease: lets one service at a time write to the dataset.
        blindness: keeps predictions hidden from annotators.
        monitor: shows the state.
        guard: surrounds each call, to recognise a proxy that refuses our headers.
    """

    def __init__(
        self,
        loop: Loop,
        lease: Lease,
        blindness: Blindness,
        monitor: Monitor,
        guard: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._loop, self._lease, self._blindness = loop, lease, blindness
        self._monitor, self._guard = monitor, guard

    def due(self) -> bool:
        """Return whether a turn is due; never without the lease."""
        systemd.alive()  # systemd must not restart us because Argilla is away
        with self._guard():
            held = self._lease.hold()
            WRITER.set(held)
            self._monitor.is_standby = not held
            if not held:
                self._monitor.status = "standing by: another service writes to the dataset"
                self._loop.forget()
                return False
            self._blindness.look()
            due = self._loop.due()
        self._monitor.trouble = self._loop.trouble
        return due

    def act(self) -> bool:
        """Do one turn; return whether another may be due at once."""
        trail.next_turn()
        with TURNS.labels("failed").count_exceptions(), self._guard():
            self._blindness.restore()  # a turn accepts on the evidence of audits, so these must have been blind
            return self._loop.act()
