"""A dataset of a real Argilla, and the commands on it as an operator types them, each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon import PATIENCE, held, write_config
from embedded_server import Api
from worlds import TOPICS

from argilla_embedded import EmbeddedServer, UserCredentials
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.schema import ensure_dataset


@dataclass
class World:
    """A dataset, the configuration of a service on it, and the commands on both."""

    server: EmbeddedServer
    config: Path
    name: str
    folder: Path

    @property
    def key(self) -> str:
        """The API key as which the service and the commands log in."""
        return self.server.credentials.loop.api_key

    def environment(self, **more: str) -> dict[str, str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("ARGILLA_", "HF_"))}
        return env | {"COLUMNS": "160", "ARGILLA_LOOP_API_KEY": self.key, **more}

    def arguments(self, command: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "argilla_loop", command, "-c", str(self.config), *more]

    def start(self, command: str, *more: str) -> subprocess.Popen[str]:
        """Start the command without a terminal."""
        return subprocess.Popen(
            self.arguments(command, *more), env=self.environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
        )  # fmt: skip

    def call(self, command: str, *more: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run the command to its end without a terminal."""
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

    def held(self) -> dict[str, dict[str, Any]]:
        return held(self.server, self.name)

    def answer(
        self,
        external_id: str,
        label: str | None,
        user: UserCredentials | None = None,
        *,
        status: str | None = None,
        comment: str | None = None,
    ) -> None:
        """A person answers; without ``status`` a label is submitted, and no label discards the record."""
        api = Api(self.server, user or self.server.credentials.annotator)
        values = {"label": {"value": label}} if label else {}
        if comment is not None:
            values["comment"] = {"value": comment}
        item = {
            "record_id": self.record(external_id)["id"],
            "status": status or ("submitted" if label else "discarded"),
            "values": values,
        }
        done = api.call("POST", "/me/responses/bulk", {"items": [item]})
        assert done["items"][0]["error"] is None


def make_dataset(
    connection: Connection,
    server: EmbeddedServer,
    name: str,
    folder: Path,
    rows: Sequence[tuple[str, str, str | None]],
    *,
    labels: Sequence[str] = tuple(TOPICS),
    **settings: Any,
) -> tuple[World, ArgillaDataset]:
    """Make a dataset of that name without records, and write a configuration for it over a pool of ``rows``."""
    config = write_config(folder, rows, api_url=server.url, dataset=name, labels=list(labels), **settings)
    info = ensure_dataset(connection, workspace="argilla", name=name, labels=list(labels))
    return World(server, config, name, folder), ArgillaDataset(connection, info)


def without_log(stderr: str) -> str:
    """Standard error without the lines of the log."""
    return "".join(line for line in stderr.splitlines(keepends=True) if not line.startswith("{"))
