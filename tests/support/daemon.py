"""The real service as a real process, a person who answers through the real API, and what Argilla holds after it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx
from typing_extensions import Self

from argilla_embedded import Credentials

PATIENCE = 120.0  # seconds until a test gives up; nothing is asserted about how long anything takes
# Seconds between two looks of a service in tests. Each look, and each question of ``until``, takes CPU time of Argilla,
# and with four tests at a time there is none to spare: with 0.1 and 0.05 s the three files that took most
# (test_recovery, test_index_behind, test_revoke) took 390 CPU seconds, with these 266.
POLL = 0.3
PAUSE = 0.15  # seconds between two questions of ``until``


class ArgillaServer(Protocol):
    """A real Argilla and who may log in: the embedded one, or a team's stack."""

    @property
    def url(self) -> str: ...

    @property
    def credentials(self) -> Credentials: ...


def until(
    condition: Callable[[], bool], *, what: str = "it", pause: float = PAUSE, daemons: Sequence[Daemon] = ()
) -> None:
    """Wait for ``condition``; fail where it never comes, with the last lines of ``daemons``."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            tails = [f"--- process {one.pid}\n" + "\n".join(one.lines[-15:]) for one in daemons]
            raise AssertionError("\n".join([f"{what} never happened", *tails]))
        time.sleep(pause)


def write_config(folder: Path, rows: Sequence[tuple[str, str, str | None]], **settings: Any) -> Path:
    """Write a pool as JSON lines and a TOML file that reads it; returns the TOML file's path.

    ``http``: port to say how it is at; none unless told, as many services run here. No text is held back and ten are
    accepted beyond a slice unless told, so that tests of other things know what is in a batch.
    """
    settings = {"evaluation_share": 0.0, "accept_limit": 10, **settings}
    pool = folder / "pool.jsonl"
    pool.write_text("".join(json.dumps({"id": i, "text": t, "label": lab}) + "\n" for i, t, lab in rows))
    http = settings.pop("http", 0)
    # TOML knows no escaped surrogate pairs
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in settings.items()]
    lines += ["[pool]", f"path = {json.dumps(str(pool))}", 'id_column = "id"', 'label_column = "label"']
    lines += ["[http]", f"port = {http}"]
    config = folder / "config.toml"
    config.write_text("\n".join(lines) + "\n")
    return config


class Daemon:
    """``argilla-loop run`` in a process of its own, its log lines collected.

    Args:
        config: its configuration file.
        api_key: its user's.
        env: more environment variables.
        prefix: a command that ends by executing what follows it.
        log: where its standard error goes instead of into ``lines``; a descriptor.
    """

    def __init__(
        self,
        config: Path,
        api_key: str | None,
        *,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        log: int | None = None,
    ) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
        self._process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "argilla_loop", "run", "--config", str(config)],
            env={**environment, **({"ARGILLA_LOOP_API_KEY": api_key} if api_key else {}), **(env or {})},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if log is None else log,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self._process.stderr is None:
            return
        for line in self._process.stderr:
            self.lines.append(line.rstrip("\n"))
        self._process.stderr.close()

    @property
    def events(self) -> list[dict[str, Any]]:
        """The log events so far."""
        return [json.loads(line) for line in list(self.lines) if line.startswith("{")]

    def said(self, event: str, **fields: Any) -> bool:
        """Whether it logged ``event`` with these fields."""
        return any(e["event"] == event and all(e.get(k) == v for k, v in fields.items()) for e in self.events)

    def wait_for(self, event: str, **fields: Any) -> None:
        """Wait until it logs ``event``; fail where it ends before."""

        def there() -> bool:
            assert self.said(event, **fields) or self._process.poll() is None, "\n".join(self.lines[-20:])
            return self.said(event, **fields)

        until(there, what=event, daemons=[self])

    def finish(self) -> tuple[int, list[str]]:
        """Wait until it ends by itself; exit code and lines."""
        code = self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code, self.lines

    def terminate(self) -> int:
        """SIGTERM, and its exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.finish()[0]

    def kill(self) -> None:
        """SIGKILL: nothing can be tidied up."""
        self._process.kill()
        self.finish()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_running:
            self.kill()


class Person:
    """Answers what waits in a dataset, through the API that the UI uses."""

    def __init__(self, server: ArgillaServer, dataset: str) -> None:
        self.name = dataset
        key = server.credentials.annotator.api_key
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=60
        )
        self._id: str | None = None
        self.answers: dict[str, tuple[str, str | None]] = {}  # given, by external id

    def close(self) -> None:
        self._http.close()

    def dataset_id(self) -> str | None:
        """Id of the dataset once it is published."""
        found = self._http.get("/me/datasets").raise_for_status().json()["items"]
        ready = [d["id"] for d in found if d["name"] == self.name and d["status"] == "ready"]
        return ready[0] if ready else None

    def waiting(self) -> list[dict[str, Any]]:
        """What the person's queue shows: pending records that they have not answered, suggestions included."""
        dataset_id = self._id = self._id or self.dataset_id()
        if dataset_id is None:
            return []
        pending = {
            "type": "terms",
            "scope": {"entity": "response", "property": "status"},
            "values": ["pending"],
        }
        still = {"type": "terms", "scope": {"entity": "record", "property": "status"}, "values": ["pending"]}
        found = self._http.post(
            f"/me/datasets/{dataset_id}/records/search",
            params={"limit": 500, "include": ["suggestions"]},
            json={"filters": {"type": "and", "and": [pending, still]}},
        )
        return [item["record"] for item in found.raise_for_status().json()["items"]]

    def answer(self, record: dict[str, Any], label: str | None) -> None:
        """Submit ``label``, or discard the record where there is none."""
        values = {"label": {"value": label}} if label else {}
        body = {"status": "submitted" if label else "discarded", "values": values}
        self._http.post(f"/records/{record['id']}/responses", json=body).raise_for_status()
        self.answers[record["external_id"]] = (str(body["status"]), label)

    def answer_all(self, gold: Mapping[str, str | None]) -> int:
        """Answer everything that waits; returns how much that was."""
        records = self.waiting()
        for record in records:
            self.answer(record, gold[record["external_id"]])
        return len(records)


def held(server: ArgillaServer, dataset: str) -> dict[str, dict[str, Any]]:
    """All that Argilla holds of a dataset's records, by external id, without what no two runs share (ids, times).

    The metadata ``service_user`` is given as a username.

    Fails where a record is there twice.
    """
    http = httpx.Client(
        base_url=f"{server.url}/api/v1",
        headers={"X-Argilla-Api-Key": server.credentials.owner.api_key},
        timeout=60,
    )
    with http:
        (found,) = [d for d in http.get("/me/datasets").json()["items"] if d["name"] == dataset]
        names = {u["id"]: u["username"] for u in http.get("/users").raise_for_status().json()["items"]}
        records: dict[str, dict[str, Any]] = {}
        while True:
            params: dict[str, Any] = {
                "limit": 500,
                "offset": len(records),
                "include": ["responses", "suggestions"],
            }
            page = (
                http.get(f"/datasets/{found['id']}/records", params=params).raise_for_status().json()["items"]
            )
            for item in page:
                assert item["external_id"] not in records, "a record is there twice"
                records[item["external_id"]] = {
                    "fields": item["fields"],
                    "metadata": {
                        name: names.get(value, value) if name == "service_user" else value
                        for name, value in (item["metadata"] or {}).items()
                    },
                    "status": item["status"],
                    "suggestions": [(s["value"], s["score"], s["agent"]) for s in item["suggestions"]],
                    "responses": sorted(
                        (names[r["user_id"]], r["status"], str(r["values"])) for r in item["responses"]
                    ),
                }
            if len(page) < 500:
                return records
