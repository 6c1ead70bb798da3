"""``argilla-loop verify`` on a real dataset: one line while all holds, one more after each break through the API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_world import World, make_dataset
from embedded_server import Api
from thorough import THOROUGH
from worlds import sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.domain import NewRecord, Route

TEXTS = sentences(60)
PROMISE = "min_precision 0.8, confidence 0.8, promise overall"
# of 20 audits in batch 1 all are right, which grants 80% at 80% confidence; batch 2 accepts on them
AUDITS, ACCEPTED = TEXTS[10:30], TEXTS[30:40]


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer, tmp_path: Path, fresh_name: Callable[[str], str], connection: Connection
) -> Callable[[], World]:
    def make() -> World:
        name = fresh_name("verify")
        folder = tmp_path / name
        folder.mkdir()
        world, dataset = make_dataset(
            connection, argilla_server, name, folder, [(i, text, None) for i, text, _ in TEXTS],
            cache_dir=str(folder / "cache"),
        )  # fmt: skip
        dataset.log([NewRecord(i, t, 0, Route.ASK) for i, t, _ in TEXTS[:10]])
        dataset.log([NewRecord(i, t, 1, Route.AUDIT, x, 0.95, "svm-1", 0.9) for i, t, x in AUDITS])
        annotator = Api(argilla_server, argilla_server.credentials.annotator)
        ids = {r["external_id"]: r["id"] for r in records_of(world)}
        items = [
            {"record_id": ids[i], "status": "submitted", "values": {"label": {"value": label}}}
            for i, _, label in TEXTS[:30]
        ]
        annotator.call("POST", "/me/responses/bulk", {"items": items})
        dataset.log([
            NewRecord(i, t, 2, Route.ACCEPT, x, 0.95, "svm-2", 0.9, promise=PROMISE) for i, t, x in ACCEPTED
        ])  # fmt: skip
        return world

    return make


def records_of(world: World) -> list[dict[str, Any]]:
    return list(world.owner.call("GET", f"/datasets/{world.dataset_id()}/records", limit=500)["items"])


def found(world: World, *more: str) -> list[str]:
    """The findings, each of them a line on standard output; the exit code goes with them."""
    done = world.call("verify", *more)
    lines = done.stdout.splitlines()
    assert done.returncode == (0 if lines[0].startswith("all holds") else 1), done.stderr
    if done.returncode == 0:
        assert len(lines) == 1
        return []
    assert all(line.startswith("does not hold: ") for line in lines)
    return [line.removeprefix("does not hold: ") for line in lines]


def set_metadata(world: World, external_id: str, **changes: Any) -> None:
    record = world.record(external_id)
    metadata = {k: v for k, v in (record["metadata"] | changes).items() if v is not None}
    world.owner.call("PATCH", f"/records/{record['id']}", {"metadata": metadata})


def test_while_all_holds_it_is_one_line(make_world: Callable[[], World]) -> None:
    world = make_world()
    done = world.call("verify")
    assert done.stdout == (
        "all holds: 40 records in 3 batches, 30 answered by people, 10 accepted; answers were not compared with an "
        "export (--against OUT)\n"
    )


def test_each_break_is_a_finding(make_world: Callable[[], World]) -> None:
    """One dataset, broken again and again through Argilla's own API; every finding stays, and one is added."""
    world = make_world()
    world.export("before.jsonl", "--no-predictions")
    against = ("--against", "before.jsonl")
    assert found(world, *against) == []
    owner, dataset_id = world.owner, world.dataset_id()
    (ask, *_), first = TEXTS, ACCEPTED[0]
    expected: list[str] = []

    def now(finding: str) -> None:
        expected.append(finding)
        if len(expected) % 5 and not THOROUGH:  # each look at it takes seconds
            return
        lines = found(world, *against)
        assert len(lines) == len(expected), lines
        for words in expected:
            assert any(words in line for line in lines), (words, lines)

    owner.upsert(dataset_id, [{"external_id": "again", "fields": {"text": TEXTS[3][1]}}])
    now(f"records {TEXTS[3][0]!r}, 'again' have the same text")

    set_metadata(world, first[0], certainty=0.85)
    now(f"record {first[0]!r} was accepted with certainty 0.85, which is not above the threshold 0.9")
    set_metadata(world, ACCEPTED[1][0], model=None)
    now(f"record {ACCEPTED[1][0]!r} was accepted, but its model are not known")

    set_metadata(world, ACCEPTED[2][0], promise="min_precision 0.99, confidence 0.99, promise overall")
    now(f"batch 2: record {ACCEPTED[2][0]!r} accepted above 0.9 under min_precision 0.99")
    set_metadata(world, ACCEPTED[3][0], promise="whatever")
    now(f"batch 2: record {ACCEPTED[3][0]!r} accepted under an unknown promise, 'whatever'")

    question = owner.call("GET", f"/datasets/{dataset_id}/questions")["items"][0]["id"]
    shown = {"question_id": question, "value": "World", "type": "model"}
    owner.call("PUT", f"/records/{world.record(AUDITS[0][0])['id']}/suggestions", shown)
    now(f"audit {AUDITS[0][0]!r} is not blind: it shows a suggestion")

    (prop,) = [
        p for p in owner.call("GET", f"/me/datasets/{dataset_id}/metadata-properties")["items"]
        if p["name"] == "prediction"
    ]  # fmt: skip
    owner.call("PATCH", f"/metadata-properties/{prop['id']}", {"visible_for_annotators": True})
    now("audits are not blind: annotators see the metadata 'prediction'")

    world.answer(ask[0], "Sports" if ask[2] != "Sports" else "World")
    now(f"record {ask[0]!r}: a person's answer changed, or went, since the export")
    (response,) = records_answers(world, TEXTS[1][0])
    Api(world.server, world.server.credentials.annotator).call("DELETE", f"/responses/{response}")
    now(f"record {TEXTS[1][0]!r}: a person's answer changed, or went, since the export")

    (response,) = records_answers(world, ACCEPTED[4][0])
    owner.call("DELETE", f"/responses/{response}")
    now(f"record {ACCEPTED[4][0]!r}: its revocation was interrupted")

    record = world.record(TEXTS[2][0])
    owner.call("DELETE", f"/datasets/{dataset_id}/records", ids=record["id"])
    now(f"record {TEXTS[2][0]!r} is gone since the export")

    (world.folder / "before.jsonl").write_text("{}\n")
    now("before.jsonl is not as the export wrote it")
    world.answer(TEXTS[5][0], "World", world.server.credentials.owner)  # a new answer changes none
    assert len(found(world, *against)) == len(expected)


def records_answers(world: World, external_id: str) -> list[str]:
    items = world.owner.call(
        "GET", f"/datasets/{world.dataset_id()}/records", limit=500, include="responses"
    )["items"]  # fmt: skip
    return [r["id"] for one in items if one["external_id"] == external_id for r in one["responses"]]


def test_a_batch_that_was_deleted_and_audits_that_are_gone(make_world: Callable[[], World]) -> None:
    world = make_world()
    ids = [r["id"] for r in records_of(world) if r["metadata"]["idx"] == 1]
    world.owner.call("DELETE", f"/datasets/{world.dataset_id()}/records", ids=",".join(ids))
    lines = found(world)
    assert lines[0] == "batch 1 is missing: all of its records were deleted"
    assert "batch 2: records 'r0030', 'r0031', 'r0032' and 7 more accepted above 0.9" in lines[1]
    assert len(lines) == 2


def test_against_what_is_no_export_of_it(make_world: Callable[[], World]) -> None:
    one, other = make_world(), make_world()
    other.export("other.csv", "--no-predictions")
    for out in ("nothing.csv", str(other.folder / "other.csv")):
        refused = one.call("verify", "--against", out)
        assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    (one.folder / "bad.csv.manifest.json").write_text("[" * 100_000)
    refused = one.call("verify", "--against", "bad.csv")
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
