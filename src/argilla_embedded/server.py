"""Run the embedded server in this process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from argilla_embedded.bootstrap import (
    configure_environment,
    ensure_credentials,
    ensure_users,
    prepare_database,
)
from argilla_embedded.credentials import FILE_NAME, Credentials
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.home import Home

# Seconds to wait before each retry of a webhook, as in argilla_server.jobs.webhook_jobs.
WEBHOOK_RETRIES = (10.0, 60.0, 180.0)


class _Stopped(BaseException):
    """A signal requested this process to stop."""


def serve(
    home: Path,
    host: str = "127.0.0.1",
    port: int = 6900,
    *,
    webhook_retries: Sequence[float] = WEBHOOK_RETRIES,
    show_secrets: bool = True,
) -> None:
    """Serve Argilla from the folder ``home`` until SIGTERM or SIGINT. Call it at most once in a process.

    Args:
        home: folder for the database and the secrets, created at the first start.
        host: address to listen on. Put a TLS proxy in front of any address other than 127.0.0.1.
        port: port to listen on; 0 picks a free one.
        webhook_retries: seconds to wait before each retry of a webhook.
        show_secrets: whether to print the users' secrets when they are created.

    Raises:
        EmbeddedServerError: argilla-server is not installed, the folder or the port is in use, or the server did not
            start.
    """
    missing = [name for name in ("argilla_server", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise EmbeddedServerError(
            f"The embedded server needs {' and '.join(missing)}: pip install 'argilla-loop[embedded]'."
        )
    place = Home(home.expanduser().absolute())
    place.refuse_if_held()  # its message is more helpful than "port in use"
    with _stopped_by_signals(), _listen(host, port) as listener, _private_files(), place.hold():
        credentials, new = ensure_credentials(place)
        configure_environment(place, credentials)
        prepare_database(place.database)
        asyncio.run(ensure_users(credentials))

        from argilla_embedded import application  # noqa: PLC0415 - argilla_server reads the environment on import

        url = _url(host, listener)

        def on_ready() -> None:
            place.announce(url)
            if new and show_secrets:
                _say(_introduce(credentials, place))
            _say(f"Argilla is ready at {url}")

        application.run(listener, webhook_retries=webhook_retries, on_ready=on_ready)


@contextmanager
def _private_files() -> Iterator[None]:
    """Make the files that the block creates private, even in a folder that other users can read."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End the block on SIGTERM and SIGINT, at any point. uvicorn raises the signals again after its shutdown."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise _Stopped

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, stop) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    except _Stopped:
        pass
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def stop_when_input_closes() -> None:
    """Send SIGTERM to this process when its standard input is closed, so that it ends with its parent process."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _listen(host: str, port: int) -> socket.socket:
    """Bind the port, before any other work, so that a port in use is reported at once."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, OverflowError) as error:
        raise EmbeddedServerError(
            f"Cannot listen on {host} port {port} ({error}): choose another with --port."
        ) from error
    return listener


def _url(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{listener.getsockname()[1]}"


def _introduce(credentials: Credentials, place: Home) -> str:
    users = (credentials.owner, credentials.annotator, credentials.loop)
    return "\n".join(
        [
            f"Created these users; their secrets are shown only now and stored in {place.path / FILE_NAME}:",
            *(f"  {user.username:<14} password {user.password}   API key {user.api_key}" for user in users),
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - this is a command-line program
