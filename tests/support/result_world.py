"""A dataset of a real Argilla, and the commands that take its result home, as real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon import PATIENCE
from embedded_server import Api

from argilla_embedded import EmbeddedServer, UserCredentials


@dataclass
class World:
    """A dataset with records of every kind, and the command on it."""

    server: EmbeddedServer
    config: Path
    name: str
    folder: Path

    def environment(self, **more: str) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ARGILLA_", "HF_"))}
        return env | {"COLUMNS": "160", "ARGILLA_LOOP_API_KEY": self.server.credentials.loop.api_key, **more}

    def arguments(self, command: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "argilla_loop", command, "-c", str(self.config), *more]

    def call(self, command: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(command, *more), env=self.environment(**env), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=self.folder,
        )  # fmt: skip

    def export(self, out: str, *more: str, **env: str) -> Path:
        done = self.call("export", out, *more, **env)
        assert done.returncode == 0, done.stderr
        return self.folder / out

    @property
    def owner(self) -> Api:
        return Api(self.server, self.server.credentials.owner)

    def dataset_id(self) -> str:
        found = self.owner.call("GET", "/me/datasets")["items"]
        return next(str(d["id"]) for d in found if d["name"] == self.name)

    def record(self, external_id: str) -> dict[str, Any]:
        items = self.owner.call("GET", f"/datasets/{self.dataset_id()}/records", limit=500)["items"]
        return next(dict(r) for r in items if r["external_id"] == external_id)

    def answer(self, external_id: str, label: str | None, user: UserCredentials | None = None) -> None:
        api = Api(self.server, user or self.server.credentials.annotator)
        values = {"label": {"value": label}} if label else {}
        item = {
            "record_id": self.record(external_id)["id"],
            "status": "submitted" if label else "discarded",
            "values": values,
        }
        done = api.call("POST", "/me/responses/bulk", {"items": [item]})
        assert done["items"][0]["error"] is None
