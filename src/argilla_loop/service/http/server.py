"""A small HTTP server for what may be asked of, or told to, a service: bounded in connections, seconds and bytes."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO

import structlog

log = structlog.get_logger(__name__)

CONNECTIONS = 32  # at a time; one more takes the place of the oldest
THREADS = 2 * CONNECTIONS  # at a time: those of connections that were given up need a moment to end
REQUEST_SECONDS = 10.0  # from the first byte we wait for to the last one of the answer
CLOSE_SECONDS = 0.2  # that closing may take, and how exactly REQUEST_SECONDS is kept
MAX_HEADER_LINES = 100  # with the empty one behind them
MAX_HEADER_BYTES = 2**15  # of all header lines together
# A header is one line (RFC 9112): what is folded, or has a bare CR or a NUL in it, different programs read differently.
HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r?\n")
REQUEST_LINE_WORDS = 3  # two are HTTP/0.9, which has no headers and no status

Request = socket.socket | tuple[bytes, socket.socket]


class Handler(BaseHTTPRequestHandler):
    """Answers one request of a connection, says little of itself, logs nothing, and reads strictly.

    A request that two programs could read in two ways is refused: other methods see each header once a line, and at
    most one ``Content-Length``.
    """

    timeout = REQUEST_SECONDS  # of one read or write; the server's deadline is for all of them
    raw_requestline: bytes  # http.server's
    default_request_version = "HTTP/1.0"  # so that every answer has a status
    server_version = "argilla-loop"
    sys_version = ""

    def reply(self, status: int, body: bytes = b"", kind: str = "application/json") -> None:
        """Send an answer; of one to HEAD, the headers."""
        self.send_response(status)
        if body:
            self.send_header("Content-Type", kind)
            self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int) -> None:
        """Answer a request that was not understood; for subclasses that count those."""
        self.reply(status)

    def parse_request(self) -> bool:
        """Read request line and headers; whether they were understood. Others are answered here."""
        self.close_connection = True
        # for an answer before they are read
        self.command, self.request_version, self.requestline = "", self.default_request_version, ""
        if len(self.raw_requestline.split()) != REQUEST_LINE_WORDS:
            self.refuse(HTTPStatus.BAD_REQUEST)
            return False
        lines, refused = self._header_lines()
        if refused is not None:
            self.refuse(refused)
            return False
        following, self.rfile = self.rfile, BytesIO(lines)
        try:
            understood = super().parse_request()
        finally:
            self.rfile = following
        if understood and self._is_ambiguous():
            self.refuse(HTTPStatus.BAD_REQUEST)
            return False
        return understood

    def log_message(self, *_: object) -> None:
        """Nothing: whoever has a handler tells what matters."""

    def _header_lines(self) -> tuple[bytes, HTTPStatus | None]:
        """The lines up to the empty one, and why they are refused if they are."""
        lines = b""
        for _ in range(MAX_HEADER_LINES):
            line = self.rfile.readline(MAX_HEADER_BYTES + 1)
            lines += line
            if len(lines) > MAX_HEADER_BYTES:
                return b"", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            if line in (b"\r\n", b"\n"):
                return lines, None
            if not HEADER_LINE.fullmatch(line):  # also a connection that ends in the middle
                return b"", HTTPStatus.BAD_REQUEST
        return b"", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def _is_ambiguous(self) -> bool:
        """Whether it is not plain where the request ends: no sender of ours has a need for ``Transfer-Encoding``."""
        return "Transfer-Encoding" in self.headers or len(self.headers.get_all("Content-Length", [])) > 1


class BoundedServer(ThreadingHTTPServer):
    """Serves in threads of its own, from ``start`` until ``close``.

    Nobody can keep others out by holding connections open: each has ``REQUEST_SECONDS`` for everything, however often
    a byte arrives, and where all are taken a new one takes the place of the oldest.

    Args:
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        handler: answers one connection.
        name: of its thread, and in the log.

    Raises:
        OSError: the address is taken or not ours.
    """

    daemon_threads = True
    request_queue_size = 128  # a burst waits here rather than being refused
    request_seconds = REQUEST_SECONDS

    def __init__(self, host: str, port: int, handler: type[Handler], *, name: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._name = name
        self._slots = threading.BoundedSemaphore(THREADS)
        self._lock = threading.Lock()
        self._open: dict[Request, float] = {}  # and since when, the oldest first; those given up are not here
        self._thread: threading.Thread | None = None
        super().__init__((host, port), handler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    @property
    def connections(self) -> int:
        """How many requests are being read or answered now."""
        with self._lock:
            return len(self._open)

    def start(self) -> None:
        """Answer from now on."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(CLOSE_SECONDS,), name=self._name, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and give up what is being answered."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        self._give_up(before=float("inf"))

    def server_bind(self) -> None:
        """Bind without HTTPServer's question to a name server for our own name, which may hang."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # of an IP socket

    def service_actions(self) -> None:
        """Give up requests that took too long; called several times a second, and after each connection."""
        self._give_up(before=time.monotonic() - self.request_seconds)

    def process_request(self, request: Request, client_address: object) -> None:
        """Answer in a thread of its own; where all connections are taken the oldest goes."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._give_up(before=float("-inf"), leaving=CONNECTIONS - 1)
        with self._lock:
            self._open[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system has no thread left
            self._slots.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Request, client_address: object) -> None:
        """Give the slot back in the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def shutdown_request(self, request: Request) -> None:
        """Close a connection, which nobody may give up from here on: its number may be another's at once."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  socketserver's signature
        """The other side hung up, or was given up: it tries again, if it cares."""
        log.debug("connection_failed", server=self._name)

    def _give_up(self, *, before: float, leaving: int | None = None) -> None:
        """End those that began earlier than ``before``, and the oldest until so many are left.

        Their threads, which wait for them to be read or written, find them closed.
        """
        with self._lock:
            oldest = list(self._open.items())
            surplus = 0 if leaving is None else max(len(oldest) - leaving, 0)
            for number, (request, since) in enumerate(oldest):
                if number >= surplus and since > before:
                    return
                del self._open[request]
                with suppress(OSError):  # hung up meanwhile
                    request.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # a TCP server has sockets
