"""What systemd wants to know: ready, status, alive. Does nothing where there is no systemd."""

from __future__ import annotations

import os
from functools import cache

from sdnotify import SystemdNotifier


@cache
def _notifier() -> SystemdNotifier:
    # made when first needed: it opens a socket
    return SystemdNotifier()


def _notify(state: str) -> None:
    if "NOTIFY_SOCKET" in os.environ:
        _notifier().notify(state)


def ready() -> None:
    """The service has started."""
    _notify("READY=1")


def alive(status: str | None = None) -> None:
    """Feed the watchdog, from the work itself and not from a thread beside it; optionally say how it is."""
    _notify("WATCHDOG=1" + (f"\nSTATUS={status}" if status else ""))


def stopping() -> None:
    """The service is about to end."""
    _notify("STOPPING=1")
