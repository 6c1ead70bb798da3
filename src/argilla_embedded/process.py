"""Start and stop an embedded server as a process of its own, for the demo and the tests."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from argilla_embedded.credentials import Credentials, load_credentials
from argilla_embedded.home import Home
from argilla_loop.errors import FatalError

POLL_SECONDS = 0.1


class EmbeddedServer:
    """A server in a child process; ready when ``start`` returns, and gone when this process is, however it ends.

    Args:
        home: folder of the database and the secrets, made at the first start.
        host: address to listen on.
        port: port to listen on; 0 lets the system choose one, which stays the same over restarts of this object.
        webhook_retries: seconds to wait before each further attempt at a webhook; the server's own if None.
        start_timeout: seconds after which a server that is not ready is given up.
        environment: further environment variables of the server's process.
    """

    def __init__(
        self,
        home: Path,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        webhook_retries: Sequence[float] | None = None,
        start_timeout: float = 120.0,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self._host = host
        self._port = port
        self._webhook_retries = webhook_retries
        self._start_timeout = start_timeout
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """Where the server listens, such as ``http://127.0.0.1:6900``."""
        if self._url is None:
            raise FatalError(f"The server on {self.home} was not started.")
        return self._url

    @property
    def credentials(self) -> Credentials:
        """Users and secrets of the server."""
        return load_credentials(self.home)

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise FatalError(f"The server on {self.home} was not started.")
        return self._process.pid

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            FatalError: the folder is another's, or the server ended or was not ready in time; the message holds its
                last line.
        """
        home = Home(self.home.absolute())
        home.claim()
        command = [sys.executable, "-m", "argilla_embedded", "--home", str(home.path), "--quiet"]
        command += ["--host", self._host, "--port", str(self._port), "--until-input-closes"]
        if self._webhook_retries is not None:
            command += ["--webhook-retries", ",".join(map(str, self._webhook_retries))]
        with home.log.open("ab") as output:
            home.log.chmod(0o600)
            said_before = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the process that started it, which then stops it in its own order.
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self._environment},
            )
        deadline = time.monotonic() + self._start_timeout
        while True:
            running = home.running()
            if running is not None and running.pid == self._process.pid:
                self._url = running.url
                self._port = int(running.url.rpartition(":")[2])
                return
            if self._process.poll() is not None:
                code = self.kill()
                said = home.log.read_bytes()[said_before:].decode(errors="replace").strip().splitlines()
                raise FatalError(
                    f"The server ended with code {code}: {said[-1] if said else 'it said nothing'}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise FatalError(f"The server was not ready in {self._start_timeout:.0f} s: see {home.log}.")
            time.sleep(POLL_SECONDS)

    def stop(self, timeout: float = 30.0) -> int:
        """Ask the server to end, wait, and return its exit code; kills it after ``timeout`` seconds."""
        return self._end(lambda process: process.terminate(), timeout)

    def kill(self) -> int:
        """Kill the server outright, as a crash would; returns its exit code."""
        return self._end(lambda process: process.kill(), 30.0)

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None], timeout: float) -> int:
        process = self._process
        if process is None:
            return 0
        how(process)
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        self._process = None
        return code

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
