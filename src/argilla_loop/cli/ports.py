"""Ports of this machine that ``start`` and the demo can listen on."""

from __future__ import annotations

import itertools
import socket

HTTP_PORT = 9090  # the first that is tried for the service's page


def is_free(port: int) -> bool:
    """Return whether nobody listens on ``port`` of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_http_port() -> int:
    """Return the first free port from ``HTTP_PORT`` on, so that several services have their pages."""
    return next(filter(is_free, itertools.count(HTTP_PORT)))
