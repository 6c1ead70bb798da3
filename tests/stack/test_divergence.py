"""Database and search index disagree: Argilla stores first and indexes second, and the second step may fail."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import pytest
from daemon import Daemon, until
from patient_person import Labelling, PatientPerson
from stack_checks import batches_of, to_the_end
from team_stack import TeamStack
from team_stack.index import Index
from worlds import sentences

LABELLED = 15
SLICE = 5
ALL = sentences(LABELLED + 30)
ROWS = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ALL)]
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ALL}
CURE = "search-engine reindex"

_numbers = count(1)


@dataclass
class Scene:
    """A service with its first batch before a person."""

    stack: TeamStack
    dataset: str
    daemon: Daemon
    person: PatientPerson
    index: Index

    def answer(self, number: int | None = None) -> None:
        """Answer what waits, or ``number`` of it."""
        for record in self.person.waiting()[:number]:
            self.person.answer(record, GOLD[record["external_id"]])

    def shows(self, batch: int) -> bool:
        """Whether people can see that batch, all of it."""
        return [record["metadata"]["idx"] for record in self.person.waiting()].count(batch) == SLICE

    def wait(self, condition: Callable[[], bool], what: str) -> float:
        """Wait; the seconds it took."""
        began = time.monotonic()
        until(condition, what=what, pause=0.2, daemons=[self.daemon])
        return time.monotonic() - began

    def finish(self) -> None:
        """All texts get done, and the service still ends as told."""
        with Labelling(self.person, GOLD):
            to_the_end(self.stack, self.dataset, self.daemon, self.person, ROWS, slice_size=SLICE)
        assert self.daemon.terminate() == 0
        assert not any("Traceback" in line for line in self.daemon.lines)


@pytest.fixture
def scene(stack: TeamStack, configured: Callable[..., Path]) -> Iterator[Scene]:
    dataset = f"apart-{next(_numbers)}"
    person = PatientPerson(stack, dataset)
    config = configured(dataset, ROWS, slice_size=SLICE)
    with Daemon(config, stack.credentials.loop.api_key) as daemon:
        until(lambda: len(person.waiting()) == SLICE, what="the first batch", daemons=[daemon])
        dataset_id = person.dataset_id()
        assert dataset_id is not None
        yield Scene(stack, dataset, daemon, person, stack.index(dataset_id))
    person.close()


def test_an_answer_that_is_not_indexed_holds_nothing_up(
    scene: Scene, record_property: Callable[..., None]
) -> None:
    """The last answer of a batch is stored and not indexed: the next batch comes."""
    scene.answer(SLICE - 1)
    scene.index.block("write")
    scene.answer()
    scene.index.unblock("write")
    assert sum(bool(d.get("responses")) for d in scene.index.documents().values()) == SLICE - 1
    record_property("seconds", round(scene.wait(lambda: scene.shows(1), "the next batch")))
    scene.finish()


def test_an_answer_that_is_not_indexed_is_healed(scene: Scene) -> None:
    """The index catches up with an answer that is in the database only, and the log says so."""
    scene.answer(SLICE - 1)
    scene.index.block("write")
    scene.answer()
    scene.index.unblock("write")
    first = scene.index.documents()
    scene.wait(
        lambda: all(scene.index.documents()[i].get("responses") for i in first), "the answer in the index"
    )
    scene.daemon.wait_for("index_healed")
    scene.finish()


@pytest.mark.parametrize("block", ["write", "read_only_allow_delete"])
def test_a_batch_that_is_not_indexed_is_seen_again(
    scene: Scene, block: str, record_property: Callable[..., None]
) -> None:
    """A batch is stored while the index is read-only: once it is writable people see the batch."""
    scene.answer(SLICE - 1)
    scene.index.block(block)
    scene.answer()
    scene.wait(lambda: batches_of(scene.stack, scene.dataset) == 2, "a batch in the database")
    assert len(scene.index.documents()) == SLICE
    time.sleep(3)
    scene.index.unblock(block)
    record_property("seconds", round(scene.wait(lambda: scene.shows(1), "the batch in the search")))
    scene.daemon.wait_for("index_healed")
    scene.finish()


def test_a_restart_finds_a_batch_that_is_not_indexed(
    scene: Scene, configured: Callable[..., Path], record_property: Callable[..., None]
) -> None:
    """The same, and the service is killed and started again before it could heal: the new one heals."""
    scene.answer(SLICE - 1)
    scene.index.block("write")
    scene.answer()
    scene.wait(lambda: batches_of(scene.stack, scene.dataset) == 2, "a batch in the database")
    scene.daemon.kill()
    scene.index.unblock("write")
    config = configured(scene.dataset, ROWS, machine="again", slice_size=SLICE, lease_seconds=5.0)
    with Daemon(config, scene.stack.credentials.loop.api_key) as scene.daemon:
        record_property("seconds", round(scene.wait(lambda: scene.shows(1), "the batch in the search")))
        scene.finish()


def test_an_index_from_an_older_backup_is_caught_up_with(
    scene: Scene, record_property: Callable[..., None]
) -> None:
    """The index is restored from a backup that is two batches old: people see the open batch again."""
    before = scene.index.documents()
    for batch in (1, 2):
        scene.answer()
        scene.wait(lambda b=batch: scene.shows(b), f"batch {batch}")  # type: ignore[misc]  # binds the loop's value
    scene.index.restore(before)
    assert not scene.shows(2)
    record_property("seconds", round(scene.wait(lambda: scene.shows(2), "the open batch in the search")))
    scene.daemon.wait_for("index_healed")
    scene.finish()


def test_a_deleted_index_is_named_with_its_cure_which_works(
    scene: Scene, record_property: Callable[..., None]
) -> None:
    """The index is deleted: the log names the cure, nothing ends, and after the reindex the loop goes on."""
    scene.answer(2)
    scene.index.remove()
    seconds = scene.wait(
        lambda: any(CURE in line for line in scene.daemon.lines), "a line that names the cure"
    )
    record_property("seconds to the line", round(seconds))
    assert scene.daemon.is_running
    began = time.monotonic()
    scene.stack.argilla(*CURE.split(), "--dataset-id", scene.index.dataset_id)
    record_property("seconds of the reindex", round(time.monotonic() - began))
    scene.finish()


def test_a_deleted_index_is_not_made_again_with_a_guessed_mapping(scene: Scene) -> None:
    """Nothing that is written to a deleted index makes it again: Elasticsearch would guess types, and searches err."""
    scene.index.remove()
    for record in scene.person.waiting():
        scene.person.answer(record, GOLD[record["external_id"]])
    upsert = {"items": [{"external_id": ROWS[LABELLED][0], "fields": {"text": ROWS[LABELLED][1]}}]}
    key = {"X-Argilla-Api-Key": scene.stack.credentials.owner.api_key}
    url = f"{scene.stack.url}/api/v1/datasets/{scene.index.dataset_id}/records/bulk"
    httpx.put(url, json=upsert, headers=key, timeout=60)
    assert not scene.index.exists()
