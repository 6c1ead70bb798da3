"""The tuner as a process: started without waiting, looked after without waiting, and killed when the service ends."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from typing import IO

from argilla_loop.errors import collapse_whitespace
from argilla_loop.learning.tuning.request import Request
from argilla_loop.settings.model import ENV_PREFIX

MODULE = "argilla_loop.learning.tuning"
# Characters of its last words that are logged. Chosen, not measured.
MAX_REASON = 300


class TunerProcess:
    """A tuner at work. It reads its request from a file without a name, so that no text stays on the disk.

    Args:
        request: what it is to do.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, request: Request) -> None:
        self.request = request
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process is reaped
        with tempfile.TemporaryFile() as asked:
            asked.write(request.to_json())
            asked.seek(0)
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", MODULE],
                stdin=asked,
                stdout=subprocess.DEVNULL,
                stderr=self._said,
                env=_environment(),
                start_new_session=True,  # Ctrl-C is for the service, which ends it
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def poll(self) -> int | None:
        """Return its exit code, or ``None`` while it runs."""
        return self._process.poll()

    def reason(self) -> str:
        """Return why it failed, after it has ended."""
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        code = self._process.returncode
        if code is not None and code < 0:
            return f"ended by signal {-code}"
        return collapse_whitespace(lines[-1])[:MAX_REASON] if lines else f"exit code {code}"

    def close(self) -> None:
        """End it, if it still runs, and forget what it said."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._said.close()


def _environment() -> dict[str, str]:
    """Return the environment for a tuner: without our settings, which hold secrets."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(ENV_PREFIX)}
    return kept | {"PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
