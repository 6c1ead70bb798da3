"""The switch by which tests make the search index disagree with the database, on the real server, over HTTP."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from embedded_server import Api
from index_faults import IndexFaults, server_with_index_faults

from argilla_embedded import EmbeddedServer
from argilla_embedded.home import INDEX_FAULTS_VARIABLE

PENDING = {"entity": "response", "property": "status"}
ANSWER = {"label": {"value": "World"}}


@dataclass
class Desk:
    """A data set of three records on a server whose index can fail, and two who use it."""

    server: EmbeddedServer
    faults: IndexFaults
    loop: Api
    annotator: Api
    dataset: str
    ids: dict[str, str]

    def log(self, *names: str) -> None:
        self.ids |= self.loop.upsert(
            self.dataset, [{"external_id": name, "fields": {"text": f"word {name}"}} for name in names]
        )

    def answer(self, name: str) -> None:
        body = {"status": "submitted", "values": ANSWER}
        self.annotator.call("POST", f"/records/{self.ids[name]}/responses", body)

    def upsert_unchanged(self, *names: str) -> None:
        self.loop.upsert(self.dataset, [{"external_id": name} for name in names])

    def found(self) -> set[str]:
        """Records that the index shows."""
        return set(self.loop.search(self.dataset)[0])

    def answered(self) -> set[str]:
        """Records that the index shows as answered by the annotator, whom the queue is asked as."""
        submitted = {"type": "terms", "scope": PENDING, "values": ["submitted"]}
        return set(self.annotator.search(self.dataset, filters=[submitted], me=True)[0])

    def stored(self) -> dict[str, int]:
        """Responses of each record in the database."""
        listed = self.loop.call("GET", f"/datasets/{self.dataset}/records", include="responses", limit=100)
        return {item["external_id"]: len(item["responses"]) for item in listed["items"]}


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedServer, IndexFaults]]:
    with server_with_index_faults(tmp_path_factory.mktemp("faulty")) as both:
        yield both


@pytest.fixture
def desk(faulty: tuple[EmbeddedServer, IndexFaults], fresh_name: Callable[[str], str]) -> Iterator[Desk]:
    server, faults = faulty
    faults.reindex()
    loop, annotator = Api(server, server.credentials.loop), Api(server, server.credentials.annotator)
    options = [{"value": value, "text": value} for value in ("World", "Sports")]
    dataset = loop.create_dataset(
        fresh_name("desk"),
        fields=[{"name": "text", "settings": {"type": "text"}, "required": True}],
        questions=[
            {"name": "label", "required": True, "settings": {"type": "label_selection", "options": options}}
        ],
        metadata=[{"name": "idx", "settings": {"type": "integer"}}],
    )
    desk = Desk(server, faults, loop, annotator, dataset, {})
    desk.log("a", "b", "c")
    yield desk
    faults.reindex()


def status_of(call: Callable[[], object]) -> int:
    with pytest.raises(httpx.HTTPStatusError) as error:
        call()
    return error.value.response.status_code


def test_without_a_fault_index_and_database_agree(desk: Desk) -> None:
    desk.answer("a")
    assert desk.found() == {"a", "b", "c"} == set(desk.stored())
    assert desk.answered() == {"a"}
    assert desk.loop.search(desk.dataset, text="word b")[0] == ["b"]
    assert desk.loop.call("GET", f"/datasets/{desk.dataset}/progress")["completed"] == 1
    response = desk.loop.call("GET", f"/datasets/{desk.dataset}/records", include="responses")
    (given,) = next(item for item in response["items"] if item["external_id"] == "a")["responses"]
    desk.annotator.call("DELETE", f"/responses/{given['id']}")
    assert desk.answered() == set()
    desk.loop.call("DELETE", f"/datasets/{desk.dataset}/records", ids=desk.ids["c"])
    assert desk.found() == {"a", "b"}


def test_a_property_declared_later_is_found(desk: Desk) -> None:
    desk.loop.call(
        "POST",
        f"/datasets/{desk.dataset}/metadata-properties",
        {"name": "late", "title": "late", "settings": {"type": "terms"}},
    )
    desk.loop.upsert(desk.dataset, [{"external_id": "b", "metadata": {"late": "yes"}}])
    late = {"type": "terms", "scope": {"entity": "metadata", "metadata_property": "late"}, "values": ["yes"]}
    assert desk.loop.search(desk.dataset, filters=[late])[0] == ["b"]


def test_dropped_writes_stay_missing_until_the_records_are_written_again(desk: Desk) -> None:
    desk.faults.drop()
    desk.log("d")
    desk.answer("a")
    desk.faults.release()
    assert set(desk.stored()) == {"a", "b", "c", "d"}
    assert desk.stored()["a"] == 1
    assert desk.found() == {"a", "b", "c"}
    assert desk.answered() == set()
    # The database knows that the record is done; the index does not.
    assert desk.loop.call("GET", f"/datasets/{desk.dataset}/progress")["completed"] == 0

    desk.upsert_unchanged("a", "d")
    assert desk.found() == {"a", "b", "c", "d"}
    assert desk.answered() == {"a"}
    assert desk.loop.call("GET", f"/datasets/{desk.dataset}/progress")["completed"] == 1


@pytest.mark.parametrize(
    ("what", "found", "answered"),
    [("records", {"a", "b", "c"}, {"a"}), ("responses", {"a", "b", "c", "d"}, set())],
)
def test_records_and_responses_are_dropped_apart(
    desk: Desk, what: str, found: set[str], answered: set[str]
) -> None:
    before = len(desk.faults.affected)
    desk.faults.drop(what)  # type: ignore[arg-type]  # parametrized
    desk.log("d")
    desk.answer("a")
    assert desk.found() == found
    assert desk.answered() == answered
    assert {each["fault"] for each in desk.faults.affected[before:]} == {"drop"}


def test_refused_writes_are_stored_and_answered_500(desk: Desk) -> None:
    desk.faults.refuse()
    assert status_of(lambda: desk.log("d")) == 500
    assert status_of(lambda: desk.answer("a")) == 500
    desk.faults.release()
    assert desk.stored() == {"a": 1, "b": 0, "c": 0, "d": 0}
    assert desk.found() == {"a", "b", "c"}
    assert desk.answered() == set()


def test_answering_a_record_that_the_index_lacks_is_answered_500(desk: Desk) -> None:
    desk.faults.drop("records")
    desk.log("d")
    desk.faults.release()
    assert status_of(lambda: desk.answer("d")) == 500  # as Elasticsearch, which has no such document
    assert desk.stored()["d"] == 1
    desk.upsert_unchanged("d")
    assert desk.answered() == {"d"}


def test_a_read_only_index_takes_records_silently_and_refuses_responses(desk: Desk) -> None:
    desk.faults.make_read_only()
    desk.log("d")
    assert status_of(lambda: desk.answer("a")) == 500
    assert set(desk.stored()) == {"a", "b", "c", "d"}
    assert desk.found() == {"a", "b", "c"}


def test_delayed_writes_come_at_release(desk: Desk) -> None:
    desk.faults.delay()
    desk.log("d")
    desk.answer("a")
    desk.answer("d")
    assert desk.found() == {"a", "b", "c"}
    assert desk.answered() == set()
    desk.faults.release()
    assert desk.found() == {"a", "b", "c", "d"}
    assert desk.answered() == {"a", "d"}


def test_delayed_writes_come_by_themselves_after_their_time(desk: Desk) -> None:
    desk.faults.delay(seconds=0.2)
    desk.log("d")
    deadline = time.monotonic() + 60
    while desk.found() != {"a", "b", "c", "d"}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_delayed_write_shows_what_was_written_then(desk: Desk) -> None:
    desk.faults.delay("records")
    desk.log("d")
    desk.faults.drop("records")  # the delayed write comes now; the next one never
    desk.loop.upsert(desk.dataset, [{"external_id": "d", "fields": {"text": "changed"}}])
    assert desk.loop.search(desk.dataset, text="word d")[0] == ["d"]
    assert desk.loop.search(desk.dataset, text="changed")[0] == []


def test_searches_fail_until_released(desk: Desk) -> None:
    desk.faults.break_search()
    assert status_of(desk.found) == 500
    assert status_of(lambda: desk.loop.call("GET", f"/datasets/{desk.dataset}/progress")) == 500
    desk.log("d")
    assert desk.loop.call("GET", "/status")["search_engine"]["name"] == "embedded"
    desk.faults.release()
    assert desk.found() == {"a", "b", "c", "d"}


def test_a_lost_index_comes_back_by_reindexing(desk: Desk) -> None:
    desk.faults.lose_index()
    assert status_of(desk.found) == 500
    desk.log("d")
    desk.faults.release()
    assert desk.found() == set()
    desk.faults.reindex()
    assert desk.found() == {"a", "b", "c", "d"}


def test_the_index_stays_behind_over_a_kill(desk: Desk) -> None:
    desk.faults.drop()
    desk.log("d")
    desk.answer("a")
    desk.faults.release()
    desk.server.kill()
    desk.server.start()
    assert desk.found() == {"a", "b", "c"}
    assert desk.answered() == set()
    desk.faults.reindex()
    assert desk.found() == {"a", "b", "c", "d"}
    assert desk.answered() == {"a"}


def open_files(server: EmbeddedServer) -> set[str]:
    names = set()
    for each in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the server closed it in the meantime
            names.add(each.readlink().name)
    return names


def test_a_server_without_the_variable_has_no_switch(argilla_server: EmbeddedServer, desk: Desk) -> None:
    assert "index.db" in open_files(desk.server)
    assert "index.db" not in open_files(argilla_server)
    assert "index_faults" in (desk.server.home / "server.log").read_text()
    assert "index_faults" not in (argilla_server.home / "server.log").read_text()


def test_a_variable_that_names_no_folder_ends_the_server(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "argilla_embedded", "--home", str(tmp_path / "home"), "--port", "0"],
        env={**os.environ, INDEX_FAULTS_VARIABLE: str(tmp_path / "nowhere")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.strip().splitlines()[-1].startswith(f"error: {INDEX_FAULTS_VARIABLE}")
