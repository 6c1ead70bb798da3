"""An annotator who errs, with a queue that is never empty, on a real team stack."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import pyarrow.parquet as pq
from command_world import World
from daemon import Daemon, Person, until
from team_stack import TeamStack
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

LABELLED, ROWS, BATCHES = 60, 400, 10
TEXTS = sentences(ROWS)
POOL = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)]
GOLD = {text: label for _, text, label in TEXTS}
ERR_EVERY = 3  # first answers to audits


def test_audits_that_an_annotator_got_wrong_are_asked_again_and_the_queue_is_never_empty(
    stack: TeamStack, configured: Callable[..., Path], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """Ten batches with `second_looks` and `refill_at`; then `export` has one row a text, and `verify` finds nothing."""
    dataset = "looks"
    config = configured(
        dataset, POOL, slice_size=10, refill_at=1, second_looks=True, auto_validate=True, accept_limit=20,
        target_precision=0.9, promise="dataset",
    )  # fmt: skip
    world = World(cast("EmbeddedServer", stack), config, dataset, tmp_path)
    person = Person(stack, dataset)
    audits = answered = empty = 0
    erred: set[str] = set()
    with Daemon(config, world.key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        while not daemon.said("batch_logged", batch=BATCHES):
            waiting = person.waiting()
            if not waiting:
                empty += 1
                until(lambda: bool(person.waiting()), what="the next batch", daemons=[daemon])
                continue
            if len(waiting) == 1:  # they read the last text while the next batch is made
                until(lambda: len(person.waiting()) > 1, what="the next batch", daemons=[daemon])
            record = waiting[0]
            told = world.record(record["external_id"])["metadata"]
            label = GOLD[record["fields"]["text"]]
            if told["route"] == "audit" and "second_look_of" not in told:
                audits += 1
                if audits % ERR_EVERY == 0:
                    erred.add(record["external_id"])
                    label = next(topic for topic in TOPICS if topic != label)
            person.answer(record, label)
            answered += 1
        assert daemon.terminate() == 0
    person.close()

    looks = [r["metadata"] for r in world.held().values() if r["metadata"].get("second_look_of")]
    assert erred
    assert {look["second_look_of"] for look in looks} <= erred
    again = [look["second_look_of"] for look in looks]
    assert any(again.count(one) == 2 for one in erred)  # asked until the majority was clear
    assert not empty
    record_property(
        "measured", f"{answered} answers, {len(erred)} of {audits} audits wrong, {len(looks)} second looks"
    )

    exported = pq.read_table(world.export("out.parquet")).to_pylist()
    assert len(exported) == len({row["id"] for row in exported}) == ROWS
    verified = world.call("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
