"""Start and stop an embedded server in a child process, for demos and tests."""

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
from argilla_embedded.errors import EmbeddedServerError
from argilla_embedded.home import Home

POLL_SECONDS = 0.1  # between two looks at whether the server is ready. Chosen, not measured.


class EmbeddedServer:
    """A server in a child process. It is ready when ``start`` returns and stops when this process ends, even if killed.

    Args:
        home: folder for the database and the secrets, created at the first start.
        host: address to listen on.
        port: port to listen on; 0 picks a free one, which later starts of this object reuse.
        webhook_retries: seconds to wait before each retry of a webhook; None uses the server's default.
        start_timeout: seconds to wait for the server to become ready.
        environment: additional environment variables for the server's process.
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
        """Address of the server, such as ``http://127.0.0.1:6900``."""
        if self._url is None:
            raise EmbeddedServerError(f"The server on {self.home} was not started.")
        return self._url

    @property
    def credentials(self) -> Credentials:
        """The server's users and their secrets."""
        return load_credentials(self.home)

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise EmbeddedServerError(f"The server on {self.home} was not started.")
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the server was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedServerError: the folder is not a server's, or the server ended or was not ready in time. The
                message includes the last line that it printed.
        """
        home = Home(self.home.absolute())
        home.claim()
        command = [sys.executable, "-m", "argilla_embedded", "--home", str(home.path), "--quiet"]
        command += ["--host", self._host, "--port", str(self._port), "--until-input-closes"]
        if self._webhook_retries is not None:
            command += ["--webhook-retries", ",".join(map(str, self._webhook_retries))]
        with home.log.open("ab") as output:
            home.log.chmod(0o600)
            log_start = output.tell()
            self._process = subprocess.Popen(  # noqa: S603 - runs this package
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C goes to the parent process only, which then stops the server.
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
                lines = home.log.read_bytes()[log_start:].decode(errors="replace").strip().splitlines()
                raise EmbeddedServerError(
                    f"The server ended with code {code}: {lines[-1] if lines else 'it printed nothing'}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise EmbeddedServerError(
                    f"The server was not ready in {self._start_timeout:.0f} s: see {home.log}."
                )
            time.sleep(POLL_SECONDS)

    def stop(self, timeout: float = 30.0) -> int:
        """Stop the server, or kill it after ``timeout`` seconds, and return its exit code."""
        return self._end(lambda process: process.terminate(), timeout)

    def kill(self) -> int:
        """Kill the server, as a crash would, and return its exit code."""
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
