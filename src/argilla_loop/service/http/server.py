"""A small HTTP server for health, metrics and webhooks, with limits on connections, time and bytes."""

from __future__ import annotations

import re
import socket
import socketserver
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from types import MappingProxyType

import structlog

log = structlog.get_logger(__name__)

# The limits are chosen, not measured.
CONNECTIONS = 32  # at a time; one more replaces the oldest
THREADS = 2 * CONNECTIONS  # at a time: the threads of abandoned connections need a moment to end
REQUEST_SECONDS = 10.0  # from the start of a request to the last byte of the reply
CLOSE_SECONDS = 0.2  # that closing may take, and the precision of REQUEST_SECONDS
MAX_HEADER_LINES = 100  # including the empty line at the end
MAX_HEADER_BYTES = 2**15  # of all header lines together
# A header is one line (RFC 9112). Programs disagree about folded lines and about lines with a bare CR or a NUL.
HEADER_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r?\n")
REQUEST_LINE_WORDS = 3  # two are HTTP/0.9, which has no headers and no status

Request = socket.socket | tuple[bytes, socket.socket]


class Handler(BaseHTTPRequestHandler):
    """Handles one request per connection, reveals little about itself, logs nothing, and parses strictly.

    A request that two programs could read differently is refused, so subclasses see one header per line, and at most
    one ``Content-Length``.
    """

    timeout = REQUEST_SECONDS  # of one read or write; the server's deadline covers all of them
    raw_requestline: bytes  # http.server's
    default_request_version = "HTTP/1.0"  # so that every reply has a status
    server_version = "argilla-loop"
    sys_version = ""

    def reply(
        self,
        status: int,
        body: bytes = b"",
        kind: str = "application/json",
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        """Send a reply; for HEAD, only its headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if body:
            self.send_header("Content-Type", kind)
            self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int) -> None:
        """Reply to a request that was not understood; subclasses may count these."""
        self.reply(status)

    def parse_request(self) -> bool:
        """Read request line and headers; return whether they were understood. If not, the reply is sent here."""
        self.close_connection = True
        # for a reply before they are read
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
        """Log nothing; subclasses log what matters."""

    def _header_lines(self) -> tuple[bytes, HTTPStatus | None]:
        """Return the lines up to the empty one, and the status with which they are refused, if they are."""
        lines = b""
        for _ in range(MAX_HEADER_LINES):
            line = self.rfile.readline(MAX_HEADER_BYTES + 1)
            lines += line
            if len(lines) > MAX_HEADER_BYTES:
                return b"", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            if line in (b"\r\n", b"\n"):
                return lines, None
            if not HEADER_LINE.fullmatch(line):  # also if the connection ends in the middle
                return b"", HTTPStatus.BAD_REQUEST
        return b"", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE

    def _is_ambiguous(self) -> bool:
        """Whether the end of the request is ambiguous; no legitimate sender needs ``Transfer-Encoding``."""
        return "Transfer-Encoding" in self.headers or len(self.headers.get_all("Content-Length", [])) > 1


class BoundedServer(ThreadingHTTPServer):
    """Serves in separate threads, from ``start`` until ``close``.

    Open connections cannot keep others out: each has ``REQUEST_SECONDS`` in all, however often a byte arrives, and if
    all connections are taken, a new one replaces the oldest.

    Args:
        host: address to listen on.
        port: port to listen on; 0 lets the system choose.
        handler: handles one connection.
        name: of its thread, and in the log.

    Raises:
        OSError: the address is taken or does not belong to this machine.
    """

    daemon_threads = True
    request_queue_size = 128  # a burst waits here instead of being refused; chosen, not measured
    request_seconds = REQUEST_SECONDS

    def __init__(self, host: str, port: int, handler: type[Handler], *, name: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._name = name
        self._slots = threading.BoundedSemaphore(THREADS)
        self._lock = threading.Lock()
        self._open: dict[
            Request, float
        ] = {}  # with their start, the oldest first; abandoned ones are removed
        self._thread: threading.Thread | None = None
        super().__init__((host, port), handler)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def connections(self) -> int:
        """Number of requests that are being read or replied to."""
        with self._lock:
            return len(self._open)

    def start(self) -> None:
        """Serve requests from now on."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(CLOSE_SECONDS,), name=self._name, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and abandon open requests."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()
        self._abandon(before=float("inf"))

    def server_bind(self) -> None:
        """Bind without looking up our own host name, as HTTPServer does, because that may hang."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # of an IP socket

    def service_actions(self) -> None:
        """Abandon requests that take too long; called several times a second, and after each connection."""
        self._abandon(before=time.monotonic() - self.request_seconds)

    def process_request(self, request: Request, client_address: object) -> None:
        """Handle a connection in a thread of its own; if all connections are taken, abandon the oldest."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        self._abandon(before=float("-inf"), leaving=CONNECTIONS - 1)
        with self._lock:
            self._open[request] = time.monotonic()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system cannot start another thread
            self._slots.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Request, client_address: object) -> None:
        """Handle a connection, and release its slot."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def shutdown_request(self, request: Request) -> None:
        """Close a connection; it is no longer abandoned, because its file descriptor may be reused at once."""
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  socketserver's signature
        """Log at debug level: the other side hung up, or was abandoned, and may try again."""
        log.debug("connection_failed", server=self._name)

    def _abandon(self, *, before: float, leaving: int | None = None) -> None:
        """Shut down the connections that began before ``before``, and the oldest until ``leaving`` are left.

        Their threads, which wait to read or write, then find them closed.
        """
        with self._lock:
            oldest = list(self._open.items())
            surplus = 0 if leaving is None else max(len(oldest) - leaving, 0)
            for number, (request, since) in enumerate(oldest):
                if number >= surplus and since > before:
                    return
                del self._open[request]
                with suppress(OSError):  # the other side hung up meanwhile
                    request.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]  # a TCP server has sockets
