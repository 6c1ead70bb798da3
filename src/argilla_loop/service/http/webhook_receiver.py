"""A small HTTP server that receives webhook events, judges them and replies; it never reads a record."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import structlog

from argilla_loop.argilla.protocol import Judge, Verdict
from argilla_loop.observability.metrics import WEBHOOK_EVENTS
from argilla_loop.service.http.server import BoundedServer, Handler

log = structlog.get_logger(__name__)

# Bytes; an event holds the text of its record, and an answer to a longer one is found by polling. Chosen, not measured.
MAX_BODY = 2**20
WAKE_GAP = 0.1  # seconds between two wakes, however many events arrive; chosen, not measured
REPORT_SECONDS = 60.0  # between two log lines about refused requests of one kind; chosen, not measured
REFUSED = frozenset({Verdict.FORGED, Verdict.TOO_BIG, Verdict.MALFORMED})


class Wakes:
    """Limits the rate of wakes: the first event wakes at once, those of the next ``gap`` seconds wake once more."""

    def __init__(self, wake: Callable[[], object], *, gap: float = WAKE_GAP) -> None:
        self._wake, self._gap = wake, gap
        self._hinted, self._closed = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook-wakes", daemon=True)
        self._thread.start()

    def hint(self) -> None:
        """Ask for a wake; return at once."""
        self._hinted.set()

    def close(self) -> None:
        """End its thread."""
        self._closed.set()
        self._hinted.set()
        self._thread.join()

    def _run(self) -> None:
        while self._hinted.wait() and not self._closed.is_set():
            self._hinted.clear()  # before the wake: a later hint needs another wake
            self._wake()
            self._closed.wait(self._gap)


class Receiver:
    """Receives events in separate threads, from its creation until ``close``.

    Args:
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        judge: distinguishes genuine events; you may replace it at any time, because secrets change.
        wake: called after an event of our dataset, at the rate that ``Wakes`` allows.

    Raises:
        OSError: the address is taken or does not belong to this machine.
    """

    def __init__(self, host: str, port: int, judge: Judge, wake: Callable[[], object]) -> None:
        self.judge = judge
        self._counts: Counter[Verdict] = Counter()
        self._reported: dict[Verdict, float] = {}
        self._lock = threading.Lock()
        self._server = _Server(host, port, self)
        self._wakes = Wakes(wake)
        self._server.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
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
        """Count one request and act on it; refused ones are logged at once, then once a minute at most."""
        now = time.monotonic()
        with self._lock:
            self._counts[verdict] += 1
            total = self._counts[verdict]
            report = verdict in REFUSED and now - self._reported.get(verdict, float("-inf")) >= REPORT_SECONDS
            if report:
                self._reported[verdict] = now
        WEBHOOK_EVENTS.labels(verdict.value).inc()
        if verdict is Verdict.WAKES:
            self._wakes.hint()
        log.debug("webhook_event", verdict=verdict.value)
        if report:
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
