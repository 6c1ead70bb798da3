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
from argilla_loop.argilla.query import ALL, Query, in_batch
from argilla_loop.domain import NewRecord, Route
from argilla_loop.errors import FatalError, RetryableError
from argilla_loop.service.listener import Listener

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


DONE = Query(answered=True, batches=(0, 0))


def found(data: MemoryDataset, query: Query) -> Callable[[], bool]:
    """The condition that at least one record matches."""
    return lambda: data.count(query) > 0


def always() -> bool:
    return True


def nothing() -> None:
    """An action that does nothing."""


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


def test_a_look_acts_once_and_says_so() -> None:
    data = dataset()
    data.answer("0-1", "A")
    got: list[list[str]] = []
    listener = Listener(found(data, DONE), lambda: got.append([r.id for r in data.search(DONE)]))
    assert listener.look()
    assert got == [["0-1"]]


def test_the_condition_is_evaluated_anew_at_every_look() -> None:
    data = dataset(2, batch=0)
    data.log([NewRecord("1-0", "t", batch=1, route=Route.ASK)])
    batch = 0
    totals: list[int] = []

    def matches() -> bool:
        totals.append(data.count(in_batch(batch)))
        return totals[-1] > 0

    listener = Listener(matches, nothing)
    listener.look()
    batch = 1
    listener.look()
    assert totals == [2, 1]


def test_no_action_while_the_condition_does_not_hold() -> None:
    data = dataset()
    listener = Listener(found(data, DONE), lambda: pytest.fail("acted"))
    assert not listener.look()
    only_when_three = Listener(lambda: data.count(ALL) > 3, lambda: pytest.fail("acted"))
    assert not only_when_three.look()


def test_it_fires_for_as_long_as_the_condition_holds(started: Callable[..., Listener]) -> None:
    """A level, not an edge."""
    fired: list[int] = []
    started(always, lambda: fired.append(1))
    until(lambda: len(fired) >= 3)


# Where 1.x failed


def test_a_transient_error_does_not_kill_it(started: Callable[..., Listener]) -> None:
    failures, fired = [3], []

    def flaky() -> bool:
        """A server that is away for three looks."""
        if failures[0]:
            failures[0] -= 1
            raise RetryableError("connection refused")
        return True

    listener = started(flaky, lambda: fired.append(1))
    until(lambda: bool(fired))
    assert listener.is_running


@pytest.mark.parametrize("where", ["condition", "action"])
def test_an_exception_of_the_caller_is_retried_not_spun_on(
    where: str, started: Callable[..., Listener]
) -> None:
    """And after it the same level fires again: the batch is not lost."""
    calls: list[int] = []

    def raises_once() -> bool:
        calls.append(1)
        if len(calls) == 1:
            raise ZeroDivisionError
        return True

    fired: list[int] = []
    if where == "condition":
        listener = started(raises_once, lambda: fired.append(1))
    else:
        listener = started(always, lambda: (raises_once(), fired.append(1)))
    until(lambda: bool(fired))
    assert listener.is_running


def test_one_that_died_of_a_fatal_error_says_so(started: Callable[..., Listener]) -> None:
    """It is never called running, and its error is there to be read."""

    def action() -> None:
        raise FatalError("foreign schema")

    listener = started(always, action)
    until(lambda: not listener.is_running)
    assert isinstance(listener.error, FatalError)


def test_stop_ends_a_long_interval_at_once(started: Callable[..., Listener]) -> None:
    """1.x's stop blocked for up to the interval; here an hour's interval would outlast the test."""
    looked = threading.Event()
    listener = started(always, looked.set, interval=3600)
    assert looked.wait(PATIENCE)
    listener.stop(wait=PATIENCE)
    assert not listener.is_running


def test_stop_ends_a_long_pause_after_an_error_at_once(started: Callable[..., Listener]) -> None:
    failed = threading.Event()

    def action() -> None:
        failed.set()
        raise RetryableError("away")

    listener = started(always, action, interval=3600, max_wait=3600)
    assert failed.wait(PATIENCE)
    listener.stop(wait=PATIENCE)
    assert not listener.is_running


def test_stop_returns_while_an_action_is_running() -> None:
    busy, go_on = threading.Event(), threading.Event()
    listener = Listener(always, lambda: (busy.set(), go_on.wait(PATIENCE)))
    listener.start()
    assert busy.wait(PATIENCE)
    listener.stop()  # would hang for PATIENCE if it waited
    assert listener.is_running
    go_on.set()
    until(lambda: not listener.is_running)


def test_its_thread_never_keeps_the_process_alive(started: Callable[..., Listener]) -> None:
    listener = started(always, nothing)
    assert listener._thread is not None
    assert listener._thread.daemon


def test_two_listeners_share_nothing(started: Callable[..., Listener]) -> None:
    """Each acts on its own dataset only, and stopping one leaves the other at work."""
    one, other = dataset(1), dataset(2)
    seen: dict[str, set[int]] = {"one": set(), "other": set()}
    first = started(found(one, ALL), lambda: seen["one"].add(one.count(ALL)))
    second = started(found(other, ALL), lambda: seen["other"].add(other.count(ALL)))
    until(lambda: bool(seen["one"]) and bool(seen["other"]))
    first.stop(wait=PATIENCE)
    seen["other"].clear()
    until(lambda: bool(seen["other"]))
    assert seen == {"one": {1}, "other": {2}}
    assert second.is_running


def test_it_can_be_started_again_but_not_twice(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    listener = started(always, lambda: fired.append(1))
    with pytest.raises(RuntimeError, match="running already"):
        listener.start()
    listener.stop(wait=PATIENCE)
    fired.clear()
    listener.start()
    until(lambda: bool(fired))


def test_an_interval_is_from_start_to_start() -> None:
    """A look as long as the interval is followed at once; 1.x added the one to the other."""
    waits: list[float] = []
    listener = Listener(always, lambda: time.sleep(0.05), interval=0.04)
    listener._wake.wait = lambda timeout=None: bool(waits.append(timeout or 0.0))  # type: ignore[method-assign]  # what it would sleep
    thread = threading.Thread(target=listener.run)
    thread.start()
    time.sleep(0.3)
    listener.stop()
    thread.join(PATIENCE)
    assert waits == []


def test_wake_looks_now(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    listener = started(always, lambda: fired.append(1), interval=3600)
    until(lambda: len(fired) == 1)
    listener.wake()
    until(lambda: len(fired) == 2)


def test_an_action_with_more_to_do_is_looked_at_again_at_once(started: Callable[..., Listener]) -> None:
    fired: list[int] = []
    started(always, lambda: (fired.append(1), len(fired) < 5)[1], interval=3600)
    until(lambda: len(fired) == 5)


def test_an_overshoot_fires() -> None:
    """``total == N`` never fires after one more answer than planned; the loop's own condition does not count so."""
    data = dataset(3)
    for record in list(data.scan()):
        data.answer(record.id, "A", user_id="u")
        data.answer(record.id, "B", user_id="v")
    assert Listener(lambda: data.count(DONE) >= 2, nothing).look()


def test_a_stop_between_two_looks_is_not_lost() -> None:
    """It comes just before the wake-up is cleared, the narrowest gap there is."""
    listener = Listener(always, nothing, interval=3600)
    clear = listener._wake.clear

    def stopped_first() -> None:
        listener.stop()
        clear()

    listener._wake.clear = stopped_first  # type: ignore[method-assign]  # the interleaving
    thread = threading.Thread(target=listener.run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert not thread.is_alive()
