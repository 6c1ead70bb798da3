"""An HTTP proxy that goes wrong on demand, between a real client and a real server.

Rules say which requests meet which fault; ``hold`` stops a request before it is forwarded or after it was applied::

    with FaultProxy(server.url) as proxy:
        rule = proxy.add(Rule(Status(503, retry_after="1"), method="PUT", path="/records/bulk$"))
        ...  # talk to proxy.url
        assert rule.fired == 1
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import ssl
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from typing_extensions import Self

PATIENCE = 60.0  # seconds a test waits for a held request
OF_ONE_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "server", "date"})


@dataclass(frozen=True)
class Reset:
    """Reset the connection (RST): before the server hears of it, or after it has ``applied`` the request.

    With ``after_bytes`` the head and so many bytes of the body are sent before.
    """

    applied: bool = False
    after_bytes: int | None = None


@dataclass(frozen=True)
class Silence:
    """Never answer, although the server has ``applied`` the request; or without it having heard of it."""

    applied: bool = True


@dataclass(frozen=True)
class Status:
    """Answer with this status, as an overloaded or restarting gateway does."""

    code: int
    retry_after: str | None = None
    applied: bool = False


@dataclass(frozen=True)
class Page:
    """Answer with something of one's own, as a proxy, a firewall or a login page does; the server hears nothing.

    ``garbled``: announce chunks, and send none.
    """

    code: int
    body: str = "<html><title>a page</title></html>"
    kind: str = "text/html"
    location: str | None = None
    garbled: bool = False


@dataclass(frozen=True)
class Relabelled:
    """The server's own answer, called something else than JSON."""

    kind: str = "text/plain"


@dataclass(frozen=True)
class Truncated:
    """Half of the answer's body: shorter than announced, or announced as it is (``honest``) and so broken JSON."""

    honest: bool = False


@dataclass(frozen=True)
class Drip:
    """The whole answer in so many ``pieces``, with ``pause`` seconds before each."""

    pieces: int = 5
    pause: float = 0.05


class Hold:
    """Stop a request until the test lets it go."""

    def __init__(self, moment: Literal["before", "after"]) -> None:
        self.moment = moment
        self._arrived, self._let_go = threading.Event(), threading.Event()
        self._dropped = False

    def wait(self, within: float = PATIENCE) -> None:
        """Wait until the request is here (``before``), or the server has applied it (``after``)."""
        assert self._arrived.wait(within), "the request to hold never came"

    @property
    def is_reached(self) -> bool:
        """Whether a request is held, or was."""
        return self._arrived.is_set()

    def release(self) -> None:
        """Let it go on."""
        self._let_go.set()

    def drop(self) -> None:
        """Close its connection: what was not forwarded never is."""
        self._dropped = True
        self._let_go.set()

    def block(self) -> bool:
        """Called by the proxy: wait; whether to go on."""
        self._arrived.set()
        self._let_go.wait()
        return not self._dropped


Fault = Reset | Silence | Status | Page | Relabelled | Truncated | Drip | Hold


@dataclass
class Rule:
    """Which requests meet ``fault``.

    Args:
        fault: what goes wrong.
        method: of the request; None means any.
        path: a regular expression that is searched in the path (without the query).
        skip: so many matching requests pass before.
        times: so many meet the fault, then it is over; None means all.
        probability: of each; drawn by a generator seeded with ``seed``.
    """

    fault: Fault
    method: str | None = None
    path: str = ""
    skip: int = 0
    times: int | None = 1
    probability: float = 1.0
    seed: int = 0
    fired: int = field(default=0, init=False)
    _met: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def applies(self, method: str, path: str) -> bool:
        """Whether this request meets the fault; counts it."""
        if (self.method not in (None, method)) or not re.search(self.path, path):
            return False
        self._met += 1
        if self._met <= self.skip or (self.times is not None and self.fired >= self.times):
            return False
        if self._random.random() >= self.probability:
            return False
        self.fired += 1
        return True


@dataclass
class Seen:
    """A request in the order of arrival; ``status`` is the server's answer, None where it never heard of it."""

    method: str
    path: str
    status: int | None = None


class FaultProxy:
    """Forwards HTTP to ``target``, one connection a request, except where a rule says otherwise."""

    def __init__(self, target: str, *, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(target)
        assert parts.hostname is not None
        assert parts.port is not None
        self.target = (parts.hostname, parts.port)
        self.requests: list[Seen] = []
        self.rules: list[Rule] = []
        self.lock = threading.Lock()
        self._port, self._tls = 0, tls
        self._server: _Server | None = None
        self._listen()

    @property
    def url(self) -> str:
        """Where to talk to it; the same all its life."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def add(self, rule: Rule) -> Rule:
        """Let ``rule`` hold from now on; the first that applies to a request wins."""
        with self.lock:
            self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules; what is held goes on."""
        with self.lock:
            rules, self.rules = self.rules, []
        for rule in rules:
            if isinstance(rule.fault, Hold):
                rule.fault.release()

    @contextmanager
    def hold(
        self, moment: Literal["before", "after"], method: str | None = None, path: str = "", *, skip: int = 0
    ) -> Iterator[Hold]:
        """Stop one request ``before`` it is forwarded or ``after`` it was applied; it goes on at the end."""
        fault = Hold(moment)
        self.add(Rule(fault, method, path, skip=skip))
        try:
            yield fault
        finally:
            fault.release()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Refuse connections meanwhile: nobody listens at the port."""
        self._close()
        try:
            yield
        finally:
            self._listen()

    def met(self, method: str, path: str) -> tuple[Seen, Fault | None]:
        """Called by the proxy: note a request, and find its fault."""
        with self.lock:
            seen = Seen(method, path)
            self.requests.append(seen)
            faults = [rule.fault for rule in self.rules if rule.applies(method, path)]
        return seen, faults[0] if faults else None

    def _listen(self) -> None:
        self._server = _Server(self, self._port)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="fault-proxy")
        self._thread.start()

    def _close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._thread.join()
            self.clear()
            self._server.hang_up()
            self._server.server_close()  # waits for its threads
            self._server = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, proxy: FaultProxy, port: int) -> None:
        self.proxy = proxy
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        self.close_request(request)  # no shutdown before: it would say FIN where a fault wants RST

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(
            sys.exc_info()[1], OSError | http.client.HTTPException
        ):  # one side has gone: our trade
            super().handle_error(request, client_address)

    def hang_up(self) -> None:
        """End what still waits for a client."""
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _handle(self) -> None:
        self.close_connection = True
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        seen, fault = self.server.proxy.met(self.command, urlsplit(self.path).path)
        if isinstance(fault, Hold) and fault.moment == "before" and not fault.block():
            return
        unheard = isinstance(fault, Page) or (
            isinstance(fault, Reset | Silence | Status) and not fault.applied
        )
        if isinstance(fault, Reset) and fault.after_bytes is not None:
            unheard = False
        status, headers, answer = (0, {}, b"") if unheard else self._forward(body)
        seen.status = status or None
        if isinstance(fault, Hold) and fault.moment == "after" and not fault.block():
            return
        self._answer(fault, status, headers, answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815  http.server's names

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        upstream = http.client.HTTPConnection(*self.server.proxy.target, timeout=PATIENCE)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in OF_ONE_HOP}
            upstream.request(self.command, self.path, body or None, headers)
            answer = upstream.getresponse()
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in OF_ONE_HOP}
            return answer.status, kept, answer.read()
        finally:
            upstream.close()

    def _answer(self, fault: Fault | None, status: int, headers: dict[str, str], body: bytes) -> None:
        if isinstance(fault, Silence):
            self.connection.recv(1)  # until the client gives up, or the proxy closes
        elif isinstance(fault, Status):
            extra = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
            self._send(fault.code, {"Content-Type": "text/plain", **extra}, [b"a fault on purpose"])
        elif isinstance(fault, Page):
            self._send_page(fault)
        elif isinstance(fault, Relabelled):
            kept = {k: v for k, v in headers.items() if k.lower() != "content-type"}
            self._send(status, {**kept, "Content-Type": fault.kind}, [body])
        elif isinstance(fault, Reset):
            if fault.after_bytes is not None:
                self._send(status, headers, [body[: fault.after_bytes]], length=len(body) + 1)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif isinstance(fault, Truncated):
            half = body[: len(body) // 2]
            self._send(status, headers, [half], length=len(half) if fault.honest else len(body) + 1)
        elif isinstance(fault, Drip):
            size = max(1, -(-len(body) // fault.pieces))
            pieces = [body[n : n + size] for n in range(0, len(body), size)]
            self._send(status, headers, pieces, pause=fault.pause)
        else:
            self._send(status, headers, [body])

    def _send_page(self, page: Page) -> None:
        headers = {"Content-Type": page.kind, "Server": "a-proxy"}
        if page.location is not None:
            headers["Location"] = page.location
        if page.garbled:
            self.send_response_only(page.code)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"no chunk at all\r\n")
        else:
            self._send(page.code, headers, [page.body.encode()])

    def _send(
        self,
        status: int,
        headers: dict[str, str],
        pieces: list[bytes],
        *,
        length: int | None = None,
        pause: float = 0.0,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        if status not in (http.HTTPStatus.NO_CONTENT, http.HTTPStatus.NOT_MODIFIED):
            self.send_header("Content-Length", str(sum(map(len, pieces)) if length is None else length))
        self.end_headers()
        for piece in pieces:
            if pause:
                threading.Event().wait(pause)
            self.wfile.write(piece)
