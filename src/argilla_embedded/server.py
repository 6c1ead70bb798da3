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
from argilla_embedded.home import Home
from argilla_loop.errors import FatalError

# Seconds before each further attempt at a webhook, as in argilla_server.jobs.webhook_jobs.
WEBHOOK_RETRIES = (10.0, 60.0, 180.0)


class _Stopped(BaseException):
    """A signal asked this process to stop."""


def serve(
    home: Path,
    host: str = "127.0.0.1",
    port: int = 6900,
    *,
    webhook_retries: Sequence[float] = WEBHOOK_RETRIES,
    show_secrets: bool = True,
) -> None:
    """Serve Argilla from the folder ``home`` until SIGTERM or SIGINT; may be called once in a process.

    Args:
        home: folder of the database and the secrets, made at the first start.
        host: address to listen on; beyond 127.0.0.1, put TLS in front.
        port: port to listen on; 0 lets the system choose.
        webhook_retries: seconds to wait before each further attempt at a webhook.
        show_secrets: print the users' secrets when they are made.

    Raises:
        FatalError: argilla-server is not installed, the folder or the port is taken, or the server did not start.
    """
    missing = [name for name in ("argilla_server", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise FatalError(
            f"The embedded server needs {' and '.join(missing)}: pip install 'argilla-loop[embedded]'."
        )
    place = Home(home.expanduser().absolute())
    place.refuse_if_held()  # says more than that the port is taken
    with _stopped_by_signals(), _listen(host, port) as listener, _private_files(), place.hold():
        credentials, new = ensure_credentials(place)
        configure_environment(place, credentials)
        prepare_database(place.database)
        asyncio.run(ensure_users(credentials))

        from argilla_embedded import application  # noqa: PLC0415 - argilla_server reads the environment at import

        url = _url(host, listener)

        def on_ready() -> None:
            place.announce(url)
            if new and show_secrets:
                _say(_introduce(credentials, place))
            _say(f"Argilla is ready at {url}")

        application.run(listener, webhook_retries=webhook_retries, on_ready=on_ready)


@contextmanager
def _private_files() -> Iterator[None]:
    """Close what the block makes to others, in a folder that others may look into."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End the block on SIGTERM and SIGINT, whatever it is doing; uvicorn raises them anew when it has finished."""

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
    """Send this process SIGTERM once its standard input ends: so a server does not outlive who started it."""

    def wait() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()


def _listen(host: str, port: int) -> socket.socket:
    """Take the port at once, so that a taken one is told before any work."""
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
        raise FatalError(
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
            f"Made these users; the secrets are shown this once and kept in {place.path / FILE_NAME}:",
            *(f"  {user.username:<14} password {user.password}   API key {user.api_key}" for user in users),
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the person at the terminal is waiting for
