"""One suite for the in-memory dataset and the real one: what the loop relies on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import httpx
import pytest

from argilla_loop.argilla.connection import connect
from argilla_loop.argilla.dataset import ArgillaDataset, WorkingDataset
from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.query import ALL, DONE_IN_BATCH, IN_BATCH, Query
from argilla_loop.argilla.schema import ensure_dataset
from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.embedded import EmbeddedServer

LABELS = ("World", "Sports")


class Annotator(Protocol):
    """What a person does in the UI."""

    def answer(self, record_id: str, label: str | None, *, status: str = "submitted") -> None: ...
    def withdraw(self, record_id: str) -> None: ...
    def delete(self, record_id: str) -> None: ...


class RealAnnotator:
    """Answers through the API that the UI uses."""

    def __init__(self, server: EmbeddedServer, dataset_id: str) -> None:
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v1",
            headers={"X-Argilla-Api-Key": server.credentials.annotator.api_key},
        )
        self._owner = httpx.Client(
            base_url=f"{server.url}/api/v1", headers={"X-Argilla-Api-Key": server.credentials.owner.api_key}
        )
        self._dataset_id = dataset_id

    def _record(self, record_id: str) -> dict[str, Any]:
        listed = self._owner.get(f"/datasets/{self._dataset_id}/records?limit=500&include=responses")
        return next(r for r in listed.raise_for_status().json()["items"] if r["external_id"] == record_id)

    def answer(self, record_id: str, label: str | None, *, status: str = "submitted") -> None:
        values = {"label": {"value": label}} if label else {}
        item = {"record_id": self._record(record_id)["id"], "status": status, "values": values}
        answer = self._http.post("/me/responses/bulk", json={"items": [item]}).raise_for_status().json()
        assert answer["items"][0]["error"] is None

    def withdraw(self, record_id: str) -> None:
        me = self._http.get("/me").json()["id"]
        (mine,) = [r for r in self._record(record_id)["responses"] if r["user_id"] == me]
        self._http.delete(f"/responses/{mine['id']}").raise_for_status()

    def delete(self, record_id: str) -> None:
        self._owner.delete(f"/records/{self._record(record_id)['id']}").raise_for_status()

    def close(self) -> None:
        self._http.close()
        self._owner.close()


@pytest.fixture(params=["memory", "argilla"])
def working(request: pytest.FixtureRequest, fresh_name: Callable[[str], str]) -> Any:
    """A working dataset and somebody who labels in it."""
    if request.param == "memory":
        dataset = MemoryDataset(LABELS)
        yield dataset, dataset
        return
    server: EmbeddedServer = request.getfixturevalue("argilla_server")
    connection = connect(server.url, server.credentials.loop.api_key)
    info = ensure_dataset(connection, workspace="argilla", name=fresh_name("contract"), labels=LABELS)
    real = ArgillaDataset(connection, info)
    annotator = RealAnnotator(server, info.id)
    yield real, annotator
    annotator.close()
    connection.close()


def new(
    record_id: str, batch: int = 0, *, route: Route = Route.ASK, label: str | None = "Sports"
) -> NewRecord:
    scored = {} if label is None else {"label": label, "certainty": 0.75, "model": "abc123"}
    return NewRecord(record_id, f"text of {record_id}", batch, route, **scored)  # type: ignore[arg-type]  # by name


def by_id(dataset: WorkingDataset) -> dict[str, LoggedRecord]:
    return {record.id: record for record in dataset.scan()}


def test_what_is_logged_is_what_is_seen(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, _ = working
    assert dataset.log([new("a"), new("b", label=None)]) == []
    seen = by_id(dataset)
    assert seen["a"] == LoggedRecord("a", "text of a", 0, Route.ASK, 0.75, "abc123", "Sports", ())
    assert seen["b"] == LoggedRecord("b", "text of b", 0, Route.ASK, None, None, None, ())


def test_logging_twice_is_logging_once(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, _ = working
    batch = [new("a"), new("b", route=Route.ACCEPT)]
    dataset.log(batch)
    before = {
        i: (r.text, r.batch, r.suggestion, [(a.status, a.label) for a in r.answers])
        for i, r in by_id(dataset).items()
    }
    dataset.log(batch)
    after = {
        i: (r.text, r.batch, r.suggestion, [(a.status, a.label) for a in r.answers])
        for i, r in by_id(dataset).items()
    }
    assert after == before


def test_an_accepted_record_carries_the_daemons_answer(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, _ = working
    dataset.log([new("a", route=Route.ACCEPT)])
    (answer,) = by_id(dataset)["a"].answers
    assert (answer.user_id, answer.status, answer.label) == (dataset.daemon_id, "submitted", "Sports")


def test_a_persons_answer_survives_logging_again(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a")])
    person.answer("a", "World")
    dataset.log([new("a", route=Route.ACCEPT)])
    labels = {answer.user_id: answer.label for answer in by_id(dataset)["a"].answers}
    assert labels.pop(dataset.daemon_id) == "Sports"
    assert list(labels.values()) == ["World"]


def test_counts_follow_answers_and_batches(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a"), new("b"), new("c")])
    dataset.log([new("d", batch=1)])
    person.answer("a", "World")
    person.answer("b", None, status="discarded")
    person.answer("d", "World")
    assert dataset.count(ALL) == 4
    assert dataset.count(IN_BATCH.bind({"idx": 0})) == 3
    assert dataset.count(DONE_IN_BATCH.bind({"idx": 0})) == 2
    assert dataset.count(DONE_IN_BATCH.bind({"idx": 1})) == 1
    assert {r.id for r in dataset.search(DONE_IN_BATCH.bind({"idx": 0}))} == {"a", "b"}


def test_a_draft_is_not_done(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a")])
    person.answer("a", "World", status="draft")
    assert dataset.count(DONE_IN_BATCH.bind({"idx": 0})) == 0


@pytest.mark.parametrize("change", ["answer", "change", "withdraw"])
def test_the_revision_moves_with_every_answer(working: tuple[WorkingDataset, Annotator], change: str) -> None:
    dataset, person = working
    dataset.log([new("a")])
    if change != "answer":
        person.answer("a", "World")
    before = dataset.revision()
    if change == "withdraw":
        person.withdraw("a")
    else:
        person.answer("a", "Sports")
    assert dataset.revision() != before
    assert dataset.revision() == dataset.revision()


def test_changed_withdrawn_and_deleted(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a"), new("b"), new("c")])
    person.answer("a", "World")
    person.answer("a", "Sports")
    person.answer("b", "World")
    person.withdraw("b")
    person.delete("c")
    seen = by_id(dataset)
    assert [a.label for a in seen["a"].answers] == ["Sports"]
    assert seen["b"].answers == ()
    assert set(seen) == {"a", "b"}


def test_more_than_a_page(working: tuple[WorkingDataset, Annotator]) -> None:
    """Scan and search give every record once, however many pages there are."""
    dataset, _ = working
    for batch in range(3):
        dataset.log([new(f"{batch}-{n}", batch=batch, label=None) for n in range(400)])
    ids = [record.id for record in dataset.scan()]
    assert len(ids) == len(set(ids)) == 1200
    assert len({record.id for record in dataset.search(Query())}) == 1200
