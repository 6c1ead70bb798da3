"""Whatever people, scripts and faults do, in whatever order: the promises hold (a state machine, driven by hypothesis).

The real loop over a real Argilla, with a proxy between them that goes wrong. The learner is a small one: it is not the
point here.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from adjudicated import read_all
from daemon import held
from fault_proxy import FaultProxy, Page, Reset, Rule, Silence, Status, Truncated
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from index_faults import IndexFaults, server_with_index_faults
from invariants import Human, check_invariants
from thorough import THOROUGH
from worlds import TOPICS, CentroidLearner, CentroidModel, FixedSource, ListPool, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.index_watch import LONGEST_PAUSE, IndexWatch
from argilla_loop.argilla.observer import Observer
from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.argilla.query import ALL, ANSWERED
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.lease import ArgillaLease
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import LeaseLostError, RetryableError
from argilla_loop.loop.revoke import revoke_records
from argilla_loop.loop.turn import Loop
from argilla_loop.observability.logs import configure_logs
from argilla_loop.policy.answers import AnswerRule
from argilla_loop.policy.plan import Finished
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.revocation import RevocationFilter, revocable
from argilla_loop.simulate.precomputed import PrecomputedVectors

LABELS = sorted(TOPICS)
ROWS = sentences(45)
LABELLED = 12
SWAPS = 2  # of the pool, at most: each can bring as many texts again
RULES = Rules(
    slice_size=4, accept_limit=3, min_examples_per_label=3, min_accept_examples=3, certainty_threshold=0.6,
    audit_rate=0.3,
)  # fmt: skip
FAULTS = (
    Reset(),
    Reset(applied=True),
    Reset(applied=True, after_bytes=10),
    Silence(applied=True),
    Silence(applied=False),
    Status(500),
    Status(502, applied=True),
    Status(503),
    Status(429, retry_after="1"),
    Truncated(),
    Truncated(honest=True),
    Page(404),
    Page(403),
    Page(200),
    Page(302, "", location="http://127.0.0.1:9/login"),
)
# of the search index; what it refuses or lacks has Argilla answer 500 to what it has stored
INDEX_FAULTS = ("drop", "refuse", "make_read_only", "delay", "break_search", "empty_index", "release")
SECONDS = 30.0  # of the lease
# the server closes a connection after a 500: a request sent on it would be lost, and it could not be told
ONE_REQUEST = httpx.Limits(max_keepalive_connections=0)
_numbers = itertools.count(1)


def pool_of(rows: list[tuple[str, str, str]]) -> ListPool:
    """A pool whose first rows come with their label."""
    return ListPool([(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(rows)])


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Service:
    """One service, as far as a turn goes."""

    loop: Loop
    lease: ArgillaLease
    clock: Clock
    connection: Connection
    dataset: ArgillaDataset

    def look(self) -> None:
        """A look that does nothing but look: it reads the open batch, compares the index, and reads on."""
        if self.lease.hold():
            self.loop.due()

    def turn(self) -> object:
        """A look that finds a turn due; nothing where another holds the lease."""
        return self.loop.turn().step if self.lease.hold() else None


class RememberingLearner(CentroidLearner):
    """Keeps every model it made by version, over restarts of the service."""

    def __init__(self) -> None:
        super().__init__()
        self.models: dict[str, CentroidModel] = {}

    def fit(self, *args: Any, **kwargs: Any) -> CentroidModel:
        model = super().fit(*args, **kwargs)
        self.models[model.version] = model
        return model


class Stream(io.StringIO):
    """A log that takes nothing while it is full."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(28, "No space left on device")
        return super().write(text)


@pytest.fixture
def stream() -> Iterator[Stream]:
    """Where the log goes meanwhile."""
    found = Stream()
    configure_logs(stream=found)
    yield found
    structlog.reset_defaults()


@dataclass
class Expected:
    """What people and scripts did, and nobody may undo."""

    answers: dict[str, Human] = field(default_factory=dict)
    foreign: dict[str, str] = field(default_factory=dict)


class Days(RuleBasedStateMachine):
    """Random days of a dataset."""

    server: EmbeddedServer
    proxy: FaultProxy
    faults: IndexFaults
    stream: Stream

    def __init__(self) -> None:
        super().__init__()
        self.index_is, self.index_has_failed = "release", False
        self.name = self.called = f"days-{next(_numbers)}"  # in the settings, and in Argilla
        self.direct = connect(self.server.url, self.server.credentials.owner.api_key)
        self.info: DatasetInfo = ensure_dataset(
            self.direct, workspace="argilla", name=self.name, labels=LABELS
        )
        key = self.server.credentials.annotator.api_key
        self.person = httpx.Client(
            base_url=f"{self.server.url}/api/v1",
            headers={"X-Argilla-Api-Key": key},
            timeout=60,
            limits=ONE_REQUEST,
        )
        self.script = httpx.Client(
            base_url=f"{self.server.url}/api/v1",
            headers={"X-Argilla-Api-Key": self.server.credentials.owner.api_key},
            timeout=60,
            limits=ONE_REQUEST,
        )
        self.person_id = self.person.get("/me").raise_for_status().json()["id"]
        self.learner = RememberingLearner()
        self.pool = FixedSource(pool_of(ROWS))
        self.earlier: list[dict[str, str]] = []  # texts of the pools that there were before
        self.expected = Expected()
        self.as_owner = False
        self.services = [self.started("first")]

    def started(self, token: str) -> Service:
        """A service that starts, with the key of the user whose turn it is; it knows nothing but what Argilla holds."""
        clock = Clock(now=float(len(token)) * 1e5)
        who = self.server.credentials.owner if self.as_owner else self.server.credentials.loop
        connection = connect(self.proxy.url, who.api_key, timeout=3.0)
        lease = ArgillaLease(connection, self.info, holder=token, token=token, seconds=SECONDS, clock=clock)
        dataset = ArgillaDataset(connection, self.info, before_write=lease.confirm)
        vectors = PrecomputedVectors(self.learner.encoder, seed=RULES.seed)
        observer = Observer(dataset, whole=0)  # as with a large dataset: only what may have changed is read
        loop = Loop(dataset, self.pool, self.learner, vectors, RULES, observer=observer)
        return Service(loop, lease, clock, connection, dataset)

    # What the service does

    @rule()
    def take_a_turn(self) -> None:
        with self.index_may_fail():
            self.services[-1].turn()

    @rule()
    def look(self) -> None:
        with self.index_may_fail():
            self.services[-1].look()

    @rule(fault=st.sampled_from(INDEX_FAULTS))
    def the_index_goes_its_own_way(self, fault: str) -> None:
        """From now on, until the next of these."""
        getattr(self.faults, fault)()
        self.index_is = fault
        self.index_has_failed = self.index_has_failed or fault != "release"

    @rule()
    def the_log_is_closed_or_back(self) -> None:
        self.stream.full = not self.stream.full

    @contextmanager
    def index_may_fail(self) -> Iterator[None]:
        """Argilla answers 500 though it has stored what it was asked to: the index refuses, or lacks the record."""
        try:
            yield
        except (RetryableError, httpx.HTTPStatusError):
            if not self.index_has_failed:
                raise

    @rule(fault=st.sampled_from(FAULTS), skip=st.integers(0, 6), then=st.sampled_from(["on", "restart"]))
    def look_through_a_fault(self, fault: Any, skip: int, then: str) -> None:
        """A fault at one of a turn's requests; then the service goes on, or dies of it and starts again."""
        self.proxy.add(Rule(fault, skip=skip))
        with suppress(RetryableError):
            self.services[-1].turn()
        self.proxy.clear()
        if then == "restart":
            self.restart()

    @rule()
    def restart(self) -> None:
        """As after kill -9: the lease was not given back."""
        self.services.pop().connection.close()
        there = ensure_dataset(self.direct, workspace="argilla", name=self.name, labels=LABELS)
        assert (there.id, there.name) == (self.info.id, self.called), "another dataset was begun"
        self.services.append(self.started("first"))

    @rule()
    def restart_with_another_users_key(self) -> None:
        """An owner's for the service's own, or back."""
        self.as_owner = not self.as_owner
        self.restart()

    # with a failing index it ends in the middle, to be called again
    @precondition(lambda self: not self.index_has_failed)
    @rule(count=st.integers(1, 3))
    def take_back_what_was_accepted(self, count: int) -> None:
        """As `revoke` does, with the key of whoever runs the service now, and whoever accepted it."""
        service = self.services[-1]
        dataset = ArgillaDataset(service.connection, self.info)
        chosen = revocable(read_all(dataset.scan(), dataset.service_user_id), RevocationFilter())[:count]
        revoke_records(dataset, chosen, lambda: None, rule=AnswerRule(dataset.service_user_id))

    @precondition(lambda self: self.services[-1].lease.is_held)
    @rule()
    def another_takes_over(self) -> None:
        """The holder is suspended; another waits its time, and goes on. The first wakes up later."""
        second = self.started(f"another{next(_numbers)}")
        assert not second.lease.hold()
        second.clock.now += SECONDS + 1
        assert second.lease.hold()
        self.services.append(second)

    @precondition(lambda self: len(self.services) > 1)
    @rule()
    def the_suspended_one_wakes_up(self) -> None:
        """In the middle of its turn, just before it writes: it must not."""
        before = held(self.server, self.called)
        for sleeper in self.services[:-1]:
            if sleeper.lease.is_held:
                with suppress(LeaseLostError), self.index_may_fail():
                    sleeper.loop.turn()
                assert held(self.server, self.called) == before
            sleeper.connection.close()
        del self.services[:-1]

    # What people do

    @precondition(lambda self: len(self.earlier) < SWAPS)
    @rule(change=st.sampled_from(["texts", "ids", "order of ids"]))
    def swap_the_pool(self, change: str) -> None:
        """Somebody writes the pool anew: other texts under its ids, other ids over its texts."""
        rows, times = self.pool.pool.rows, len(self.earlier)
        self.earlier.append(self.texts())
        ids, texts = [row[0] for row in rows], [row[1] for row in rows]
        if change == "texts":
            texts = [text if n % 3 else f"{text}, version {times}" for n, text in enumerate(texts)]
        elif change == "ids":
            ids = [f"{times}-{one}" for one in ids]
        else:
            ids = [*ids[7:], *ids[:7]]
        self.pool.pool = ListPool([(i, text, row[2]) for i, text, row in zip(ids, texts, rows, strict=True)])

    @rule()
    def rename_the_dataset(self) -> None:
        self.called = f"{self.name} ({next(_numbers)})"
        path = f"/datasets/{self.info.id}"
        self.direct.call("PATCH", path, where="test", json={"name": self.called})

    def texts(self) -> dict[str, str]:
        """Of the pool's unlabelled rows, by id."""
        return {i: text for i, text, label in self.pool.pool.rows if label is None}

    def records(self) -> list[dict[str, Any]]:
        """All records, in the order they were logged."""
        path = f"/datasets/{self.info.id}/records"
        params = {"limit": 500, "include": ["responses"]}
        return list(self.direct.call("GET", path, where="test", params=params)["items"])

    def one(self, number: int, *, answered: bool) -> dict[str, Any] | None:
        """Some record that the person has answered, or has not."""
        some = [r for r in self.records() if (r["external_id"] in self.expected.answers) is answered]
        return some[number % len(some)] if some else None

    @rule(labels=st.lists(st.sampled_from([*LABELS, None]), min_size=1, max_size=8))
    def answer_what_waits(self, labels: list[str | None]) -> None:
        waiting = [r for r in self.records() if not r["responses"]]
        for record, label in zip(waiting, labels, strict=False):
            self.respond(record, label)

    @rule(number=st.integers(0, 100), label=st.sampled_from([*LABELS, None]))
    def change_an_answer(self, number: int, label: str | None) -> None:
        record = self.one(number, answered=True)
        if record is not None:
            response = self.own(record)
            body = {"status": "submitted" if label else "discarded", "values": self.values(label)}
            with self.index_may_fail():
                self.person.put(f"/responses/{response}", json=body).raise_for_status()
            self.expected.answers[record["external_id"]] = (body["status"], label)  # type: ignore[assignment]  # a str

    @rule(number=st.integers(0, 100))
    def withdraw_an_answer(self, number: int) -> None:
        record = self.one(number, answered=True)
        if record is not None:
            with self.index_may_fail():
                self.person.delete(f"/responses/{self.own(record)}").raise_for_status()
            del self.expected.answers[record["external_id"]]

    @rule(number=st.integers(0, 100), label=st.sampled_from([*LABELS, None]))
    def correct_what_was_accepted(self, number: int, label: str | None) -> None:
        some = [
            r
            for r in self.records()
            if r["metadata"].get("route") == "accept" and r["external_id"] not in self.expected.answers
        ]
        if some:
            self.respond(some[number % len(some)], label)

    # a deletion that the index misses makes every search fail until it is made anew
    @precondition(lambda self: not self.index_has_failed)
    @rule(number=st.integers(0, 100))
    def delete_a_record(self, number: int) -> None:
        records = self.records()
        if records:
            record = records[number % len(records)]
            with self.index_may_fail():
                self.script.delete(f"/records/{record['id']}").raise_for_status()
            self.expected.answers.pop(record["external_id"], None)
            self.expected.foreign.pop(record["external_id"], None)

    @rule(number=st.integers(0, 100), value=st.text("abc", min_size=1))
    def add_metadata_of_their_own(self, number: int, value: str) -> None:
        records = self.records()
        if records:
            record = records[number % len(records)]
            metadata = {**record["metadata"], "theirs": value}
            with self.index_may_fail():
                self.script.patch(f"/records/{record['id']}", json={"metadata": metadata}).raise_for_status()
            self.expected.foreign[record["external_id"]] = value

    def respond(self, record: dict[str, Any], label: str | None) -> None:
        body = {"status": "submitted" if label else "discarded", "values": self.values(label)}
        with self.index_may_fail():
            self.person.post(f"/records/{record['id']}/responses", json=body).raise_for_status()
        self.expected.answers[record["external_id"]] = (str(body["status"]), label)

    @staticmethod
    def values(label: str | None) -> dict[str, Any]:
        return {"label": {"value": label}} if label else {}

    def own(self, record: dict[str, Any]) -> str:
        """Id of the person's response."""
        (response,) = [r["id"] for r in record["responses"] if r["user_id"] == self.person_id]
        return str(response)

    # What must hold, always

    @invariant()
    def promises_hold(self, *, complete: bool = False) -> None:
        names = self.server.credentials
        check_invariants(
            held(self.server, self.called),
            texts=self.texts(),
            earlier=self.earlier,
            complete=complete,
            answers=self.expected.answers,
            person=names.annotator.username,
            daemon=(names.loop.username, names.owner.username),
            foreign=self.expected.foreign,
            predict=self.predicted,
            seen_by=self.seen_by_each(),
            largest_batch=RULES.slice_size + 3,
        )

    def seen_by_each(self) -> dict[str, list[LoggedRecord]]:
        """The records as the service sees them, whichever user's key it has."""
        as_loop = connect(self.server.url, self.server.credentials.loop.api_key)
        seen = {one.user_id: list(ArgillaDataset(one, self.info).scan()) for one in (self.direct, as_loop)}
        as_loop.close()
        return seen

    def predicted(self, version: str, text: str) -> tuple[str, float]:
        """What the model of that version says."""
        model = self.learner.models[version]
        probabilities = model.predict_proba([text])[0]
        return model.labels[int(probabilities.argmax())], float(probabilities.max())

    def teardown(self) -> None:
        """In the end people answer everything, and no text is missing."""
        self.faults.release()
        self.stream.full, self.index_is = False, "release"
        service = self.services[-1]
        while not self.is_finished(service):
            service.clock.now += SECONDS + 1  # whoever holds the lease may be gone
            for record in self.records():
                if not record["responses"]:
                    self.respond(record, LABELS[0])
        self.promises_hold(complete=True)
        assert self.earlier or sorted(held(self.server, self.called)) == sorted(self.texts())
        self.index_is_mended()
        for one in self.services:
            one.connection.close()
        self.person.close()
        self.script.close()
        self.direct.call("DELETE", f"/datasets/{self.info.id}", where="test")
        self.direct.close()

    def is_finished(self, service: Service) -> bool:
        """Whether a turn finds nothing left to do."""
        with self.index_may_fail():
            return isinstance(service.turn(), Finished)
        return False

    def index_is_mended(self) -> None:
        """Whatever the index lacked, people see all of it in the end, and nothing as open that is answered."""
        service, clock = self.services[-1], Clock()
        watch = IndexWatch(service.dataset, clock=clock)
        records = list(service.dataset.scan())
        for _ in range(6):
            clock.now += LONGEST_PAUSE
            watch.compare(records, records)
        assert watch.trouble is None
        assert {record.id for record in service.dataset.search(ALL)} == {record.id for record in records}
        answered = {record.id for record in records if any(answer.is_final for answer in record.answers)}
        assert {record.id for record in service.dataset.search(ANSWERED)} == answered


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_no_order_of_events_breaks_a_promise(tmp_path: Path, stream: Stream) -> None:
    """No record twice, none missing, no answer or foreign metadata changed, each accepted record reproducible."""
    with server_with_index_faults(tmp_path) as (server, faults), FaultProxy(server.url) as proxy:

        class OnThisServer(Days):
            pass

        OnThisServer.server, OnThisServer.proxy = server, proxy
        OnThisServer.faults, OnThisServer.stream = faults, stream
        run_state_machine_as_test(
            OnThisServer,
            settings=settings(
                max_examples=10 if THOROUGH else 2,
                stateful_step_count=20,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
