"""Senders that never finish: each holds a connection and says a byte now and then, as a slow attacker does."""

from __future__ import annotations

import socket
import threading

from typing_extensions import Self

HEAD = b"POST / HTTP/1.1\r\nContent-Length: 1000000\r\nX-Long: "


class Dripping:
    """Connections that stay open by dripping; one that is closed on them is opened again, as long as this is entered.

    Args:
        port: of this machine.
        count: of connections.
        head: what each sends at once.
        every: seconds between two bytes of a connection.
    """

    def __init__(self, port: int, count: int, *, head: bytes = HEAD, every: float = 0.2) -> None:
        self._port, self._head, self._every = port, head, every
        self._over = threading.Event()
        self._sockets = [self._connected() for _ in range(count)]
        self._thread = threading.Thread(target=self._drip, daemon=True)
        self.closed = 0  # times that the other side closed one

    def _connected(self) -> socket.socket:
        one = socket.create_connection(("127.0.0.1", self._port), timeout=60)
        one.sendall(self._head)
        return one

    def _drip(self) -> None:
        while not self._over.wait(self._every):
            for number, one in enumerate(self._sockets):
                try:
                    one.sendall(b"x")
                    one.setblocking(False)  # noqa: FBT003  socket's own
                    if one.recv(1) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    one.settimeout(60)
                except OSError:
                    self.closed += 1
                    one.close()
                    if not self._over.is_set():
                        self._sockets[number] = self._connected()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for one in self._sockets:
            one.close()
