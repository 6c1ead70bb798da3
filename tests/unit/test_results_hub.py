"""Pushing to the hub: the real clients against a stub of the hub, which keeps what they send."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from argilla_loop.policy.result import Row, Source
from argilla_loop.service.results.writers import writer

TOKEN = "hf_this_is_the_secret_token"
PUSH = """
import sys
from pathlib import Path
from argilla_loop.service.results.hub import push_to_hub
folder = Path(sys.argv[1])
try:
    print(push_to_hub(folder, sys.argv[2], folder / "README.md", public=False))
except Exception as error:
    print(type(error).__name__, error)
"""


class Hub(ThreadingHTTPServer):
    """What the hub answers to the clients of this version."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str, str | None]] = []
        self.created: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}  # by SHA-256
        self.refuse = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        hub = self.server
        hub.requests.append((self.command, path, self.headers.get("Authorization")))
        status, reply = (hub.refuse, {"error": "no"}) if hub.refuse else self._reply(path, content)
        body = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", '"0"')
        if status == HTTPStatus.NOT_FOUND:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = do_PUT = _answer  # noqa: N815  http.server's names

    def _reply(self, path: str, content: bytes) -> tuple[int, Any]:  # noqa: C901, PLR0911  one for each address
        hub = self.server
        info = {
            "id": "me/news",
            "sha": "0" * 40,
            "siblings": [{"rfilename": name} for name in hub.files],
            "private": True,
        }
        if path == "/api/repos/create":
            hub.created.append(json.loads(content))
            return 200, {"url": f"{hub.url}/datasets/me/news", "id": "me/news"}
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        if "/preupload/" in path:
            wanted = json.loads(content)["files"]
            files = [
                {
                    "path": f["path"],
                    "uploadMode": "lfs" if f["path"].endswith(".parquet") else "regular",
                    "shouldIgnore": False,
                }
                for f in wanted
            ]
            return 200, {"files": files}
        if path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(content)["objects"]
            uploads = [
                {**one, "actions": {"upload": {"href": f"{hub.url}/put/{one['oid']}"}}} for one in objects
            ]
            return 200, {"objects": uploads}
        if path.startswith("/put/"):
            hub.large[path.removeprefix("/put/")] = content
            return 200, {}
        if "/commit/" in path:
            for line in map(json.loads, content.decode().splitlines()):
                if line["key"] == "file":
                    hub.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
                if line["key"] == "lfsFile":
                    hub.files[line["value"]["path"]] = hub.large[line["value"]["oid"]]
            return 200, {
                "success": True,
                "commitOid": "0" * 40,
                "commitUrl": f"{hub.url}/datasets/me/news/commit/0",
            }
        if "/tree/" in path:
            under = path.split("/tree/")[1].partition("/")[2]
            there = [name for name in hub.files if name.startswith(under)]
            items = [
                {"type": "file", "path": name, "size": len(hub.files[name]), "oid": "0"} for name in there
            ]
            return (200, items) if there else (404, {"error": "not there"})
        if "/resolve/" in path:
            name = path.split("/resolve/")[1].split("/", 1)[1]
            return (200, hub.files[name]) if name in hub.files else (404, {"error": "not there"})
        if path.startswith("/api/datasets/me/news"):
            return 200, info
        return 404, {"error": "Not found"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    made = Hub()
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "news"
    made.mkdir()
    with writer("datasets", made, ["World", "Sports"]) as write:
        write([Row("a", "one", "Sports", Source.PERSON), Row("b", "two")])
    (made / "README.md").write_text("---\npretty_name: News\n---\n\n# All about it\n")
    return made


def push(folder: Path, address: str, name: str = "me/news") -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    more = {
        "HF_ENDPOINT": address,
        "HF_TOKEN": TOKEN,
        "HF_HOME": str(folder.parent / "hf"),
        "HF_HUB_DISABLE_XET": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", PUSH, str(folder), name], env=env | more, capture_output=True, text=True,
        timeout=120, check=True,
    )  # fmt: skip
    assert TOKEN not in done.stdout + done.stderr
    return done.stdout


def test_the_folder_and_its_card_arrive_with_the_hubs_own_token(hub: Hub, folder: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    said = push(folder, hub.url)
    assert "/datasets/me/news" in said
    assert hub.created[0]["private"] is True
    assert {token for _, path, token in hub.requests if "/put/" not in path} == {f"Bearer {TOKEN}"}
    (data,) = [content for name, content in hub.files.items() if name.endswith(".parquet")]
    assert pq.read_table(pa.BufferReader(data)).column("text").to_pylist() == ["one", "two"]
    card = hub.files["README.md"].decode()
    assert "# All about it" in card
    assert "pretty_name: News" in card
    assert "class_label" in card  # what the client adds: the types, and where the files are


def test_refusals_are_errors_of_their_class(hub: Hub, folder: Path) -> None:
    for status, error in (
        (401, "CredentialsError"),
        (403, "CredentialsError"),
        (503, "RetryableError"),
        (400, "FatalError"),
    ):
        hub.refuse = status
        said = push(folder, hub.url)
        assert said.startswith(error), said
        assert said.count("\n") == 1
    assert push(folder, "http://127.0.0.1:9").startswith("RetryableError the hub cannot be reached")
    assert push(folder, hub.url, "no name at all!").startswith("FatalError")
