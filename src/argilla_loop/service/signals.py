"""Run the service until a signal: end cleanly on SIGTERM and SIGINT, reload its secrets on SIGHUP."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import structlog

from argilla_loop.observability import systemd
from argilla_loop.service.service import Service

log = structlog.get_logger(__name__)

# Seconds that a turn may go on after a signal; what it has not logged by then is done again at the next start. Chosen,
# not measured: systemd's and Docker's own limits are 90 and 10 seconds.
STOP_GRACE = 10.0


def run_until_signalled(service: Service) -> None:
    """Run ``service`` until SIGTERM or SIGINT. To be called from the main thread.

    SIGHUP reloads its secrets. Where it was started at a terminal, SIGHUP says that this was closed, and ends it.

    The service works in a thread and the main thread waits for signals, so that one is answered at once whatever is
    being computed. A second signal, or ``STOP_GRACE`` seconds, ends the process in the middle of a turn: that is safe,
    as a batch is logged whole or not at all.

    Raises:
        FatalError: what ended the service by itself.
    """
    failure: list[BaseException] = []

    def work() -> None:
        try:
            service.run()
        except BaseException as error:  # noqa: BLE001  handed to the main thread, which raises it
            failure.append(error)

    worker = threading.Thread(target=work, name="service", daemon=True)
    on_terminal = os.isatty(0)  # then SIGHUP says that it was closed, and nobody would see what goes on
    with _signals() as signalled:
        worker.start()
        number = None
        while worker.is_alive() and number is None:
            number = signalled(0.2)
            if number == signal.SIGHUP and not on_terminal:
                service.reload()
                number = None
        if number is not None:
            log.info("stopping", signal=signal.Signals(number).name)
            systemd.stopping()
            service.stop()
            deadline = time.monotonic() + STOP_GRACE
            while worker.is_alive() and time.monotonic() < deadline:
                if signalled(0.05) not in (None, signal.SIGHUP):
                    break
            if worker.is_alive():
                log.warning(
                    "stopped_in_the_middle", note="what was not logged is done again at the next start"
                )
    if failure:
        raise failure[0]


@contextmanager
def _signals() -> Iterator[Callable[[float], int | None]]:
    """Collect SIGTERM, SIGINT and SIGHUP; yields a function that waits some seconds for the next one.

    A SIGHUP that is ignored, as under nohup, stays so.

    By handlers and not by masks: threads that libraries start before us would not carry the mask, and take the signal.
    """
    caught: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() may be called from a handler
    taken = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        taken.append(signal.SIGHUP)
    before = {n: signal.signal(n, lambda n, _: caught.put(n)) for n in taken}

    def signalled(within: float) -> int | None:
        with suppress(queue.Empty):
            return caught.get(timeout=within)
        return None

    try:
        yield signalled
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
