"""A small HTTP server for what may be asked of, or told to, a service: bounded in connections, time and threads."""

from __future__ import annotations

import socket
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import structlog

log = structlog.get_logger(__name__)

CONNECTIONS = 32  # at a time; beyond these they are closed
READ_SECONDS = 10.0  # that a sender may keep us waiting
CLOSE_SECONDS = 0.2  # that closing may take


class Handler(BaseHTTPRequestHandler):
    """Says little of itself, logs nothing, and waits for nobody longer than ``READ_SECONDS``."""

    timeout = READ_SECONDS
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

    def log_message(self, *_: object) -> None:
        """Nothing: whoever has a handler tells what matters."""


class BoundedServer(ThreadingHTTPServer):
    """Serves in threads of its own, from ``start`` until ``close``.

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

    def __init__(self, host: str, port: int, handler: type[Handler], *, name: str) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._name = name
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._thread: threading.Thread | None = None
        super().__init__((host, port), handler)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.server_address[1])

    def start(self) -> None:
        """Answer from now on."""
        self._thread = threading.Thread(
            target=self.serve_forever, args=(CLOSE_SECONDS,), name=self._name, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        if self._thread is not None:
            self.shutdown()
            self._thread.join()
        self.server_close()

    def server_bind(self) -> None:
        """Bind without HTTPServer's question to a name server for our own name, which may hang."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # of an IP socket

    def process_request(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Take the connection while there are slots, else close it."""
        if self._slots.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client_address: object
    ) -> None:
        """Give the slot back in the end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002  socketserver's signature
        """The other side hung up: it tries again, if it cares."""
        log.debug("connection_failed", server=self._name)
