"""What ``finish`` may accept and audits, on small numbers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import TOPICS, CentroidLearner, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import FloatArray, HalfArray, IndexArray, LoggedRecord, NewRecord, Pool, Route
from argilla_loop.errors import RetryableError, SettingsError
from argilla_loop.loop.decision import decide
from argilla_loop.loop.finish import Proposal, accept, propose
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.matching import Match, Matcher
from argilla_loop.policy.plan import Plan
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.bound import lower_bound
from argilla_loop.policy.validation.finish import Wish, last_round, wanted_levels, wrong_allowed
from argilla_loop.policy.validation.promise import AcceptanceDecision, AuditResult, decide_for_dataset

LEARNER = CentroidLearner()
GRANTED, OPEN = AcceptanceDecision(0.8), AcceptanceDecision(None, missing=12)


def test_by_default_only_granted_labels_are_accepted_above_their_own_threshold() -> None:
    acceptance = Acceptance(
        Rules(target_precision=0.9, promise="label"),
        ("a", "b", "c"),
        decisions={"a": GRANTED, "b": OPEN, "c": GRANTED},
        below_accept_minimum={"c": 3},
    )
    level = wanted_levels(("a", "b", "c"), acceptance, Wish())
    assert level.granted.tolist() == [True, False, False] or not np.isfinite(level.above[2])
    assert level.acceptable(np.array([0, 0, 1, 2]), np.array([0.81, 0.8, 1.0, 1.0])).tolist() == [
        True, False, False, False,
    ]  # fmt: skip


def test_a_given_certainty_overrides_what_was_granted() -> None:
    acceptance = Acceptance(Rules(target_precision=0.9), ("a", "b"), missing={"b": 2}, decisions={"a": OPEN})
    level = wanted_levels(("a", "b"), acceptance, Wish(min_certainty=0.6))
    assert level.acceptable(np.array([0, 1, 1]), np.array([0.61, 0.7, 0.6])).tolist() == [True, True, False]


def test_a_label_that_lacks_examples_holds_back_all() -> None:
    acceptance = Acceptance(Rules(), ("a", "b"), missing={"b": 2}, decisions={"a": GRANTED, "b": GRANTED})
    assert not wanted_levels(("a", "b"), acceptance, Wish()).acceptable(np.array([0, 1]), np.ones(2)).any()


@pytest.mark.parametrize(
    ("rules", "people", "wish"),
    [
        (Rules(), 2, Wish(min_certainty=0.5)),
        (Rules(certainty_threshold=None), 1, Wish()),
        (Rules(), 1, Wish(promise=True)),
    ],
)
def test_what_cannot_be_accepted_is_refused(rules: Rules, people: int, wish: Wish) -> None:
    with pytest.raises(SettingsError):
        wanted_levels((), Acceptance(rules, ("a",), min_submitted=people), wish)


@given(
    acceptable=st.integers(0, 20_000),
    rate=st.sampled_from([0.01, 0.1, 1.0]),
    required=st.sampled_from([None, 0.6, 0.95, 0.99]),
    low=st.floats(0, 1),
)
def test_the_last_round_is_large_enough_to_say_something_and_small_enough_to_be_answered(
    acceptable: int, rate: float, required: float | None, low: float
) -> None:
    acceptance = Acceptance(Rules(audit_rate=rate, target_precision=required), ("a",))
    last = last_round(acceptable, acceptance, Estimate(max(low, 0.5), low, 1.0, 0))
    assert last.audits <= min(-(-acceptable // 2), 500)
    assert required is None or last.claim == required
    if last.wrong is None:
        assert lower_bound(last.audits, last.audits, 0.05) < last.claim
    else:
        assert lower_bound(last.audits - last.wrong, last.audits, 0.05) >= last.claim
        assert lower_bound(max(last.audits - last.wrong - 1, 0), last.audits, 0.05) < last.claim


def test_a_promise_for_the_dataset_limits_what_is_accepted_and_says_what_would_allow_more() -> None:
    """A random part of what is certain enough is taken; with a certainty that the operator gives, all of it is."""
    dataset = MemoryDataset(tuple(TOPICS))
    rules = Rules(target_precision=0.95, promise="dataset", min_accept_examples=0)
    assert rules.criterion is not None
    right = [AuditResult(label, 0.99, right=True, above=0.6) for label in TOPICS for _ in range(6)]
    plan, match = observed(dataset)
    decision = decide_for_dataset(right, rules.criterion, 60, {})
    acceptance = replace(plan.acceptance, rules=rules, decisions=dict.fromkeys(plan.seen.labels, decision))
    limited = replace(plan, acceptance=acceptance)

    def of(wish: Wish) -> Proposal:
        return propose(
            limited, POOL, match.left, ExactVectors(POOL), lambda: LEARNER.fit(plan.seen.examples), wish
        )

    made, everything = of(Wish()), of(Wish(min_certainty=0.6))
    assert len(made.acceptable) == decision.room < len(everything.acceptable)
    assert set(made.acceptable.tolist()) < set(everything.acceptable.tolist())
    assert sum(made.open.values()) + len(made.acceptable) == len(match.left)
    assert any("the promise for the dataset allows no more yet" in reason for reason in made.open)
    assert acceptance.thresholds
    assert acceptance.granted == {}


def test_without_an_audit_rate_nothing_is_audited() -> None:
    last = last_round(1000, Acceptance(Rules(audit_rate=0.0), ("a",)), Estimate(0.97, 0.94, 0.99, 0))
    assert (last.audits, last.wrong) == (0, None)


def test_how_many_may_be_wrong_by_known_values() -> None:
    assert [wrong_allowed(n, 0.95, 0.05) for n in (58, 59, 92, 93, 124)] == [None, 0, 0, 1, 2]


class ExactVectors:
    """``domain.Vectors`` that embeds when asked."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    def follow(self, pool: Pool) -> None: ...

    def ready(self, pool: Pool, *, at_least: int) -> IndexArray:
        return np.arange(len(pool))[: max(at_least, len(pool))]

    def rows(self, positions: IndexArray) -> HalfArray:
        rows: FloatArray = LEARNER.encoder.encode(self.pool.texts(positions))
        return rows.astype(np.float16)

    def prefix(self, n: int) -> IndexArray:
        return np.arange(min(n, len(self.pool)))


class DyingDataset(MemoryDataset):
    """Fails at the request with that number, before or after it took effect."""

    requests = 0
    fails_at = -1
    too_late = False

    def log(self, records: list[NewRecord]) -> list[str]:  # type: ignore[override]  # the test passes lists
        self.requests += 1
        if self.requests == self.fails_at and not self.too_late:
            raise RetryableError("away")
        refused = super().log(records)
        if self.requests == self.fails_at:
            raise RetryableError("the reply was lost")
        return refused


POOL = ListPool([(i, text, label if n < 60 else None) for n, (i, text, label) in enumerate(sentences(1700))])
GOLD = {i: label for i, _, label in sentences(1700)}
RULES = Rules(certainty_threshold=0.5)
WISH = Wish()


def observed(dataset: MemoryDataset) -> tuple[Plan, Match]:
    rule = AnswerRule(dataset.service_user_id)
    records = [adjudicate(record, rule) for record in dataset.scan()]
    match = Matcher().match(POOL, [one.record for one in records])
    return decide(records, POOL, len(match.left), dataset.info, RULES), match


def proposed(dataset: MemoryDataset) -> tuple[Plan, Match, Proposal]:
    plan, match = observed(dataset)
    made = propose(plan, POOL, match.left, ExactVectors(POOL), lambda: LEARNER.fit(plan.seen.examples), WISH)
    return plan, match, made


def finish(dataset: MemoryDataset) -> Proposal:
    plan, match, made = proposed(dataset)
    accept(dataset, POOL, match, made, first_batch=plan.seen.next_number, task=plan.seen.task)
    return made


def test_interrupted_between_any_two_requests_it_ends_as_an_undisturbed_run() -> None:
    undisturbed = MemoryDataset(list(TOPICS))
    made = finish(undisturbed)
    expected = logged(undisturbed)
    assert len(made.acceptable) > 1000
    assert {record.batch for record in expected} == {0, 1, 2, 3}
    for at, too_late in itertools.product(range(1, 5), (False, True)):
        dataset = DyingDataset(list(TOPICS))
        dataset.fails_at, dataset.too_late = at, too_late
        with pytest.raises(RetryableError):
            finish(dataset)
        finish(dataset)
        assert logged(dataset) == expected


def test_audits_come_last_and_are_a_random_tenth() -> None:
    dataset = MemoryDataset(list(TOPICS))
    made = finish(dataset)
    routes = {
        record.batch: {r.route for r in logged(dataset) if r.batch == record.batch}
        for record in logged(dataset)
    }
    assert routes.pop(max(batch for batch in routes if batch is not None)) == {Route.AUDIT}
    assert set().union(*routes.values()) == {Route.ACCEPT}
    assert made.audits == -(-len(made.acceptable) // 10)


def test_audits_that_this_model_drew_before_count() -> None:
    dataset = MemoryDataset(list(TOPICS))
    first = finish(dataset)
    again = proposed(dataset)[2]
    assert again.model.version == first.model.version
    assert (len(again.acceptable), again.audits, again.last) == (0, 0, first.last)


def test_what_people_answer_to_its_audits_are_checks() -> None:
    dataset = MemoryDataset(list(TOPICS))
    made = finish(dataset)
    answered = answer_all(dataset, GOLD)
    assert answered == made.audits
    assert len(observed(dataset)[0].seen.checks) == answered


def logged(dataset: MemoryDataset) -> list[LoggedRecord]:
    """All records without the times of their answers."""
    records = sorted(dataset.scan(), key=lambda record: record.id)
    return [
        LoggedRecord(
            r.id, r.text, r.batch, r.route, r.certainty, r.model, r.suggestion, r.prediction, r.threshold,
            service_user=r.service_user,
        )
        for r in records
    ]  # fmt: skip


@pytest.mark.parametrize(("wish", "named"), [(Wish(), True), (Wish(min_certainty=0.5), False)])
def test_what_is_accepted_by_a_given_certainty_is_under_no_promise(
    wish: Wish, *, named: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        f"{__name__}.RULES", Rules(certainty_threshold=0.5, min_precision=0.5, confidence=0.5)
    )
    monkeypatch.setattr(f"{__name__}.WISH", wish)
    made = proposed(MemoryDataset(list(TOPICS)))[2]
    assert (made.promise is not None) is named
