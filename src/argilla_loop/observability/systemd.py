"""Notifications for systemd: readiness, status and watchdog. They do nothing without systemd."""

from __future__ import annotations

import os
from functools import cache

from sdnotify import SystemdNotifier


@cache
def _notifier() -> SystemdNotifier:
    # created on first use, because it opens a socket
    return SystemdNotifier()


def _notify(state: str) -> None:
    if "NOTIFY_SOCKET" in os.environ:
        _notifier().notify(state)


def ready() -> None:
    """Report that the service has started."""
    _notify("READY=1")


def alive(status: str | None = None) -> None:
    """Reset the watchdog and optionally set the status line. Call it from the work itself, not from a timer thread."""
    _notify("WATCHDOG=1" + (f"\nSTATUS={status}" if status else ""))


def stopping() -> None:
    """Report that the service is stopping."""
    _notify("STOPPING=1")
