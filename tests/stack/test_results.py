"""The commands that take the result home, on a real team stack, with the server away in the middle."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import cast

from command_world import World
from daemon import Daemon, until
from patient_person import Labelling, PatientPerson
from stack_checks import batches_of, check_index
from team_stack import TeamStack
from worlds import sentences

from argilla_embedded import EmbeddedServer

LABELLED, ROWS = 60, 1000
TEXTS = sentences(ROWS)
POOL = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)]
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
AWAY = 8.0  # seconds
SAMPLE = 12


def test_finish_review_export_and_verify_with_the_server_away_on_the_way(
    stack: TeamStack, configured: Callable[..., Path], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """`finish` with the server killed on the way, then `review`, `export` twice and `verify`: nothing is amiss."""
    dataset = "results"
    person = PatientPerson(stack, dataset)
    config = configured(
        dataset,
        POOL,
        slice_size=10,
        auto_validate=True,
        accept_limit=100,
        target_precision=0.9,
        promise="dataset",
    )
    # a stack has what the commands' world needs of a server: an address, and who may log in
    world = World(cast("EmbeddedServer", stack), config, dataset, tmp_path)
    with Daemon(config, world.key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        with Labelling(person, GOLD):
            until(lambda: batches_of(stack, dataset) >= 8, pause=0.3, daemons=[daemon])
        assert daemon.terminate() == 0

    held = world.held().values()
    promised = sum(record["metadata"].get("promise", "").endswith("promise dataset") for record in held)
    assert promised
    before = len(held)
    running = world.start("finish", "--min-certainty", "0", "--yes")
    until(lambda: len(world.held()) > before, pause=0.1, what="a batch of finish")
    stack.part("server").kill()
    time.sleep(AWAY)
    stack.part("server").start()
    out, errors = running.communicate(timeout=200)
    assert running.returncode in (0, 75), out + errors  # done, or: try again later
    assert "Traceback" not in errors
    again = world.call("finish", "--min-certainty", "0", "--yes")
    assert again.returncode == 0, again.stderr

    with Labelling(person, GOLD):
        until(lambda: not person.waiting(), pause=0.5, what="answers to all audits")
    reviewed = world.call("review", "--sample", str(SAMPLE), "--blind", "--yes")
    assert reviewed.returncode == 0, reviewed.stderr
    until(lambda: len(person.waiting()) == SAMPLE, pause=0.3, what="the reviewed records in the queue")
    with Labelling(person, GOLD):
        until(lambda: not person.waiting(), pause=0.5, what="answers to the reviewed records")

    records = world.held()
    assert len(records) == ROWS - LABELLED
    dataset_id = person.dataset_id()
    person.close()
    assert dataset_id is not None
    check_index(records, stack.index(dataset_id).documents)

    first, second = world.export("first.jsonl"), world.export("second.jsonl")
    assert first.read_bytes() == second.read_bytes()
    rows = [json.loads(line) for line in first.read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [i for i, _, _ in TEXTS]
    sources = Counter(row["source"] for row in rows)
    routes = Counter(record["metadata"]["route"] for record in records.values())
    assert sources["service"] == routes["accept"]
    assert sources["person"] == ROWS - routes["accept"]
    verified = world.call("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    record_property("accepted", routes["accept"])
    record_property("accepted under the promise for the dataset", promised)
    record_property("audits", routes["audit"])
