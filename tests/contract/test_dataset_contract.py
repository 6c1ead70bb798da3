"""One suite for the in-memory dataset and the real one: what the loop relies on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import httpx
import pytest
from adjudicated import read_all

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.argilla.query import ALL, ANSWERED, Query, in_batch
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import accepted_by_model, human_answers, is_half_revoked, validated_by_others
from argilla_loop.policy.text_keys import kept_of

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
    record_id: str,
    batch: int = 0,
    *,
    route: Route = Route.ASK,
    label: str | None = "Sports",
    threshold: float | None = None,
    held_back: bool = False,
    promise: str | None = None,
    second_look_of: str | None = None,
) -> NewRecord:
    certainty, model = (None, None) if label is None else (0.75, "abc123")
    return NewRecord(
        record_id,
        f"text of {record_id}",
        batch,
        route,
        label,
        certainty,
        model,
        threshold,
        held_back,
        promise=promise,
        second_look_of=second_look_of,
    )


def by_id(dataset: WorkingDataset) -> dict[str, LoggedRecord]:
    return {record.id: record for record in dataset.scan()}


def test_what_is_logged_is_what_is_seen(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, _ = working
    assert dataset.log([new("a"), new("b", label=None)]) == []
    seen = by_id(dataset)
    assert seen["a"] == LoggedRecord(
        "a", "text of a", 0, Route.ASK, 0.75, "abc123", suggestion="Sports", prediction="Sports",
        text_key=kept_of("text of a"),
    )  # fmt: skip
    assert seen["b"] == LoggedRecord("b", "text of b", 0, Route.ASK, text_key=kept_of("text of b"))


def test_a_second_look_names_the_record_whose_text_it_asks_again(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    dataset, _ = working
    dataset.log([new("a", route=Route.AUDIT), new("a.look2", route=Route.AUDIT, second_look_of="a")])
    assert [by_id(dataset)[one].second_look_of for one in ("a", "a.look2")] == [None, "a"]


def test_the_promise_is_on_accepted_records_until_they_are_revoked(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    dataset, _ = working
    words = "target_precision 0.95, confidence 0.9, promise label"
    dataset.log([new("a", route=Route.ACCEPT, threshold=0.5, promise=words), new("b", promise=words)])
    assert [by_id(dataset)[one].promise for one in "ab"] == [words, None]
    dataset.withdraw_own(["a"])
    assert by_id(dataset)["a"].promise == words
    dataset.return_to_queue([NewRecord("a", "", 0, Route.ASK)])
    assert by_id(dataset)["a"].promise is None


def test_a_text_comes_back_as_it_was_given(working: tuple[WorkingDataset, Annotator]) -> None:
    """Also one that a browser would take for HTML."""
    dataset, _ = working
    texts = ["<b>a</b> </ b> <!-- <1>", "a < b / c", "x\u2060y", "<script>1</script>\n</p>", "\u2028 \x07 🙂"]
    dataset.log([NewRecord(str(n), text, 0, Route.ASK) for n, text in enumerate(texts)])
    assert [record.text for record in sorted(dataset.scan(), key=lambda one: one.id)] == texts


@pytest.mark.parametrize(
    "record",
    [new("a", route=Route.AUDIT, threshold=0.5), new("a", held_back=True)],
    ids=["audit", "held back"],
)
def test_what_people_judge_blindly_shows_no_suggestion(
    working: tuple[WorkingDataset, Annotator], record: NewRecord
) -> None:
    """And what the model said comes back all the same."""
    dataset, _ = working
    dataset.log([record])
    assert by_id(dataset)["a"] == LoggedRecord(
        "a", "text of a", 0, record.route, 0.75, "abc123", None, "Sports", record.threshold, record.held_back,
        text_key=kept_of("text of a"),
    )  # fmt: skip


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
    assert (answer.user_id, answer.status, answer.label) == (dataset.service_user_id, "submitted", "Sports")


def test_a_persons_answer_survives_logging_again(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a")])
    person.answer("a", "World")
    dataset.log([new("a", route=Route.ACCEPT)])
    labels = {answer.user_id: answer.label for answer in by_id(dataset)["a"].answers}
    assert labels.pop(dataset.service_user_id) == "Sports"
    assert list(labels.values()) == ["World"]


def test_counts_follow_answers_and_batches(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a"), new("b"), new("c")])
    dataset.log([new("d", batch=1)])
    person.answer("a", "World")
    person.answer("b", None, status="discarded")
    person.answer("d", "World")
    assert dataset.count(ALL) == 4
    assert dataset.count(in_batch(0)) == 3
    assert dataset.count(Query(answered=True, batches=(0, 0))) == 2
    assert dataset.count(Query(answered=True, batches=(1, 1))) == 1
    assert {r.id for r in dataset.search(Query(answered=True, batches=(0, 0)))} == {"a", "b"}
    # a record with nothing but a discard stays before people
    assert {r.id for r in dataset.search(Query(pending=True, batches=(0, 1)))} == {"b", "c"}
    assert dataset.count(Query(batches=(1, 5))) == 1


def test_a_query_finds_the_records_that_match_when_they_are_taken(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    """Nothing is read before; and the count is that of the records."""
    dataset, person = working
    dataset.log([new("a"), new("b"), new("c", batch=1)])
    query = Query(answered=True, batches=(0, 0))
    found = dataset.search(query)
    person.answer("b", "World")
    person.answer("c", "World")
    assert [record.id for record in found] == ["b"]
    assert dataset.count(query) == 1
    assert [dataset.count(in_batch(number)) for number in (0, 1, 2)] == [2, 1, 0]
    assert {record.id for record in dataset.search(ANSWERED)} == {"b", "c"}


def test_a_condition_that_there_is_not_is_an_error_that_names_it() -> None:
    with pytest.raises(TypeError, match="idx"):
        Query(idx=0)  # type: ignore[call-arg]  # what must not pass


def test_a_draft_is_not_done(working: tuple[WorkingDataset, Annotator]) -> None:
    dataset, person = working
    dataset.log([new("a")])
    person.answer("a", "World", status="draft")
    assert dataset.count(Query(answered=True, batches=(0, 0))) == 0


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


def routed(record: LoggedRecord) -> tuple[object, ...]:
    """All of ``record`` but its answers."""
    return (
        record.text, record.batch, record.route, record.certainty, record.model,
        record.suggestion, record.prediction, record.threshold, record.held_back,
    )  # fmt: skip


def answered(record: LoggedRecord) -> list[tuple[str, str | None]]:
    """Status and label of its answers."""
    return sorted((a.status, a.label) for a in record.answers)


def test_the_daemons_answers_are_withdrawn_and_nobody_elses(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    """What was accepted is left without an answer of the daemon's, on its route; a second time changes nothing."""
    dataset, person = working
    dataset.log([new(i, route=Route.ACCEPT, threshold=0.5) for i in "abcde"] + [new("f")])
    person.answer("b", "World")
    person.answer("c", None, status="discarded")
    person.answer("d", "Sports", status="draft")
    person.answer("f", "Sports")
    before = by_id(dataset)
    for _ in range(2):
        there = by_id(dataset)
        told = dataset.withdraw_own(["a", "b", "c", "d", "f", "nowhere"])
        assert {record.id: record for record in told} == {i: there[i] for i in "abcdf"}
        seen = by_id(dataset)
        assert {i: routed(r) for i, r in seen.items()} == {i: routed(r) for i, r in before.items()}
        assert {i: answered(r) for i, r in seen.items()} == {
            "a": [],
            "b": [("submitted", "World")],
            "c": [("discarded", None)],
            "d": [("draft", "Sports")],
            "e": [("submitted", "Sports")],
            "f": [("submitted", "Sports")],
        }
        assert all(a.user_id != dataset.service_user_id for i in "bcd" for a in seen[i].answers)


@pytest.fixture
def standby(
    working: tuple[WorkingDataset, Annotator], request: pytest.FixtureRequest
) -> Iterator[tuple[WorkingDataset, WorkingDataset, Annotator]]:
    """The same dataset as another user's service sees it, beside the first and a person."""
    dataset, person = working
    if isinstance(dataset, MemoryDataset):
        yield dataset, dataset.seen_by("standby"), person
        return
    server: EmbeddedServer = request.getfixturevalue("argilla_server")
    connection = connect(server.url, server.credentials.owner.api_key)
    yield dataset, ArgillaDataset(connection, dataset.info), person
    connection.close()


def test_what_one_users_service_validated_another_users_knows_for_the_models(
    standby: tuple[WorkingDataset, WorkingDataset, Annotator],
) -> None:
    """And the other way round; a person's answer is a person's to both."""
    first, second, person = standby
    first.log([new(i, route=Route.ACCEPT, threshold=0.5) for i in "abc"])
    second.log([new(i, 1, route=Route.ACCEPT, threshold=0.5) for i in "de"])
    person.answer("b", "World")
    person.answer("e", "Sports")
    for one, other in ((first, second), (second, first)):
        seen = by_id(one)
        me = one.service_user_id
        assert [seen[i].service_user for i in "abcde"] == [first.service_user_id] * 3 + [
            second.service_user_id
        ] * 2
        assert all(accepted_by_model(seen[i], me) for i in "abcde")
        said = {i: [(a.status, a.label) for a in human_answers(seen[i], me)] for i in "abcde"}
        assert said == {
            "a": [], "b": [("submitted", "World")], "c": [], "d": [], "e": [("submitted", "Sports")],
        }  # fmt: skip
        assert validated_by_others(read_all(seen.values(), me)) == {
            other.service_user_id: 3 if one is second else 2
        }


def test_another_users_service_takes_back_what_the_first_validated(
    standby: tuple[WorkingDataset, WorkingDataset, Annotator],
) -> None:
    """The model's answers go, people's stay, and nothing is left of whose service it was."""
    first, second, person = standby
    first.log([new(i, route=Route.ACCEPT, threshold=0.5) for i in "abc"])
    person.answer("b", "World")
    assert {r.id for r in second.withdraw_own(["a", "b"])} == {"a", "b"}
    seen = by_id(first)
    assert [answered(seen[i]) for i in "abc"] == [[], [("submitted", "World")], [("submitted", "Sports")]]
    for one in (first, second):  # begun, and known as that to both
        records = by_id(one)
        assert [is_half_revoked(records[i], one.service_user_id) for i in "abc"] == [True, True, False]
    second.return_to_queue([new("a", label="World"), new("b", route=Route.AUDIT, threshold=0.5)])
    assert [by_id(first)[i].service_user for i in "abc"] == [None, None, first.service_user_id]


def test_the_revision_moves_when_the_daemon_takes_an_answer_back(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    """So that a running service looks at it."""
    dataset, _ = working
    dataset.log([new("a", route=Route.ACCEPT)])
    before = dataset.revision()
    dataset.withdraw_own(["a"])
    assert dataset.revision() != before


def test_a_record_that_is_put_back_waits_with_a_fresh_suggestion(
    working: tuple[WorkingDataset, Annotator],
) -> None:
    """People's answers stay; a second time changes nothing; what was deleted meanwhile stays gone."""
    dataset, person = working
    dataset.log([new(i, 3, route=Route.ACCEPT, threshold=0.5) for i in "abcde"])
    person.answer("b", "World")
    person.answer("c", "Sports", status="draft")
    dataset.withdraw_own("abcde")
    person.delete("e")
    fresh = [NewRecord(i, "not its text", 3, Route.ASK, "World", 0.6, "def456") for i in "abce"]
    for _ in range(2):
        dataset.return_to_queue([*fresh, NewRecord("d", "not its text", 3, Route.ASK)])
        seen = by_id(dataset)
        assert seen.keys() == set("abcd")
        for i in "abc":
            assert routed(seen[i]) == (
                f"text of {i}", 3, Route.ASK, 0.6, "def456", "World", "World", None, False,
            )  # fmt: skip
        assert routed(seen["d"]) == ("text of d", 3, Route.ASK, None, None, None, None, None, False)
        assert [answered(seen[i]) for i in "abcd"] == [
            [], [("submitted", "World")], [("draft", "Sports")], [],
        ]  # fmt: skip


def test_a_record_put_back_as_an_audit_shows_nothing(working: tuple[WorkingDataset, Annotator]) -> None:
    """The suggestion it was accepted with goes; what the model said stays."""
    dataset, _ = working
    dataset.log([new("a", route=Route.ACCEPT, threshold=0.5)])
    dataset.withdraw_own(["a"])
    dataset.return_to_queue([new("a", route=Route.AUDIT, threshold=0.5)])
    assert routed(by_id(dataset)["a"]) == (
        "text of a", 0, Route.AUDIT, 0.75, "abc123", None, "Sports", 0.5, False,
    )  # fmt: skip
    assert by_id(dataset)["a"].answers == ()


def test_a_check_made_plain_keeps_all_but_its_route(working: tuple[WorkingDataset, Annotator]) -> None:
    """A second time changes nothing; what was deleted meanwhile stays gone."""
    dataset, person = working
    dataset.log([new(i, 3, route=Route.AUDIT, threshold=0.5) for i in "abd"])
    dataset.log([NewRecord("c", "text of c", 3, Route.ASK, "Sports", 0.75, "abc123", held_back=True)])
    person.answer("b", "World")
    person.delete("d")
    for _ in range(2):
        dataset.make_plain([*"abcd", "nowhere"])
        seen = by_id(dataset)
        assert seen.keys() == set("abc")
        for i in "ab":
            assert routed(seen[i]) == (
                f"text of {i}", 3, Route.ASK, 0.75, "abc123", None, "Sports", 0.5, False,
            )  # fmt: skip
        assert routed(seen["c"]) == ("text of c", 3, Route.ASK, 0.75, "abc123", None, "Sports", None, False)
        assert [answered(seen[i]) for i in "abc"] == [[], [("submitted", "World")], []]


def test_metadata_on_the_server(argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]) -> None:
    """Who validated is written down, and goes when it is taken back; what others wrote stays."""
    connection = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    info = ensure_dataset(connection, workspace="argilla", name=fresh_name("metadata"), labels=LABELS)
    dataset = ArgillaDataset(connection, info)
    person = RealAnnotator(argilla_server, info.id)

    def raw() -> dict[str, Any]:
        return dict(person._record("a")["metadata"])

    key = kept_of("text of a")
    dataset.log([new("a", 2, route=Route.ACCEPT, threshold=0.5)])
    accepted = {
        "idx": 2, "route": "accept", "model": "abc123", "certainty": 0.75,
        "prediction": "Sports", "threshold": 0.5, "validated_by": "model", "service_user": connection.user_id,
        "text_key": key,
    }  # fmt: skip
    assert raw() == accepted
    connection.call(
        "PATCH",
        f"/records/{person._record('a')['id']}",
        where="metadata of others",
        json={"metadata": {**accepted, "ticket": 17, "source": "mail"}},
    )
    dataset.withdraw_own(["a"])
    assert raw() == {**accepted, "ticket": 17, "source": "mail"}
    dataset.return_to_queue([NewRecord("a", "", 2, Route.ASK, "World", 0.6, "def456")])
    assert raw() == {
        "idx": 2, "route": "ask", "model": "def456", "certainty": 0.6, "prediction": "World",
        "ticket": 17, "source": "mail", "text_key": key,
    }  # fmt: skip
    dataset.return_to_queue([NewRecord("a", "", 2, Route.ASK)])
    assert raw() == {"idx": 2, "route": "ask", "ticket": 17, "source": "mail", "text_key": key}
    assert person._record("a")["status"] == "pending"
    person.close()
    connection.close()


def test_of_what_an_earlier_version_accepted_the_answer_as_old_as_the_record_is_the_models(
    argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]
) -> None:
    """It did not write down whose service it was."""
    connection = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    owners = connect(argilla_server.url, argilla_server.credentials.owner.api_key)
    info = ensure_dataset(connection, workspace="argilla", name=fresh_name("earlier"), labels=LABELS)
    dataset, as_owner = ArgillaDataset(connection, info), ArgillaDataset(owners, info)
    person = RealAnnotator(argilla_server, info.id)
    dataset.log([new(i, route=Route.ACCEPT, threshold=0.5) for i in "abc"])
    for i in "abc":
        record = person._record(i)
        metadata = {name: value for name, value in record["metadata"].items() if name != "service_user"}
        owners.call("PATCH", f"/records/{record['id']}", where="test", json={"metadata": metadata})
    person.answer("b", "Sports")  # confirmed
    person.answer("c", "World")  # corrected
    for one in (dataset, as_owner):
        seen = by_id(one)
        assert [seen[i].service_user for i in "abc"] == [connection.user_id] * 3
        assert all(accepted_by_model(record, one.service_user_id) for record in seen.values())
        assert [len(human_answers(seen[i], one.service_user_id)) for i in "abc"] == [0, 1, 1]
    person.close()
    connection.close()
    owners.close()
