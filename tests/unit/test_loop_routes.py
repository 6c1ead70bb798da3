"""Whole turns over the in-memory dataset: what is asked, accepted, audited and held back."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from worlds import CentroidLearner, FixedSource, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import LoggedRecord, Origin, Route
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.plan import NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.checks import is_audited
from argilla_loop.simulate.precomputed import PrecomputedVectors

LABELS = ("World", "Sports", "Business")
LABELLED = 30
FIXED = Rules(
    slice_size=6, accept_limit=6, min_examples_per_label=3, min_accept_examples=10, certainty_threshold=0.6,
    evaluation_share=0.0,
    audit_rate=0.5,
)  # fmt: skip
DEMANDED = replace(FIXED, target_precision=0.8, confidence=0.8, audit_rate=0.2)


class World:
    """A loop over ``texts`` texts, the first ``LABELLED`` of them labelled from the start."""

    def __init__(
        self, rules: Rules, *, texts: int = 400, wrong: bool = False, labelled: int = LABELLED
    ) -> None:
        rows = sentences(texts)
        self.gold = {i: label for i, _, label in rows}
        if wrong:  # a world in which the model is always wrong about what it is not told
            self.gold |= {i: LABELS[(LABELS.index(label) + 1) % 3] for i, _, label in rows[labelled:]}
        pool = ListPool(
            [(i, text, label if n < labelled else None) for n, (i, text, label) in enumerate(rows)]
        )
        self.dataset = MemoryDataset(LABELS)
        self.learner = CentroidLearner()
        self.loop = Loop(
            self.dataset,
            FixedSource(pool),
            self.learner,
            PrecomputedVectors(self.learner.encoder, seed=42),
            rules,
        )

    def turns(self, count: int) -> list[Turn]:
        """So many turns; people answer all that waits after each."""
        made = []
        for _ in range(count):
            made.append(self.loop.turn())
            answer_all(self.dataset, self.gold)
        return made

    def records(self, route: Route) -> list[LoggedRecord]:
        return [record for record in self.dataset.scan() if record.route is route]


def acceptance(turn: Turn) -> Acceptance:
    assert isinstance(turn.step, NextBatch)
    return turn.plan.acceptance


def thresholds(turns: Iterable[Turn]) -> list[float | None]:
    return [
        decision.threshold for turn in turns for decision in list(acceptance(turn).decisions.values())[:1]
    ]


def test_with_a_fixed_threshold_its_share_of_what_is_certain_is_audited_and_the_rest_accepted() -> None:
    world = World(FIXED)
    world.turns(10)
    accepted, audited = world.records(Route.ACCEPT), world.records(Route.AUDIT)
    assert len(accepted) > 20
    assert 0.3 < len(audited) / (len(accepted) + len(audited)) < 0.7
    for record in accepted + audited:
        assert record.certainty is not None
        assert record.model is not None
        assert record.certainty > 0.6
        assert record.threshold == 0.6
        assert is_audited(record.id, record.model, 0.5) is (record.route is Route.AUDIT)


def test_an_audit_shows_no_suggestion_and_waits_for_a_person() -> None:
    world = World(FIXED)
    world.loop.turn()
    audited = world.records(Route.AUDIT)
    assert audited
    for record in audited:
        assert (record.suggestion, record.answers) == (None, ())
        assert record.prediction in LABELS


def test_without_audits_all_that_is_certain_is_accepted() -> None:
    world = World(replace(FIXED, audit_rate=0.0))
    world.turns(5)
    assert world.records(Route.ACCEPT)
    assert not world.records(Route.AUDIT)


def test_a_label_is_not_accepted_before_it_has_its_minimum_of_human_examples() -> None:
    world = World(replace(FIXED, min_accept_examples=12, audit_rate=0.0))  # each label has 10
    (turn,) = world.turns(1)
    assert set(acceptance(turn).below_accept_minimum) == set(LABELS)
    assert not world.records(Route.ACCEPT)
    world.turns(5)
    assert world.records(Route.ACCEPT)


def test_while_any_label_lacks_examples_nothing_is_accepted_or_audited() -> None:
    """Its texts would pass for other labels', with certainty."""
    world = World(replace(FIXED, min_examples_per_label=21, min_accept_examples=0), labelled=60)
    (turn,) = world.turns(1)
    assert acceptance(turn).missing
    assert {record.route for record in world.dataset.scan()} == {Route.ASK}


def test_a_demanded_precision_accepts_nothing_until_checks_suffice_and_then_does() -> None:
    world = World(DEMANDED)
    turns = world.turns(12)
    found = thresholds(turns)
    first = next(n for n, threshold in enumerate(found) if threshold is not None)
    assert first > 1
    assert all(record.batch is not None and record.batch >= first for record in world.records(Route.ACCEPT))
    assert world.records(Route.ACCEPT)
    before = [r for r in world.records(Route.AUDIT) if r.batch is not None and r.batch < first]
    assert len(before) >= 11  # the fewest checks that speak for 80% at an error of 10%


def test_while_evidence_is_lacking_half_of_the_slice_is_audited_and_no_more_records_are_logged() -> None:
    world = World(DEMANDED)
    (turn,) = world.turns(1)
    assert Counter(record.route for record in turn.records) == {Route.AUDIT: 3, Route.ASK: 3}


def test_where_the_model_is_wrong_nothing_is_ever_accepted() -> None:
    world = World(DEMANDED, wrong=True)
    turns = world.turns(6)
    assert set(thresholds(turns)) == {None}
    assert not world.records(Route.ACCEPT)
    assert world.records(Route.AUDIT)


def test_accepting_stops_at_once_when_audits_turn_out_wrong() -> None:
    world = World(DEMANDED)
    world.turns(12)
    assert world.records(Route.ACCEPT)
    world.gold = {
        i: LABELS[(LABELS.index(label) + 1) % 3] for i, label in world.gold.items()
    }  # people change
    world.loop.turn()
    answer_all(world.dataset, world.gold)
    for _ in range(8):  # until an audit has come up
        before = len(world.records(Route.ACCEPT))
        (turn,) = world.turns(1)
        decision = next(iter(acceptance(turn).decisions.values()))
        if decision.stopped:
            break
    assert decision.stopped
    assert len(world.records(Route.ACCEPT)) == before


def test_a_fixed_threshold_with_a_least_precision_waits_for_checks_too() -> None:
    world = World(replace(FIXED, min_precision=0.8, confidence=0.8))
    turns = world.turns(8)
    assert thresholds(turns)[0] is None
    assert thresholds(turns)[-1] == 0.6
    assert world.records(Route.ACCEPT)


def test_a_share_is_held_back_shown_without_suggestion_never_learnt_from_and_measured() -> None:
    world = World(replace(FIXED, evaluation_share=0.25))
    turns = world.turns(8)
    held = {record.id for record in world.dataset.scan() if record.held_back}
    assert len(held) == 12  # a quarter of eight slices of six
    for record in world.dataset.scan():
        if record.held_back:
            assert (record.route, record.suggestion) == (Route.ASK, None)
            assert record.prediction in LABELS
    learnt = {example.id for fitted in world.learner.fitted for example in fitted}
    assert not learnt & held
    assert turns[0].held_back is None
    right, checked = turns[-1].held_back or (0, 0)
    assert checked == len([r for r in world.dataset.scan() if r.held_back and (r.batch or 0) < 7])
    assert right > 0.8 * checked


def test_the_models_own_examples_never_outnumber_peoples() -> None:
    world = World(
        replace(FIXED, train_on_model=True, audit_rate=0.0, accept_limit=20, self_training_ratio=0.5)
    )
    world.turns(10)
    origins: Counter[tuple[str, Origin]] = Counter(
        (example.label, example.origin) for example in world.learner.fitted[-1]
    )
    for label in LABELS:
        assert 0 < origins[label, Origin.MODEL] <= 0.5 * origins[label, Origin.HUMAN]
    assert len(world.records(Route.ACCEPT)) > sum(origins[label, Origin.MODEL] for label in LABELS)


def test_the_same_answers_give_the_same_routes() -> None:
    first, second = World(DEMANDED), World(DEMANDED)
    first.turns(8)
    second.turns(8)
    assert [(r.id, r.route, r.threshold) for r in first.dataset.scan()] == [
        (r.id, r.route, r.threshold) for r in second.dataset.scan()
    ]


def test_a_promise_for_the_dataset_accepts_as_much_as_it_allows_and_holds_after_each_turn() -> None:
    rules = replace(FIXED, target_precision=0.8, confidence=0.8, promise="dataset", accept_limit=None)
    world = World(rules)
    limited = unlimited = 0
    for turn in world.turns(20):
        if not isinstance(turn.step, NextBatch):
            break
        room = turn.plan.acceptance.room
        accepted = sum(record.route is Route.ACCEPT for record in turn.records)
        assert accepted <= room
        limited += 0 < accepted < math.inf and room < math.inf
        unlimited += accepted > 0 and room == math.inf
        if accepted:
            after = world.loop.turn().plan.acceptance
            assert after.covered
    assert limited
    assert unlimited


def test_an_annotator_who_errs_once_in_the_loop_is_asked_again_and_the_audit_counts_as_right() -> None:
    world = World(replace(DEMANDED, second_looks=True))
    world.loop.turn()
    audit = next(record for record in world.dataset.scan() if record.route is Route.AUDIT)
    world.dataset.answer(audit.id, "Sports" if world.gold[audit.id] != "Sports" else "World")
    answer_all(world.dataset, world.gold)

    for _ in range(2):
        turn = world.loop.turn()
        looks = [record for record in turn.records if record.second_look_of is not None]
        assert [look.second_look_of for look in looks] == [audit.id]
        assert len(turn.records) == len({record.id for record in turn.records})
        assert sum(record.route is not Route.ACCEPT for record in turn.records) <= DEMANDED.slice_size
        world.gold |= {look.id: world.gold[audit.id] for look in looks}
        answer_all(world.dataset, world.gold)

    turn = world.loop.turn()
    assert not any(record.second_look_of for record in turn.records)
    (one,) = (one for one in turn.seen.records if one.record.id == audit.id)
    assert one.is_right
    assert one.label == world.gold[audit.id]
    assert all(check.right for check in turn.seen.checks)


def test_with_refill_at_people_always_have_something_to_do_and_left_out_audits_hold_back_the_evidence() -> (
    None
):
    """The annotator leaves one audit for later: what is answered of its batch and of later ones is no evidence yet."""
    world = World(replace(DEMANDED, refill_at=2))
    turn = world.loop.turn()
    left_out = next(record.id for record in turn.records if record.route is Route.AUDIT)
    before = len(turn.seen.checks)
    rule = AnswerRule(world.dataset.service_user_id)
    for _ in range(3):
        waiting = [one.id for one in world.dataset.scan() if not adjudicate(one, rule).is_done]
        for record_id in [one for one in waiting if one != left_out][: len(waiting) - 2]:
            assert not world.loop.turn().records  # enough to do
            world.dataset.answer(record_id, world.gold[record_id])
        turn = world.loop.turn()
        assert turn.records
        assert len(turn.seen.checks) == before
    assert {record.batch for record in world.dataset.scan()} == {0, 1, 2, 3}

    world.dataset.answer(left_out, world.gold[left_out])
    assert len(world.loop.turn().seen.checks) > before
