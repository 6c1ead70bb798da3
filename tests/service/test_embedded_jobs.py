"""Webhooks, record statuses and hub jobs of the embedded server, without Redis and rq."""

from __future__ import annotations

import json
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from embedded_server import Api
from standardwebhooks.webhooks import Webhook

from argilla_embedded import EmbeddedServer

Event = tuple[
    dict[str, Any], dict[str, str], bytes
]  # what a webhook brings: its JSON, its headers, its body as sent
WAIT_SECONDS = 120.0  # until a test gives up; nothing is asserted about how long anything takes


@dataclass
class Receiver:
    """Takes webhooks in; answers with ``codes`` in turn, then with 200."""

    url: str
    codes: list[int] = field(default_factory=list)
    received: queue.Queue[Event] = field(default_factory=queue.Queue)
    passed_over: list[Event] = field(default_factory=list)

    def next(self, kind: str) -> Event:
        """The next event of ``kind``; events of other kinds are kept, as they arrive in any order."""
        for kept in self.passed_over:
            if kept[0]["type"] == kind:
                self.passed_over.remove(kept)
                return kept
        while True:
            event = self.received.get(timeout=WAIT_SECONDS)
            if event[0]["type"] == kind:
                return event
            self.passed_over.append(event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            code = taken.codes.pop(0) if taken.codes else 200
            self.send_response(code)
            self.end_headers()
            taken.received.put((json.loads(body), dict(self.headers.items()), body))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        taken = Receiver(f"http://127.0.0.1:{listening.server_port}")
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield taken
        listening.shutdown()
        thread.join()


@pytest.fixture
def owner(argilla_server: EmbeddedServer) -> Api:
    return Api(argilla_server, argilla_server.credentials.owner)


@pytest.fixture
def dataset(owner: Api, fresh_name: Callable[[str], str]) -> str:
    options = [{"value": value, "text": value} for value in "ab"]
    return owner.create_dataset(
        fresh_name("jobs"),
        fields=[{"name": "text", "settings": {"type": "text", "use_markdown": False}, "required": True}],
        questions=[
            {"name": "label", "required": True, "settings": {"type": "label_selection", "options": options}}
        ],
        metadata=[{"name": "idx", "settings": {"type": "integer"}}],
    )


@pytest.fixture
def subscribe(owner: Api, receiver: Receiver) -> Iterator[Callable[..., dict[str, Any]]]:
    """Creates webhooks, and takes them away after the test."""
    made = []

    def create(*events: str) -> dict[str, Any]:
        webhook = owner.call(
            "POST", "/webhooks", {"url": receiver.url, "events": list(events), "description": "test"}
        )
        made.append(webhook["id"])
        return dict(webhook)

    yield create
    for webhook_id in made:
        owner.call("DELETE", f"/webhooks/{webhook_id}")


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until ``holds``, which a background job brings about."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def submit(api: Api, dataset: str) -> str:
    ids = api.upsert(dataset, [{"external_id": "x", "fields": {"text": "x"}}])
    answer = {"values": {"label": {"value": "a"}}, "status": "submitted"}
    return str(api.call("POST", f"/records/{ids['x']}/responses", answer)["id"])


def test_webhooks_are_delivered_signed(
    owner: Api, dataset: str, receiver: Receiver, subscribe: Callable[..., dict[str, Any]]
) -> None:
    """A submitted response reaches the receiver, signed as standard-webhooks has it."""
    webhook = subscribe("response.created", "record.completed")
    response_id = submit(owner, dataset)
    event, headers, body = receiver.next("response.created")
    assert event["data"]["id"] == response_id
    Webhook(webhook["secret"]).verify(body, headers)


def test_each_event_reaches_those_who_want_it(
    owner: Api, dataset: str, receiver: Receiver, subscribe: Callable[..., dict[str, Any]]
) -> None:
    """Records logged in bulk, changed and completed are told; nothing else is."""
    subscribe("record.created", "record.completed")
    submit(owner, dataset)
    created = receiver.next("record.created")[0]
    assert created["data"]["external_id"] == "x"
    assert receiver.next("record.completed")[0]["data"]["id"] == created["data"]["id"]
    assert receiver.received.empty()
    assert not receiver.passed_over


def test_a_failed_webhook_is_tried_again(
    owner: Api, dataset: str, receiver: Receiver, subscribe: Callable[..., dict[str, Any]]
) -> None:
    """A receiver that fails twice gets the event a third time."""
    receiver.codes = [500, 503]
    subscribe("response.created")
    response_id = submit(owner, dataset)
    attempts = [receiver.next("response.created") for _ in range(3)]
    assert {event["data"]["id"] for event, _, _ in attempts} == {response_id}
    assert len({headers["webhook-id"] for _, headers, _ in attempts}) == 3


def test_records_logged_in_bulk_are_told(
    owner: Api, dataset: str, receiver: Receiver, subscribe: Callable[..., dict[str, Any]]
) -> None:
    """Sparing the server unwanted payloads keeps none back that is wanted: one event for each record."""
    owner.upsert(dataset, [{"external_id": "unwanted", "fields": {"text": "x"}}])
    subscribe("record.created")
    owner.upsert(dataset, [{"external_id": str(n), "fields": {"text": "x"}} for n in range(20)])
    told = {receiver.next("record.created")[0]["data"]["external_id"] for _ in range(20)}
    assert told == {str(n) for n in range(20)}


def test_a_silent_receiver_delays_nobody(
    owner: Api, dataset: str, subscribe: Callable[..., dict[str, Any]], receiver: Receiver
) -> None:
    """While a webhook hangs, the server answers."""
    gate = threading.Event()
    receiver.codes = HangingCodes(gate)
    subscribe("response.created")
    submit(owner, dataset)
    assert owner.call("GET", "/me")["role"] == "owner"
    assert receiver.received.empty()
    gate.set()
    receiver.next("response.created")


class HangingCodes(list[int]):
    """Makes the receiver wait before it answers, once."""

    def __init__(self, gate: threading.Event) -> None:
        super().__init__([200])
        self._gate = gate

    def pop(self, index: int = -1) -> int:  # type: ignore[override]  # a test double of one method
        assert self._gate.wait(WAIT_SECONDS)
        return super().pop(index)


def test_statuses_are_recomputed(argilla_server: EmbeddedServer, owner: Api, dataset: str) -> None:
    """A change of the data set has every answered record's status recomputed in the background."""
    submit(owner, dataset)
    with sqlite3.connect(argilla_server.home / "argilla.db", timeout=15) as db:
        db.execute("UPDATE records SET status = 'pending' WHERE dataset_id = ?", (dataset.replace("-", ""),))
    db.close()
    assert owner.call("GET", f"/datasets/{dataset}/progress")["completed"] == 0
    owner.call("PATCH", f"/datasets/{dataset}", {"guidelines": "Read twice."})
    eventually(lambda: owner.call("GET", f"/datasets/{dataset}/progress")["completed"] == 1)


def test_a_dataset_is_imported_in_the_background(owner: Api, dataset: str, tmp_path: Path) -> None:
    """Import from a data set folder fills the data set, and the job can be followed; an unknown job is a 404."""
    pq.write_table(pa.table({"text": ["one", "two"], "number": [1, 2]}), tmp_path / "train.parquet")
    mapping = {
        "fields": [{"source": "text", "target": "text"}],
        "metadata": [{"source": "number", "target": "idx"}],
        "suggestions": [],
    }
    request = {"name": str(tmp_path), "subset": "default", "split": "train", "mapping": mapping}
    job = owner.call("POST", f"/datasets/{dataset}/import", request)
    assert job["status"] in ("queued", "started")
    eventually(lambda: owner.call("GET", f"/jobs/{job['id']}")["status"] in ("finished", "failed"))
    assert owner.call("GET", f"/jobs/{job['id']}")["status"] == "finished"
    assert owner.search(dataset, text="two")[1] == 1
    assert owner.http.get("/jobs/unknown").status_code == httpx.codes.NOT_FOUND
