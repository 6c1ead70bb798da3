"""Start ``python -m argilla_loop`` in a third of the time: by a fork of a process that has imported the libraries.

The tests start the command about two hundred times. Each start spends two CPU seconds on the import of pandas,
datasets, scikit-learn and other libraries. In a test run, ``Popen`` replaces ``subprocess.Popen``. A test that starts
one of our modules gets a separate process with its own environment, streams, folder and signals, which imports our code
anew. That process is a fork of a *preloaded* one. Two kinds of commands still start as usual:

- a command whose environment differs in a variable that a library may read while it is imported (``_READ_LATER`` lists
  the variables that no library reads then). Set ``PYTHONHASHSEED=random`` to start one command of a test as usual.
- a command of a test that is marked ``cold``, because the test is about the start itself or about something that all
  forks share: the seed of ``hash``, or the command line in ``/proc``.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

SERVER = Path(__file__).with_name("server.py")

# The libraries of each module that take long to import. onnxruntime is missing: it starts a thread on import, and a
# process that forks after that hangs when it ends.
LIBRARIES = {
    "argilla_loop": (
        "argilla datasets huggingface_hub numpy pandas prometheus_client pyarrow.parquet "
        "pydantic_settings rich.table scipy.linalg scipy.optimize scipy.sparse scipy.stats sklearn.linear_model "
        "sklearn.svm sklearn.model_selection standardwebhooks structlog tenacity tokenizers typer httpx http.server"
    ),
    "argilla_embedded": (
        "aiosqlite alembic.command alembic.config brotli_asgi datasets elasticsearch8 fastapi httpx huggingface_hub "
        "numpy oauthlib opensearchpy pandas bcrypt jose PIL psutil pydantic_settings redis rq "
        "social_core sqlalchemy.ext.asyncio structlog typer uvicorn uvloop"
    ),
}

# Variables that no library reads while it is imported.
_READ_LATER = re.compile(
    "(ARGILLA|EMBEDDED_ARGILLA|PYTEST)_.*|COLUMNS|CREDENTIALS_DIRECTORY|NOTIFY_SOCKET|PYTHONUNBUFFERED|WATCHDOG_USEC"
)


class _Preloaded:
    """The process whose children run ``module``; starts with the first of them."""

    def __init__(self, module: str) -> None:
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
        self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, str(SERVER), str(its.fileno()), *LIBRARIES[module].split()],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[its.fileno()],
            )

    def suits(self, environment: Mapping[str, str]) -> bool:
        """Whether the libraries would be the same in this environment."""
        names = self._environment.keys() | environment.keys()
        changed = (name for name in names if self._environment.get(name) != environment.get(name))
        return all(_READ_LATER.fullmatch(name) for name in changed)

    def fork(self, request: Mapping[str, Any], standard: list[int]) -> tuple[int, int]:
        """Process id of a new child, and the pipe on which its wait status comes."""
        status, report = os.pipe()
        try:
            socket.send_fds(self._control, [json.dumps(request).encode()], [*standard, report])
        finally:
            os.close(report)
        return int(_line(status)), status

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._process.wait()


_started: dict[str, _Preloaded] = {}
_starting = threading.Lock()
_is_cold = False


class Popen(subprocess.Popen[Any]):
    """``subprocess.Popen``, where our own modules are forked from a preloaded process."""

    _status: int | None = None  # the pipe on which the child's wait status comes; none where it is ours

    def _execute_child(self, *arguments: Any) -> None:
        call = _CALL.bind(self, *arguments).arguments
        request = _request(call)
        preloaded = None if request is None else _preloaded(request["module"])
        if request is None or preloaded is None or not preloaded.suits(request["environment"]):
            super()._execute_child(*arguments)  # type: ignore[misc]  # private, and so in no stub
            return
        ends = (call["p2cread"], call["c2pwrite"], call["errwrite"])
        standard = [number if end == -1 else end for number, end in enumerate(ends)]
        self.pid, self._status = preloaded.fork(request, standard)
        self._child_created = True
        self._close_pipe_fds(*(call[name] for name in _ENDS))  # type: ignore[attr-defined]  # as above

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        if self._status is None:
            return super()._try_wait(wait_flags)  # type: ignore[misc,no-any-return]  # as above
        if wait_flags & os.WNOHANG and not _is_readable(self._status):
            return 0, 0
        status, self._status = self._status, None
        try:
            return self.pid, int(_line(status) or "9")  # no line: the preloaded process was killed
        finally:
            os.close(status)

    def _internal_poll(self, *arguments: Any, **options: Any) -> int | None:
        if self._status is None:
            return super()._internal_poll(*arguments, **options)  # type: ignore[misc,no-any-return]  # as above
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]  # as above
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]  # as above
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]  # as above
        return self.returncode


_CALL = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]  # as above
_ENDS = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")


def _request(call: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a preloaded process needs to know; None where it can't do that."""
    arguments = call["args"]
    if _is_cold or not isinstance(arguments, list | tuple) or len(arguments) < 3:
        return None
    python, dash, module, *rest = map(str, arguments)
    special = call["pass_fds"] or call["preexec_fn"] or call["shell"] or call["umask"] >= 0
    if (python, dash) != (sys.executable, "-m") or module not in LIBRARIES or special:
        return None
    environment = dict(os.environ if call["env"] is None else call["env"])
    umask = os.umask(0o022)
    os.umask(umask)
    return {
        "module": module,
        "arguments": rest,
        "environment": environment,
        "folder": str(call["cwd"] or Path.cwd()),
        "new_session": call["start_new_session"],
        "umask": umask,
    }


def _preloaded(module: str) -> _Preloaded | None:
    if not hasattr(os, "pidfd_open"):  # not on Linux
        return None
    with _starting:
        if module not in _started:
            _started[module] = _Preloaded(module)
        return _started[module]


def _line(pipe: int) -> bytes:
    """The next line, read byte by byte, as no more than that must be taken; what there is where the pipe ends."""
    line = b""
    while (byte := os.read(pipe, 1)) not in (b"\n", b""):
        line += byte
    return line


def _is_readable(pipe: int) -> bool:
    return bool(select.select([pipe], [], [], 0)[0])


@pytest.fixture(scope="session", autouse=True)
def preloaded_processes() -> Iterator[None]:
    """Let tests start our modules by forks of preloaded processes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(subprocess, "Popen", Popen)
        yield
    while _started:
        _started.popitem()[1].close()


@pytest.fixture(autouse=True)
def cold_processes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let those of a test that is marked ``cold`` start as they do elsewhere."""
    global _is_cold  # noqa: PLW0603  read where the processes are started, far from any fixture
    _is_cold = request.node.get_closest_marker("cold") is not None
    yield
    _is_cold = False
