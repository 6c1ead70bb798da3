"""What systemd and a health check see of the real process; a socket of the test's stands in for systemd."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from models import tiny_model

from argilla_embedded import EmbeddedServer

PATIENCE = 90.0  # seconds; on a busy machine the imports alone take many


class Supervised:
    """The real service, and what it tells its supervisor."""

    def __init__(self, folder: Path, *, api_url: str, api_key: str, dataset: str) -> None:
        self.said: list[str] = []
        texts = "\n".join(f"text number {n}" for n in range(12))
        (folder / "pool.csv").write_text(f"text\n{texts}\n", encoding="utf-8")
        (folder / "loop.toml").write_text(
            f'api_url = "{api_url}"\napi_key = "{api_key}"\ndataset = "{dataset}"\nlabels = ["A", "B"]\n'
            f'cache_dir = "{folder}/cache"\nmodel = "{tiny_model(folder / "model")}"\n'
            f'retry_max_wait = 0.2\npoll_interval = 0.2\n[http]\nport = 0\n[pool]\npath = "{folder}/pool.csv"\n',
            encoding="utf-8",
        )
        self._command = [sys.executable, "-m", "argilla_loop"]
        self._config = ["--config", str(folder / "loop.toml")]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_LOOP_")}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(folder / "notify"))
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*self._command, "run", *self._config],
                env=self._environment | {"NOTIFY_SOCKET": str(folder / "notify")},
                stderr=log,
            )

    def wait_to_hear(self, word: str, times: int = 1) -> None:
        """Listen until it has said ``word`` so often from now on."""
        deadline = time.monotonic() + PATIENCE
        while times > 0:
            self._socket.settimeout(max(0.1, deadline - time.monotonic()))
            said = self._socket.recv(4096).decode()
            self.said.append(said)
            times -= word in said

    def health(self) -> int:
        """Exit code of ``argilla-loop health``."""
        return subprocess.run(
            [*self._command, "health", *self._config], env=self._environment, check=False, timeout=PATIENCE
        ).returncode

    def close(self) -> None:
        """End it, however it is."""
        self.process.kill()
        self.process.wait(PATIENCE)
        self._socket.close()


@pytest.fixture
def supervised(tmp_path: Path) -> Iterator[Callable[..., Supervised]]:
    """Starts a service that is ended with the test."""
    running: list[Supervised] = []

    def start(**settings: str) -> Supervised:
        running.append(Supervised(tmp_path, **settings))
        return running[-1]

    yield start
    for service in running:
        service.close()


def test_a_service_that_works_is_ready_alive_healthy_and_says_when_it_stops(
    supervised: Callable[..., Supervised],
    argilla_server: EmbeddedServer,
    fresh_name: Callable[[str], str],
) -> None:
    service = supervised(
        api_url=argilla_server.url,
        api_key=argilla_server.credentials.loop.api_key,
        dataset=fresh_name("watchdog"),
    )
    service.wait_to_hear("READY=1")
    service.wait_to_hear("STATUS=batch 0 logged")
    service.wait_to_hear("WATCHDOG=1", times=3)
    assert service.health() == 0

    service.process.send_signal(signal.SIGTERM)
    service.wait_to_hear("STOPPING=1")
    assert service.process.wait(PATIENCE) == 0
    assert service.health() == 1


def test_a_service_whose_argilla_is_away_is_not_restarted_but_called_unhealthy(
    supervised: Callable[..., Supervised],
) -> None:
    with socket.socket() as taken:  # bound and not listening: every connection is refused
        taken.bind(("127.0.0.1", 0))
        service = supervised(
            api_url=f"http://127.0.0.1:{taken.getsockname()[1]}", api_key="some-key", dataset="never"
        )
        service.wait_to_hear("READY=1")
        service.wait_to_hear("WATCHDOG=1", times=4)
        assert service.process.poll() is None
        assert service.health() == 1
    assert any("STATUS=waiting for Argilla" in said for said in service.said)
