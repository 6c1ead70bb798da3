"""What systemd wants to know: ready, status, alive. Does nothing where there is no systemd."""

from __future__ import annotations

from sdnotify import SystemdNotifier

_notifier = SystemdNotifier()


def ready() -> None:
    """The service has started."""
    _notifier.notify("READY=1")


def alive(status: str | None = None) -> None:
    """Feed the watchdog, from the work itself and not from a thread beside it; optionally say how it is."""
    _notifier.notify("WATCHDOG=1" + (f"\nSTATUS={status}" if status else ""))


def stopping() -> None:
    """The service is about to end."""
    _notifier.notify("STOPPING=1")
