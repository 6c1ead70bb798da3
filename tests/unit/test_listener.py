"""The listener keeps what Argilla 1.x's ``@listener`` promised, and does not fail as it failed.

Each test of the second half is a failure of 1.x seen by running it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.v2.query import ALL, DONE_IN_BATCH, IN_BATCH, Query
from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.errors import FatalError, RetryableError
from argilla_loop.service.listener import Listener, Search

PATIENCE = 60.0  # seconds until a test gives up; nothing is asserted about how long anything takes


def until(condition: Callable[[], bool]) -> None:
    """Wait for ``condition``; fail where it never comes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def dataset(size: int = 3, batch: int = 0) -> MemoryDataset:
    made = MemoryDataset(["A", "B"])
    made.log([NewRecord(f"{batch}-{n}", f"text {n}", batch=batch, route=Route.ASK) for n in range(size)])
    return made


@pytest.fixture
def started() -> Iterator[Callable[..., Listener]]:
    """Starts listeners, and stops them at the end whatever happens."""
    listeners: list[Listener] = []

    def start(*args: Any, **kwargs: Any) -> Listener:
        listener = Listener(*args, **{"interval": 0.01, "max_wait": 0.01, **kwargs})
        listeners.append(listener)
        listener.start()
        return listener

    yield start
    for listener in listeners:
        listener.stop(wait=PATIENCE)
        assert not listener.is_running


# What 1.x promised


def test_the_action_gets_the_records_and_the_context() -> None:
    data = dataset()
    data.answer("0-1", "A")
    got: list[tuple[list[str], dict[str, Any], int]] = []

    def action(records: Iterator[LoggedRecord], context: Search) -> None:
        got.append(([r.id for r in records], dict(context.params), context.total))

    assert Listener(data, DONE_IN_BATCH, action, params={"idx": 0}).look()
    assert got == [(["0-1"], {"idx": 0}, 1)]


def test_parameters_are_evaluated_anew_at_every_look() -> None:
    data = dataset(2, batch=0)
    data.log([NewRecord("1-0", "t", batch=1, route=Route.ASK)])
    batch = 0
    found: list[int] = []
    listener = Listener(data, IN_BATCH, lambda _, s: found.append(s.total), params={"idx": lambda: batch})
    listener.look()
    batch = 1
    listener.look()
    assert found == [2, 1]


def test_no_action_while_the_condition_does_not_hold() -> None:
    data = dataset()
    listener = Listener(data, DONE_IN_BATCH, lambda *_: pytest.fail("acted"), params={"idx": 0})
    assert not listener.look()
    only_when_three = Listener(data, ALL, lambda *_: pytest.fail("acted"), condition=lambda s: s.total > 3)
    assert not only_when_three.look()


def test_it_fires_for_as_long_as_the_condition_holds(started: Callable[..., Listener]) -> None:
    """A level, not an edge."""
    fired: list[int] = []
    started(dataset(), ALL, lambda *_: fired.append(1))
    until(lambda: len(fired) >= 3)


def test_records_are_fetched_only_by_an_action_that_takes_them() -> None:
    data = dataset()
    fetched: list[Query] = []
    real = data.search
    data.count = lambda query: 3  # type: ignore[method-assign]  # noqa: ARG005  # counts without searching, as a server does
    data.search = lambda query: (fetched.append(query), real(query))[1]  # type: ignore[method-assign]  # a spy
    Listener(data, ALL, lambda *_: None).look()
    assert fetched == []


def test_a_parameter_without_a_value_is_an_error_that_names_it() -> None:
    with pytest.raises(KeyError, match="idx"):
        Listener(dataset(), IN_BATCH, lambda *_: None).look()


# Where 1.x failed


def test_a_transient_error_does_not_kill_it(started: Callable[..., Listener]) -> None:
    data, failures, fired = dataset(), [3], []

    def flaky(query: Query) -> int:  # noqa: ARG001  the port's name
        if failures[0]:
            failures[0] -= 1
            raise RetryableError("connection refused")
        return 3

    data.count = flaky  # type: ignore[method-assign]  # a server that is away for three looks
    listener = started(data, ALL, lambda *_: fired.append(1))
    until(lambda: bool(fired))
    assert listener.is_running


@pytest.mark.parametrize("where", ["condition", "action"])
def test_an_exception_of_the_caller_is_retried_not_spun_on(
    where: str, started: Callable[..., Listener]
) -> None:
    """And after it the same level fires again: the batch is not lost."""
    calls: list[int] = []

    def raises_once(*_: Any) -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return True

    fired: list[int] = []
    if where == "condition":
        listener = started(dataset(), ALL, lambda *_: fired.append(1), condition=raises_once)
    else:
        listener = started(dataset(), ALL, lambda *_: (raises_once(), fired.append(1)))
    until(lambda: bool(fired))
    assert listener.is_running


def test_one_that_died_of_a_fatal_error_says_so(started: Callable[..., Listener]) -> None:
    """It is never called running, and its error is there to be read."""

    def action(*_: object) -> None:
        raise FatalError("foreign schema")

    listener = started(dataset(), ALL, action)
    until(lambda: not listener.is_running)
    assert isinstance(listener.error, FatalError)


def test_stop_ends_a_long_interval_at_once(started: Callable[..., Listener]) -> None:
    """1.x's stop blocked for up to the interval; here an hour's interval would outlast the test."""
    looked = threading.Event()
    listener = started(dataset(), ALL, lambda *_: looked.set(), interval=3600)
    assert looked.wait(PATIENCE)
    listener.stop(wait=PATIENCE)
    assert not listener.is_running


def test_stop_ends_a_long_pause_after_an_error_at_once(started: Callable[..., Listener]) -> None:
    failed = threading.Event()

    def action(*_: object) -> None:
        failed.set()
        raise RetryableError("away")

    listener = started(dataset(), ALL, action, interval=3600, max_wait=3600)
    assert failed.wait(PATIENCE)
    listener.stop(wait=PATIENCE)
    assert not listener.is_running


def test_stop_returns_while_an_action_is_running() -> None:
    busy, go_on = threading.Event(), threading.Event()
    listener = Listener(dataset(), ALL, lambda *_: (busy.set(), go_on.wait(PATIENCE)))
    listener.start()
    assert busy.wait(PATIENCE)
    listener.stop()  # would hang for PATIENCE if it waited
    assert listener.is_running
    go_on.set()
    until(lambda: not listener.is_running)


def test_its_thread_never_keeps_the_process_alive(started: Callable[..., Listener]) -> None:
    listener = started(dataset(), ALL, lambda *_: None)
    assert listener._thread is not None
    assert listener._thread.daemon


def test_two_listeners_share_nothing(started: Callable[..., Listener]) -> None:
    """Each acts on its own dataset only, and stopping one leaves the other at work."""
    one, other = dataset(1), dataset(2)
    seen: dict[str, set[int]] = {"one": set(), "other": set()}
    first = started(one, ALL, lambda _, s: seen["one"].add(s.total))
    second = started(other, ALL, lambda _, s: seen["other"].add(s.total))
    until(lambda: bool(seen["one"]) and bool(seen["other"]))
    first.stop(wait=PATIENCE)
    seen["other"].clear()
    until(lambda: bool(seen["other"]))
    assert seen == {"one": {1}, "other": {2}}
    assert second.is_running


def test_it_can_be_started_again_but_not_twice(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    listener = started(dataset(), ALL, lambda *_: fired.append(1))
    with pytest.raises(RuntimeError, match="running already"):
        listener.start()
    listener.stop(wait=PATIENCE)
    fired.clear()
    listener.start()
    until(lambda: bool(fired))


def test_an_interval_is_from_start_to_start() -> None:
    """A look as long as the interval is followed at once; 1.x added the one to the other."""
    waits: list[float] = []
    listener = Listener(dataset(), ALL, lambda *_: time.sleep(0.05), interval=0.04)
    listener._wake.wait = lambda timeout=None: bool(waits.append(timeout or 0.0))  # type: ignore[method-assign]  # what it would sleep
    thread = threading.Thread(target=listener.run)
    thread.start()
    time.sleep(0.3)
    listener.stop()
    thread.join(PATIENCE)
    assert waits == []


def test_wake_looks_now(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    listener = started(dataset(), ALL, lambda *_: fired.append(1), interval=3600)
    until(lambda: len(fired) == 1)
    listener.wake()
    until(lambda: len(fired) == 2)


def test_an_action_with_more_to_do_is_looked_at_again_at_once(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    started(dataset(), ALL, lambda *_: (fired.append(1), len(fired) < 5)[1], interval=3600)
    until(lambda: len(fired) == 5)


def test_an_overshoot_fires() -> None:
    """``total == N`` never fires after one more answer than planned; the loop's own condition does not count so."""
    data = dataset(3)
    for record in list(data.scan()):
        data.answer(record.id, "A", user_id="u")
        data.answer(record.id, "B", user_id="v")
    assert Listener(
        data, DONE_IN_BATCH, lambda *_: None, condition=lambda s: s.total >= 2, params={"idx": 0}
    ).look()


def test_a_stop_between_two_looks_is_not_lost() -> None:
    """It comes just before the wake-up is cleared, the narrowest gap there is."""
    listener = Listener(dataset(), ALL, lambda *_: None, interval=3600)
    clear = listener._wake.clear

    def stopped_first() -> None:
        listener.stop()
        clear()

    listener._wake.clear = stopped_first  # type: ignore[method-assign]  # the interleaving
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
