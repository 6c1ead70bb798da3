"""What real servers and other people do to a dataset, and what becomes of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.rows import ArgillaRows
from argilla_loop.argilla.v2.schema import ensure_dataset, find_dataset, find_workspace
from argilla_loop.domain import NewRecord, Route
from argilla_loop.errors import ForeignReplyError, RejectedError, SchemaError

LABELS = ("A", "B")


@pytest.fixture
def dataset(connection: Connection, fresh_name: Callable[[str], str]) -> ArgillaDataset:
    info = ensure_dataset(connection, workspace="argilla", name=fresh_name("odd"), labels=LABELS)
    return ArgillaDataset(connection, info)


def new(record_id: str, **changes: Any) -> NewRecord:
    return NewRecord(
        **{"id": record_id, "text": f"text {record_id}", "batch": 0, "route": Route.ASK, **changes}
    )


@pytest.mark.parametrize(
    "bad",
    [
        {"label": "no such label", "certainty": 0.5, "model": "m"},  # the server's own validator
        {"label": "A", "certainty": 7.0, "model": "m"},  # its schema
    ],
)
def test_a_record_that_the_server_refuses_is_left_out_and_named(
    dataset: ArgillaDataset, bad: dict[str, Any]
) -> None:
    """The rest of its batch is logged."""
    assert dataset.log([new("a"), new("bad", **bad), new("c")]) == ["bad"]
    assert [record.id for record in dataset.scan()] == ["a", "c"]


def test_where_every_record_is_refused_it_is_not_the_records(dataset: ArgillaDataset) -> None:
    with pytest.raises(RejectedError):
        dataset.log([new(str(n), label="no such label", certainty=0.5, model="m") for n in range(3)])


def test_a_record_deleted_while_they_are_read_hides_no_other(
    dataset: ArgillaDataset, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages shift by one; what shifted from the second page to the first is found all the same."""
    for batch in range(3):
        dataset.log([new(f"{batch}-{n:03d}") for n in range(400)])
    real = dataset._reader.page
    deleted: list[str] = []

    def page(offset: int) -> Any:
        answer = real(offset)
        if not deleted:
            deleted.append(answer["items"][0]["external_id"])
            connection.call("DELETE", f"/records/{answer['items'][0]['id']}", where="")
        return answer

    monkeypatch.setattr(dataset._reader, "page", page)
    ids = {record.id for record in dataset.scan()}
    assert len(ids) == 1199
    assert ids.isdisjoint(deleted)


def test_metadata_of_others_under_our_names_is_not_ours(
    dataset: ArgillaDataset, connection: Connection
) -> None:
    """Somebody else's idx is no batch number, and nothing breaks on it."""
    foreign = {"external_id": "f", "fields": {"text": "t"}, "metadata": {"idx": 1_000_000, "certainty": 0.5}}
    connection.call("PUT", f"/datasets/{dataset.info.id}/records/bulk", where="", json={"items": [foreign]})
    (record,) = dataset.scan()
    assert (record.batch, record.route, record.certainty) == (None, None, None)


def test_a_foreign_draft_is_refused_and_left_as_it_is(
    connection: Connection, fresh_name: Callable[[str], str]
) -> None:
    """Publishing could not be undone."""
    workspace, name = find_workspace(connection, "argilla"), fresh_name("draft")
    made = connection.call("POST", "/datasets", where="", json={"name": name, "workspace_id": workspace})
    field = {
        "name": "title",
        "title": "T",
        "required": True,
        "settings": {"type": "text", "use_markdown": False},
    }
    connection.call("POST", f"/datasets/{made['id']}/fields", where="", json=field)
    ask = {
        "name": "comment",
        "title": "C",
        "required": True,
        "settings": {"type": "text", "use_markdown": False},
    }
    connection.call("POST", f"/datasets/{made['id']}/questions", where="", json=ask)
    with pytest.raises(SchemaError):
        ensure_dataset(connection, workspace="argilla", name=name, labels=LABELS)
    draft = find_dataset(connection, workspace, name)
    assert draft is not None
    assert draft["status"] == "draft"
    kept = connection.call("GET", f"/me/datasets/{made['id']}/metadata-properties", where="")["items"]
    assert kept == []


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (
            ("questions", {"name": "why", "title": "W", "required": True, "settings": {"type": "text"}}),
            "'why' is required",
        ),
        (
            (
                "metadata-properties",
                {"name": "idx", "title": "I", "settings": {"type": "integer", "min": 0, "max": 9}},
            ),
            "'idx' allows too little (max 9)",
        ),
        (
            (
                "metadata-properties",
                {"name": "route", "title": "R", "settings": {"type": "terms", "values": ["x"]}},
            ),
            "'route' allows too little",
        ),
    ],
)
def test_a_schema_that_would_refuse_our_records_is_refused(
    connection: Connection, fresh_name: Callable[[str], str], extra: tuple[str, dict[str, Any]], says: str
) -> None:
    workspace, name = find_workspace(connection, "argilla"), fresh_name("narrow")
    made = connection.call("POST", "/datasets", where="", json={"name": name, "workspace_id": workspace})
    path = f"/datasets/{made['id']}"
    field = {
        "name": "text",
        "title": "T",
        "required": True,
        "settings": {"type": "text", "use_markdown": False},
    }
    connection.call("POST", f"{path}/fields", where="", json=field)
    options = [{"value": label, "text": label} for label in LABELS]
    ask = {
        "name": "label",
        "title": "L",
        "required": True,
        "settings": {"type": "label_selection", "options": options},
    }
    connection.call("POST", f"{path}/questions", where="", json=ask)
    connection.call("POST", f"{path}/{extra[0]}", where="", json=extra[1])
    connection.call("PUT", f"{path}/publish", where="")
    with pytest.raises(SchemaError) as caught:
        ensure_dataset(connection, workspace="argilla", name=name, labels=LABELS)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("status", "body", "says", "and_hints"),
    [
        (200, "<html>hello</html>", "is not Argilla (200, without a content type", "api_url is wrong"),
        (200, json.dumps([]), "is not Argilla (200", "api_url is wrong"),
        (200, json.dumps({"a": 1}), "is not Argilla (200", "api_url is wrong"),
        (404, "nothing", "is not Argilla (404", "a path that api_url should not have"),
        (301, "", "is not Argilla (301", "redirects to https://elsewhere.example: set api_url"),
        (403, "private", "is not Argilla (403", "set headers"),
    ],
)
def test_what_is_no_argilla_is_told_in_one_line(status: int, body: str, says: str, and_hints: str) -> None:
    """It is waited for, as it may be a proxy for a moment; whoever has the wrong address reads so at once."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if status == 301:
                self.send_header("Location", "https://elsewhere.example/login?ticket=secret")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        with pytest.raises(ForeignReplyError) as caught:
            connect(f"http://127.0.0.1:{other.server_port}", "key")
        other.shutdown()
    assert says in str(caught.value)
    assert and_hints in str(caught.value)
    assert "ticket" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_service_validated_in_a_dataset_that_is_a_pool_is_no_persons_label(
    argilla_server: EmbeddedServer, connection: Connection, dataset: ArgillaDataset
) -> None:
    """The working dataset of one service as the pool of another: what people said there is known, the rest is asked."""
    labels = dataset.info.labels
    dataset.log([NewRecord(i, f"text {i}", 0, Route.ACCEPT, labels[0], 0.95, "svm-1", 0.9) for i in "abcd"])
    dataset.log([NewRecord("e", "text e", 1, Route.ASK, labels[0], 0.6, "svm-1")])
    person = connect(argilla_server.url, argilla_server.credentials.annotator.api_key)
    ids = {item["external_id"]: item["id"] for item in dataset._reader.items()}
    for record_id, label in (("b", labels[0]), ("c", labels[1]), ("d", None), ("e", labels[1])):
        body = {
            "status": "submitted" if label else "discarded",
            "values": {"label": {"value": label}} if label else {},
        }
        person.call("POST", f"/records/{ids[record_id]}/responses", where="test", json=body)
    rows = ArgillaRows(connection, workspace="argilla", dataset=dataset.info.name)
    found = {record_id: label for record_id, _, label in rows()}
    assert found == {"a": None, "b": labels[0], "c": labels[1], "e": labels[1]}
    person.close()
