"""A process that has imported libraries and forks itself: each child is ``python -m MODULE`` with these at hand.

    python server.py CONTROL LIBRARY...

``CONTROL`` is the descriptor of a socket. Each message on it is a request as JSON, with four descriptors: standard
input, output and error of the child, and a pipe on which two lines are written: the child's process id, and its wait
status once it has ended. The end of the socket ends this process; children go on.

It imports nothing of this project, which is therefore imported anew by each child.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
from contextlib import suppress
from typing import Any

LARGEST_REQUEST = 1 << 20  # bytes; most of it is the environment


def main() -> None:
    """Import the libraries, then fork for each request; a child goes on to be the command."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for name in sys.argv[2:]:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # the children share these pages for as long as nobody writes to them
    request, standard = next_child(control)
    control.close()
    become(request, standard)


def next_child(control: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Answer requests; returns in the children only: the request, and descriptors of the standard streams."""
    running: dict[int, tuple[int, int]] = {}  # by pidfd: process id, and the pipe for its status
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fd in running:
                    selector.unregister(key.fd)
                    os.close(key.fd)
                    child, report = running.pop(key.fd)
                    say(report, os.waitpid(child, 0)[1])
                    os.close(report)
                    continue
                message, (*standard, report), _, _ = receive(control)
                child = os.fork()
                if child == 0:
                    for descriptor in (report, *running, *(pipe for _, pipe in running.values())):
                        os.close(descriptor)
                    return json.loads(message), standard
                for descriptor in standard:
                    os.close(descriptor)
                ended = os.pidfd_open(child)
                running[ended] = child, report
                selector.register(ended, selectors.EVENT_READ)
                say(report, child)


def receive(control: socket.socket) -> tuple[bytes, list[int], int, Any]:
    """The next request and its descriptors; ends this process where there is none."""
    received = socket.recv_fds(control, LARGEST_REQUEST, 4)
    if not received[0]:
        sys.exit()
    return received


def say(report: int, number: int) -> None:
    """Write a line; whoever asked may have ended meanwhile."""
    with suppress(OSError):
        os.write(report, f"{number}\n".encode())


def become(request: dict[str, Any], standard: list[int]) -> None:
    """Run the module as ``python -m`` would, with the request's streams, environment and folder."""
    for number, descriptor in enumerate(standard):
        os.dup2(descriptor, number)
        os.close(descriptor)
    if request["new_session"]:
        os.setsid()
    os.umask(request["umask"])
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    unbuffered = bool(os.environ.get("PYTHONUNBUFFERED"))
    sys.stdin = open(0, closefd=False)  # noqa: SIM115  a descriptor; lives as long as we do
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115  as above
    sys.stdout.reconfigure(line_buffering=unbuffered or os.isatty(1), write_through=unbuffered)
    sys.stderr = open(2, "w", 1, errors="backslashreplace", closefd=False)  # noqa: SIM115  as above
    sys.path[0] = request["folder"]
    sys.argv = ["-m", *request["arguments"]]
    runpy.run_module(request["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
