"""Where Argilla's webhook arrives: a small HTTP server that judges what comes and answers; it never reads a record."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from argilla_loop.argilla.v2.webhooks import Judge, Verdict
from argilla_loop.observability.metrics import WEBHOOK_EVENTS
from argilla_loop.service.http.server import BoundedServer, Handler

log = structlog.get_logger(__name__)

MAX_BODY = 2**20  # bytes; an event holds its record's text; one that is longer is found by polling
WAKE_GAP = 0.1  # seconds between two wakes, however many events there are
TELL_SECONDS = 60.0  # between two log lines about refused requests of one kind
REFUSED = frozenset({Verdict.FORGED, Verdict.TOO_BIG, Verdict.MALFORMED})


class Wakes:
    """Makes few wakes of many events: the first wakes at once, those of the next ``WAKE_GAP`` seconds wake once."""

    def __init__(self, wake: Callable[[], object], *, gap: float = WAKE_GAP) -> None:
        self._wake, self._gap = wake, gap
        self._hinted, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook-wakes", daemon=True)
        self._thread.start()

    def hint(self) -> None:
        """Something may have happened; returns at once."""
        self._hinted.set()

    def close(self) -> None:
        """End its thread."""
        self._closed.set()
        self._hinted.set()
        self._thread.join()

    def _run(self) -> None:
        while self._hinted.wait() and not self._closed.is_set():
            self._hinted.clear()  # before the wake: a hint from here on is another wake
            self._wake()
            self._closed.wait(self._gap)


class Receiver:
    """Receives webhooks in threads of its own, from when it is made until ``close``.

    Args:
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        judge: tells what is genuine; may be replaced at any time, as secrets change.
        wake: called after an event of our dataset, as ``Wakes`` has it.

    Raises:
        OSError: the address is taken or not ours.
    """

    def __init__(self, host: str, port: int, judge: Judge, wake: Callable[[], object]) -> None:
        self.judge = judge
        self._counts: Counter[Verdict] = Counter()
        self._told: dict[Verdict, float] = {}
        self._lock = threading.Lock()
        self._server = _Server(host, port, self)
        self._wakes = Wakes(wake)
        self._server.start()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def counts(self) -> dict[Verdict, int]:
        """Requests so far, by verdict."""
        with self._lock:
            return dict(self._counts)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
        self._wakes.close()

    def take(self, verdict: Verdict) -> None:
        """Count one request and act on it; refused ones are told at once, then not more than once a minute."""
        now = time.monotonic()
        with self._lock:
            self._counts[verdict] += 1
            total = self._counts[verdict]
            tell = verdict in REFUSED and now - self._told.get(verdict, float("-inf")) >= TELL_SECONDS
            if tell:
                self._told[verdict] = now
        WEBHOOK_EVENTS.labels(verdict.value).inc()
        if verdict is Verdict.WAKES:
            self._wakes.hint()
        log.debug("webhook_event", verdict=verdict.value)
        if tell:
            log.warning("webhook_events_refused", verdict=verdict.value, total=total)


class _Server(BoundedServer):
    def __init__(self, host: str, port: int, receiver: Receiver) -> None:
        self.receiver = receiver
        super().__init__(host, port, _Handler, name="webhook-server")


class _Handler(Handler):
    server: _Server

    def do_POST(self) -> None:  # noqa: N802  http.server's name
        verdict = self._verdict()
        self.server.receiver.take(verdict)
        self.reply(verdict.status)

    def refuse(self, status: int) -> None:
        self.server.receiver.take(Verdict.MALFORMED)
        super().refuse(status)

    def _verdict(self) -> Verdict:
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()):
            return Verdict.MALFORMED
        if len(length.lstrip("0")) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            return Verdict.TOO_BIG
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            return Verdict.MALFORMED
        return self.server.receiver.judge.verdict(self.headers.items(), body)
