"""A saved model is uploaded whole, to a hub that runs here."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PUSH = (
    "import sys, pathlib\nfrom argilla_loop.learning.saved.publish import push\n"
    "from argilla_loop.errors import ArgillaLoopError\n"
    "try:\n    print(push(pathlib.Path(sys.argv[1]), 'me/news'))\n"
    "except ArgillaLoopError as error:\n    sys.exit(f'{type(error).__name__}: {error}')\n"
)


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as an upload of small files needs."""

    received: dict[str, bytes]
    created: dict[str, Any]
    status = 200

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        reply: dict[str, Any] = {}
        if self.path == "/api/repos/create":
            type(self).created = json.loads(body)
            reply = {"url": f"http://{self.headers['Host']}/me/news"}
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            reply = {
                "files": [
                    {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False} for one in files
                ]
            }
        elif "/commit/" in self.path:
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.received[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            reply = {
                "commitOid": "0" * 40,
                "commitUrl": f"http://{self.headers['Host']}/me/news/commit/{'0' * 40}",
            }
        self._reply(reply)

    def do_GET(self) -> None:
        self._reply({"id": "me/news", "sha": "0" * 40, "siblings": []})

    def _reply(self, content: dict[str, Any]) -> None:
        payload = json.dumps(content).encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Stay quiet."""


@pytest.fixture
def hub() -> Iterator[tuple[str, type[Hub]]]:
    kind = type("ThisHub", (Hub,), {"received": {}, "created": {}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", kind
    server.shutdown()
    thread.join()
    server.server_close()


def push(folder: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_secret", "HF_HUB_OFFLINE": "0"}
    env |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, "-c", PUSH, str(folder)],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_all_files_arrive_as_they_are(hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    files = {
        "model.onnx": b"\x08graph",
        "README.md": b"---\ntags:\n- onnx\n---\n# A model\n",
        "labels.json": b'["a"]',
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    told = push(tmp_path, hub[0])
    assert told.returncode == 0, told.stderr
    assert hub[1].received == files
    assert hub[1].created["private"] is True


@pytest.mark.parametrize(("status", "kind"), [(403, "FatalError"), (503, "RetryableError")])
def test_a_refusal_is_one_line(status: int, kind: str, hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    hub[1].status = status
    (tmp_path / "labels.json").write_text("[]")
    told = push(tmp_path, hub[0])
    last = told.stderr.splitlines()[-1]
    assert last.startswith(kind)
    assert "hf_secret" not in told.stderr
