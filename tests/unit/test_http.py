"""The ports: nobody keeps others out, and what two programs could read in two ways is refused."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator

import pytest
from drip import HEAD, Dripping

from argilla_loop.service.http.server import CONNECTIONS, MAX_HEADER_BYTES, THREADS, BoundedServer, Handler

PATIENCE = 60.0  # seconds until a test gives up; nothing is asserted about how long anything takes
LARGE = 2**26  # bytes; more than the system keeps for a reader who does not read


class Echo(Handler):
    """Answers the path, or ``LARGE`` bytes; a body is read."""

    def do_GET(self) -> None:  # noqa: N802  http.server's name
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.reply(200, bytes(LARGE) if self.path == "/large" else self.path.encode())

    do_POST = do_GET  # noqa: N815  http.server's name


def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; fail where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


@pytest.fixture
def server() -> Iterator[BoundedServer]:
    server = BoundedServer("127.0.0.1", 0, Echo, name="test")
    server.start()
    yield server
    server.close()


def connected(server: BoundedServer, said: bytes) -> socket.socket:
    one = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE)
    one.sendall(said)
    return one


def answers(server: BoundedServer, said: bytes) -> bytes:
    """All that comes back."""
    with connected(server, said) as one:
        one.shutdown(socket.SHUT_WR)
        received = b""
        while part := one.recv(2**16):
            received += part
        return received


@pytest.mark.parametrize("head", [b"", b"GET", b"GET / HTTP/1.1\r\n", HEAD, f"{HEAD!r}\r\n\r\n".encode()])
def test_who_drips_is_given_up_however_often_a_byte_comes(server: BoundedServer, head: bytes) -> None:
    """In the request line, in the headers, in the body: the deadline is for all of it."""
    server.request_seconds = 0.5
    with Dripping(server.port, 3, head=head, every=0.05) as dripping:
        until(lambda: dripping.closed >= 6)


def test_a_new_connection_takes_the_place_of_the_oldest(server: BoundedServer) -> None:
    server.request_seconds = float("inf")
    held = [connected(server, HEAD) for _ in range(CONNECTIONS)]
    until(lambda: server.connections == CONNECTIONS)
    assert answers(server, b"GET /hello HTTP/1.1\r\n\r\n").endswith(b"/hello")
    assert held[0].recv(1) == b""
    until(lambda: server.connections == CONNECTIONS - 1)
    for one in held:
        one.close()


def test_connections_by_the_hundred_keep_nobody_out_and_threads_are_bounded(server: BoundedServer) -> None:
    server.request_seconds = float("inf")
    held = [connected(server, HEAD) for _ in range(5 * THREADS)]
    until(lambda: answers(server, b"GET /hello HTTP/1.1\r\n\r\n").endswith(b"/hello"))
    assert server.connections <= CONNECTIONS
    for one in held:
        one.close()


def test_who_does_not_read_the_answer_is_given_up(server: BoundedServer) -> None:
    server.request_seconds = 0.5
    with connected(server, b"GET /large HTTP/1.1\r\n\r\n") as one:
        assert one.recv(12) == b"HTTP/1.0 200"
        until(lambda: server.connections == 0)


def test_closing_gives_up_what_is_under_way() -> None:
    server = BoundedServer("127.0.0.1", 0, Echo, name="test")
    server.start()
    with connected(server, HEAD) as one:
        until(lambda: server.connections == 1)
        server.close()
        assert one.recv(1) == b""


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /\r\n", 400),
        (b"GET / HTTP/1.1 more\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"GET / HTTP/x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\ncontent-length: 2\r\n\r\nxx", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\r\n B: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n A: 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA : 1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA\r\nB: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\rB: 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: 1\0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 100 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"1" * MAX_HEADER_BYTES + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"BREW / HTTP/1.1\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\n" + b"A: 1\r\n" * 99 + b"\r\n", 200),
        (b"GET / HTTP/1.1\nA: 1\n\n", 200),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(server: BoundedServer, said: bytes, status: int) -> None:
    assert int(answers(server, said).split(b" ", 2)[1]) == status


@pytest.mark.parametrize("first", [b"", b"Connection: keep-alive\r\n"])
def test_of_several_requests_on_a_connection_the_first_is_answered(
    server: BoundedServer, first: bytes
) -> None:
    request = b"GET /%s HTTP/1.1\r\n%s\r\n"
    said = answers(server, request % (b"first", first) + request % (b"second", b""))
    assert said.count(b"HTTP/1.") == 1
    assert said.endswith(b"/first")
