"""Whole turns over the in-memory dataset: what is logged when, and what is learnt from."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from worlds import CentroidLearner, FixedSource, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import NewRecord, Origin, Route
from argilla_loop.loop.turn import RESYNC_SECONDS, Loop, Turn
from argilla_loop.policy.plan import ColdStart, Finished, NextBatch, Wait
from argilla_loop.policy.rules import Rules
from argilla_loop.simulate.precomputed import PrecomputedVectors

ROWS = sentences(60)
GOLD = {record_id: label for record_id, _, label in ROWS}
LABELS = ("World", "Sports", "Business")
RULES = Rules(
    slice_size=5,
    accept_limit=0,
    evaluation_share=0.0,
    min_examples_per_label=3,
    min_accept_examples=3,
    strategy="sequential",
    certainty_threshold=None,
    audit_rate=0.0,
)


class World:
    """A loop and all around it."""

    def __init__(self, rules: Rules = RULES, *, labelled: int = 0, min_submitted: int = 1) -> None:
        rows = [(i, text, label if n < labelled else None) for n, (i, text, label) in enumerate(ROWS)]
        self.dataset = MemoryDataset(LABELS, min_submitted=min_submitted)
        self.source = FixedSource(ListPool(rows))
        self.learner = CentroidLearner()
        self.turns: list[Turn] = []
        self.rules = rules
        self.restart()

    def restart(self) -> None:
        """A new process: nothing is left of the loop but what the dataset holds."""
        self.loop = Loop(
            self.dataset,
            self.source,
            self.learner,
            PrecomputedVectors(self.learner.encoder, seed=self.rules.seed),
            self.rules,
            observers=[self.turns.append],
        )

    def look(self) -> bool:
        """One look of the listener."""
        if not self.loop.due():
            return False
        self.loop.act()
        return True

    def batch(self, number: int) -> list[str]:
        return sorted(record.id for record in self.dataset.scan() if record.batch == number)


def test_from_nothing_to_an_exhausted_pool() -> None:
    """Cold start, batches with suggestions, a short last one, then finished: every text once, none missing."""
    world = World()
    while not isinstance(world.loop.turn().step, Finished):
        answer_all(world.dataset, GOLD)
    steps = Counter(type(turn.step) for turn in world.turns)
    assert steps[ColdStart] >= 1
    assert steps[NextBatch] >= 5
    assert sorted(r.id for r in world.dataset.scan()) == sorted(GOLD)
    suggested = [r for r in world.dataset.scan() if r.suggestion]
    assert sum(r.suggestion == GOLD[r.id] for r in suggested) / len(suggested) > 0.9


def test_a_labelled_pool_column_trains_at_once_and_is_never_asked_about() -> None:
    world = World(labelled=12)
    turn = world.loop.turn()
    assert isinstance(turn.step, NextBatch)
    assert all(r.suggestion and r.certainty and r.model for r in world.dataset.scan())
    assert not {r.id for r in world.dataset.scan()} & {row[0] for row in ROWS[:12]}


def test_nothing_is_logged_while_people_are_at_a_batch() -> None:
    world = World(labelled=12)
    world.loop.turn()
    before = list(world.dataset.scan())
    assert isinstance(world.loop.turn().step, Wait)
    assert list(world.dataset.scan()) == before


def test_sequential_takes_the_pool_in_order() -> None:
    world = World(labelled=12)
    world.loop.turn()
    assert world.batch(0) == [row[0] for row in ROWS[12:17]]


def test_certain_records_are_validated_and_the_rest_is_asked() -> None:
    world = World(replace(RULES, certainty_threshold=0.6), labelled=12)
    world.loop.turn()
    for record in world.dataset.scan():
        assert record.certainty is not None
        accepted = record.certainty > 0.6
        assert record.route is (Route.ACCEPT if accepted else Route.ASK)
        assert [a.user_id for a in record.answers] == (["daemon"] if accepted else [])
        assert all(a.label == record.suggestion for a in record.answers)


def test_a_wholly_accepted_batch_is_followed_at_once() -> None:
    """Nobody has to answer anything: look after look a batch is logged, though no activity time moves."""
    world = World(replace(RULES, certainty_threshold=0.51), labelled=12)
    for number in range(4):
        assert world.look(), f"batch {number} was not followed"
    assert {r.batch for r in world.dataset.scan()} >= {0, 1, 2, 3}


def test_model_examples_are_used_only_where_that_is_said() -> None:
    for train_on_model in (False, True):
        world = World(replace(RULES, certainty_threshold=0.51, train_on_model=train_on_model), labelled=12)
        for _ in range(3):
            world.loop.turn()
        origins = {example.origin for example in world.learner.fitted[-1]}
        assert (Origin.MODEL in origins) is train_on_model


def test_a_changed_answer_changes_the_training_set_at_the_next_turn() -> None:
    world = World()
    world.loop.turn()
    answer_all(world.dataset, GOLD)
    world.loop.turn()
    changed = world.batch(0)[0]
    other = next(label for label in LABELS if label != GOLD[changed])
    world.dataset.answer(changed, other, user_id="ann")
    answer_all(world.dataset, GOLD)
    turn = world.loop.turn()
    assert {e.id: e.label for e in turn.seen.examples}[changed] == other


def test_a_withdrawn_answer_leaves_the_training_set_and_does_not_block() -> None:
    world = World()
    world.loop.turn()
    answer_all(world.dataset, GOLD)
    world.loop.turn()
    withdrawn = world.batch(0)[0]
    world.dataset.withdraw(withdrawn, user_id="ann")
    for record_id in world.batch(1):
        world.dataset.answer(record_id, GOLD[record_id], user_id="ann")
    turn = world.loop.turn()
    assert withdrawn not in {e.id for e in turn.seen.examples}
    assert not isinstance(turn.step, Wait)


def test_discarded_records_are_done_and_no_examples() -> None:
    world = World(labelled=12)
    world.loop.turn()
    for record_id in world.batch(0):
        world.dataset.answer(record_id, None, status="discarded")
    turn = world.loop.turn()
    assert isinstance(turn.step, NextBatch)
    assert len(turn.seen.examples) == 12


def test_a_deleted_record_does_not_hold_its_batch_up() -> None:
    world = World(labelled=12)
    world.loop.turn()
    gone, *rest = world.batch(0)
    for record_id in rest:
        world.dataset.answer(record_id, GOLD[record_id])
    assert isinstance(world.loop.turn().step, Wait)
    world.dataset.delete(gone)
    assert isinstance(world.loop.turn().step, NextBatch)


def test_two_answers_a_record_are_waited_for_where_two_are_asked_for() -> None:
    world = World(labelled=12, min_submitted=2)
    world.look()
    answer_all(world.dataset, GOLD, user_id="ann")
    assert not world.look()
    assert isinstance(world.loop.turn().step, Wait)
    for record_id in world.batch(0):
        world.dataset.answer(record_id, GOLD[record_id], user_id="bob")
    assert world.look()
    assert isinstance(world.turns[-1].step, NextBatch)


def test_an_answer_that_no_time_tells_of_is_found_within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answers that a script writes in bulk move no activity time: the open batch is read all the same."""
    world = World(labelled=12)
    world.look()
    world.dataset.revision = lambda: "never moves"  # type: ignore[method-assign]  # as after a write in bulk
    world.look()
    answer_all(world.dataset, GOLD)
    assert not world.look()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + RESYNC_SECONDS)
    assert world.look()
    assert isinstance(world.turns[-1].step, NextBatch)


def test_the_index_has_no_say_in_whether_a_batch_is_done() -> None:
    """An index that finds nothing any more holds nobody up."""
    world = World(labelled=12)
    world.look()
    world.dataset.count = lambda query: 0  # type: ignore[method-assign]  # noqa: ARG005  an index that lost everything
    world.dataset.search = lambda query: iter(())  # type: ignore[method-assign]  # noqa: ARG005
    for _ in range(3):
        answer_all(world.dataset, GOLD)
        assert world.look()
    assert len(world.batch(3)) == 5


def test_what_another_service_did_meanwhile_is_seen_at_once() -> None:
    """While it stood by another has logged a batch, which moves no activity time."""
    world = World(labelled=12)
    world.look()
    world.loop.forget()
    world.dataset.log([NewRecord(ROWS[40][0], ROWS[40][1], 1, Route.ACCEPT, "Sports", 0.9, "x")])
    assert world.look()
    assert world.turns[-1].seen.batch is not None
    assert world.turns[-1].seen.batch.number == 1


def test_an_idle_look_does_no_turn() -> None:
    """While nothing moves, nothing is scanned or trained, however often one looks."""
    world = World(labelled=12)
    assert world.look()
    assert not any(world.look() for _ in range(5))
    assert len(world.turns) == 1


def test_a_restart_finds_its_place() -> None:
    """After a restart in the middle of a batch the same batch is waited for, and nothing is logged twice."""
    world = World(labelled=12)
    world.look()
    answer_all(world.dataset, GOLD)
    world.look()
    before = {r.id: r for r in world.dataset.scan()}
    world.restart()
    world.look()
    assert {r.id: r for r in world.dataset.scan()} == before
    assert isinstance(world.turns[-1].step, Wait)
    answer_all(world.dataset, GOLD)
    assert world.look()
    assert isinstance(world.turns[-1].step, NextBatch)


def test_a_restart_with_an_old_answer_withdrawn_still_looks() -> None:
    world = World(labelled=12)
    world.look()
    answer_all(world.dataset, GOLD)
    world.look()
    world.dataset.withdraw(world.batch(0)[0], user_id="ann")
    for record_id in world.batch(1):
        world.dataset.answer(record_id, GOLD[record_id])
    world.restart()
    assert world.look()
    assert isinstance(world.turns[-1].step, NextBatch)


def test_new_pool_rows_wake_a_finished_loop() -> None:
    world = World(replace(RULES, slice_size=50), labelled=12)
    world.look()
    answer_all(world.dataset, GOLD)
    while world.look():
        answer_all(world.dataset, GOLD)
    assert isinstance(world.turns[-1].step, Finished)
    extra = ("new", "a new treaty and a border", None)
    world.source.pool = ListPool([*world.source.pool.rows, extra])
    assert world.look()
    assert "new" in {r.id for r in world.dataset.scan()}


def test_records_that_somebody_else_logged_are_examples_and_never_logged_again() -> None:
    world = World()
    foreign = NewRecord(ROWS[0][0], ROWS[0][1], batch=0, route=Route.ASK)
    world.dataset.log([foreign])
    world.dataset._records[foreign.id] = replace(world.dataset._records[foreign.id], batch=None)
    world.dataset.answer(foreign.id, "Sports")
    turn = world.loop.turn()
    assert foreign.id not in {r.id for r in turn.records}
    assert {e.id for e in turn.seen.examples} == {foreign.id}


def test_a_record_the_server_refuses_does_not_end_the_batch_nor_come_back() -> None:
    world = World(labelled=12)
    refused = ROWS[12][0]
    real = world.dataset.log
    world.dataset.log = lambda records: (real([r for r in records if r.id != refused]), [refused])[1]  # type: ignore[method-assign]  # a server that refuses one text
    for _ in range(3):
        world.loop.turn()
        answer_all(world.dataset, GOLD)
    assert refused not in {r.id for r in world.dataset.scan()}
    assert len(list(world.dataset.scan())) == 4 + 5 + 5


def test_examples_that_allow_no_training_are_asked_about_instead() -> None:
    """The minimum is met, yet the learner refuses: people get a batch without suggestions, never nothing."""
    world = World(replace(RULES, min_examples_per_label=0), labelled=1)
    turn = world.loop.turn()
    assert turn.model is None
    assert len(turn.records) == 5
    assert all(r.suggestion is None for r in world.dataset.scan())


def test_a_batch_of_one_refused_record_is_followed_at_once() -> None:
    """Nothing was logged, so no state moves: it is looked again all the same."""
    world = World(replace(RULES, slice_size=1), labelled=12)
    refused = ROWS[12][0]
    real = world.dataset.log

    def log(records: Sequence[NewRecord]) -> list[str]:
        real([r for r in records if r.id != refused])
        return [r.id for r in records if r.id == refused]

    world.dataset.log = log  # type: ignore[method-assign]  # a server that refuses one text
    assert world.look()
    assert world.turns[-1].records == []
    assert world.look()
    assert [r.id for r in world.turns[-1].records] == [ROWS[13][0]]
