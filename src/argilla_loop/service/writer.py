"""The right to write for a command that logs records, as a service has it: the lease, with heartbeats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from argilla_loop.argilla.protocol import HEARTBEATS, Backend, DatasetInfo, Lease
from argilla_loop.errors import LeaseLostError
from argilla_loop.observability.heartbeat import heartbeat
from argilla_loop.service.identity import identity_of
from argilla_loop.settings import Settings

HUNG = 900.0  # seconds without a look or a step of work, after which the lease is let go
LOOK = 0.5  # seconds between two looks at another holder's lease; chosen, not measured


@contextmanager
def heartbeats(lease: Callable[[], Lease | None], seconds: float) -> Iterator[None]:
    """Send heartbeats in a thread of its own while the block runs, but none while it hangs (``HUNG``).

    Args:
        lease: returns the present lease; one that is not held gets no heartbeat.
        seconds: after which another service may replace a silent holder.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(seconds / HEARTBEATS / 2):
            held = lease()
            if held is not None and held.is_held and heartbeat.silent_for < HUNG:
                with suppress(Exception):  # the next write says what is wrong
                    held.hold()

    thread = threading.Thread(target=beat, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def only_writer(
    settings: Settings, backend: Backend, info: DatasetInfo, *, on_wait: Callable[[str], object]
) -> Iterator[Lease]:
    """Hold the lease on a dataset while the block runs.

    A service that was killed on this machine leaves a lease that is taken over at once. One that was killed elsewhere
    is waited for as long as a standby would wait. A running service is never disturbed.

    Args:
        settings: of the service.
        backend: connection of an admin or owner.
        info: the dataset.
        on_wait: called once with a line for people if another service holds the lease, before waiting.

    Raises:
        LeaseLostError: a service that runs holds the lease.
    """
    identity = identity_of(settings)
    lease = backend.lease(info, holder=identity.holder, token=identity.token, seconds=settings.lease_seconds)
    try:
        _hold(backend, info, lease, on_wait)
        with heartbeats(lambda: lease, settings.lease_seconds):
            yield lease
    finally:
        lease.release()
        identity.close()


def _hold(backend: Backend, info: DatasetInfo, lease: Lease, on_wait: Callable[[str], object]) -> None:
    """Wait until the lease is ours, or until its holder shows that it is alive."""
    seen: tuple[str, str] | None = None
    while not lease.hold():
        writer = backend.writer(info.id)
        if writer is not None:
            now = (writer.id, writer.title)
            if seen is not None and seen != now:
                raise LeaseLostError(
                    f"a service writes to dataset {info.name!r} ({writer.title}): stop it, run this command, and start "
                    "the service again; nothing was changed"
                )
            if seen is None:
                on_wait(
                    f"another service holds the lease ({writer.title}): waiting up to {writer.seconds:g} seconds to "
                    "see whether it is alive"
                )
            seen = now
        time.sleep(LOOK)
