"""A change of the labels on a real team stack, with its server away in the middle."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import tomllib
from command_world import World
from daemon import Daemon, until
from patient_person import Labelling, PatientPerson
from stack_checks import batches_of, check_index
from team_stack import TeamStack
from worlds import sentences

from argilla_embedded import EmbeddedServer

LABELLED, ROWS = 60, 400
TEXTS = sentences(ROWS)
POOL = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)]
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
MERGED = {"Business": "Affairs", "World": "Affairs"}
OPTIONS = ("--merge", "Business,World=Affairs", "--add-label", "Science", "--to")
AWAY = 8.0  # seconds


def test_labels_change_with_the_server_away_on_the_way_and_the_service_goes_on(
    stack: TeamStack, configured: Callable[..., Path], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """Some batches, `migrate` with the server killed on the way, then the rest of the pool, `export` and `verify`."""
    dataset, new = "labels", "labels-2"
    config = configured(dataset, POOL, slice_size=20, auto_validate=True, accept_limit=20)
    # a stack has what the commands' world needs of a server: an address, and who may log in
    world = World(cast("EmbeddedServer", stack), config, dataset, tmp_path)
    person = PatientPerson(stack, dataset)
    with Daemon(config, world.key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        with Labelling(person, GOLD):
            until(lambda: batches_of(stack, dataset) >= 6, pause=0.3, daemons=[daemon])
        assert daemon.terminate() == 0
    person.close()
    held, there = world.held(), replace(world, name=new)

    running = world.start("migrate", *OPTIONS, new, "--yes")
    until(lambda: _copied(there) > 0 or running.poll() is not None, pause=0.02, what="a copied record")
    stack.part("server").kill()
    time.sleep(AWAY)
    stack.part("server").start()
    out, errors = running.communicate(timeout=200)
    assert running.returncode in (0, 75), out + errors  # done, or: try again later
    assert "Traceback" not in errors
    again = world.call("migrate", *OPTIONS, new, "--yes")
    assert again.returncode == 0, again.stdout + again.stderr
    settings = tomllib.loads(config.read_text())
    assert (settings["dataset"], settings["labels"]) == (new, ["Affairs", "Sports", "Science"])
    assert world.held() == held
    copied = there.held()
    assert copied.keys() == held.keys()
    for record_id, was in held.items():
        then = [(user, status) for user, status, _ in was["responses"]]
        assert [(user, status) for user, status, _ in copied[record_id]["responses"]] == then
        label = was["metadata"].get("prediction")
        assert copied[record_id]["metadata"].get("prediction") == MERGED.get(label, label)
    check_index(copied, stack.index(there.dataset_id()).documents)

    person = PatientPerson(stack, new)
    gold = {i: MERGED.get(label or "", label) for i, label in GOLD.items()}
    with Daemon(config, world.key) as daemon, Labelling(person, gold):
        until(lambda: len(there.held()) == ROWS - LABELLED, pause=0.5, what="the rest", daemons=[daemon])
        until(lambda: not person.waiting(), pause=0.5, what="answers to all", daemons=[daemon])
        assert daemon.terminate() == 0
    person.close()
    rows = [json.loads(line) for line in there.export("rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["id"] for row in rows] == [i for i, _, _ in TEXTS]
    assert {row["label"] for row in rows} == {"Sports", "Affairs"}
    verified = there.call("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    record_property("records copied", len(copied))
    record_property("ended by the outage", running.returncode == 75)


def _copied(world: World) -> int:
    """Number of records of the new dataset; 0 before it exists."""
    found = [d for d in world.owner.call("GET", "/me/datasets")["items"] if d["name"] == world.name]
    if not found or found[0]["status"] == "draft":
        return 0
    return int(world.owner.call("GET", f"/datasets/{found[0]['id']}/records", limit=1)["total"])
