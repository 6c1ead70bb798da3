"""Taking accepted records back: which ones, what becomes of them, and what a stop of accepting brings about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import pytest
from adjudicated import read, read_all
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from worlds import CentroidLearner, FixedSource, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import Answer, LoggedRecord, Model, NewRecord, Route
from argilla_loop.loop.revoke import CHUNK, model_of_people, revoke_records
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.answers import AnswerRule, accepted_by_model, is_half_revoked
from argilla_loop.policy.plan import NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.promise import AcceptanceDecision
from argilla_loop.policy.validation.revocation import (
    RevocationFilter,
    asked_again,
    failed_versions,
    revocable,
    settled,
    stopped_labels,
)
from argilla_loop.service.observers.failed_audits import FailedAudits, revoke_command
from argilla_loop.simulate.precomputed import PrecomputedVectors

LABELS = ("World", "Sports", "Business")
DAEMON = "daemon"
Status = Literal["submitted", "discarded", "draft"]


def answer(
    label: str | None = "Sports", *, user: str = "ann", status: Status = "submitted", at: str = "1"
) -> Answer:
    return Answer(user, status, label, at)


OURS = answer(user=DAEMON)


def record(  # by name
    record_id: str = "a",
    *answers: Answer,
    route: Route = Route.ACCEPT,
    certainty: float = 0.95,
    model: str = "svm-1",
    label: str = "Sports",
    held_back: bool = False,
) -> LoggedRecord:
    shown = None if route is Route.AUDIT or held_back else label
    return LoggedRecord(
        record_id, f"text of {record_id}", 3, route, certainty, model, shown, label, 0.9, held_back, answers
    )


def test_only_what_the_daemon_validated_can_be_taken_back() -> None:
    """Or what an interrupted revocation left; never what a person settled with the daemon's account."""
    records = [
        record("accepted", OURS),
        record("confirmed", OURS, answer()),
        record("half"),
        record("half, answered since", answer("World")),
        record("corrected with our account", answer("World", user=DAEMON)),
        record("discarded with our account", answer(None, user=DAEMON, status="discarded")),
        record("drafted with our account", answer(user=DAEMON, status="draft")),
        record("asked", answer(), route=Route.ASK),
        record("answered with our account", OURS, route=Route.ASK),
        record("audited", OURS, route=Route.AUDIT),
        LoggedRecord("of others", "text", answers=(OURS,)),
    ]
    assert [one.record.id for one in revocable(read_all(records, DAEMON), RevocationFilter())] == [
        "accepted", "confirmed", "half", "half, answered since",
    ]  # fmt: skip
    assert [r.id for r in records if is_half_revoked(r, DAEMON)] == ["half", "half, answered since"]


@pytest.mark.parametrize("looks", [DAEMON, "standby", "ann"])
def test_what_one_users_service_validated_another_users_can_take_back(looks: str) -> None:
    """And a record that is half taken back is so to both; whose account corrected it does not matter."""
    records = [
        replace(one, service_user=DAEMON)
        for one in (
            record("accepted", OURS),
            record("corrected", OURS, answer("World")),
            record("half"),
            record("half, answered since", answer()),
            record("corrected with the first's account", answer("World", user=DAEMON)),
        )
    ]
    assert [one.record.id for one in revocable(read_all(records, looks), RevocationFilter())] == [
        "accepted", "corrected", "half", "half, answered since",
    ]  # fmt: skip
    assert [bool(read(r, looks).answers) for r in records] == [False, True, False, True, True]
    assert settled(read(records[1], looks)).route is Route.AUDIT


@given(
    models=st.frozensets(st.sampled_from(["svm-1", "svm-2"])),
    labels=st.frozensets(st.sampled_from(["Sports", "World"])),
    below=st.none() | st.sampled_from([0.9, 0.93, 1.0]),
)
def test_filters_hold_together(models: frozenset[str], labels: frozenset[str], below: float | None) -> None:
    """A record is taken if each filter by itself takes it; a filter that is not given takes all."""
    for one in (
        record(model=m, label=label, certainty=c)
        for m in ("svm-1", "svm-2")
        for label in ("Sports", "World")
        for c in (0.9, 0.92, 0.93, 1.0)
    ):
        alone = [
            RevocationFilter(models=models),
            RevocationFilter(labels=labels),
            RevocationFilter(below=below),
        ]
        assert RevocationFilter(models, labels, below).takes(one) is all(which.takes(one) for which in alone)
        assert RevocationFilter(below=below).takes(one) is (below is None or (one.certainty or 0.0) < below)
        assert RevocationFilter().takes(one)


def test_what_people_corrected_stays_evidence() -> None:
    """The very same checks before and after: else taking back what a stop was for would end the stop."""
    before = [
        record("corrected", OURS, answer("World")),
        record("discarded", OURS, answer(None, status="discarded")),
        record("confirmed", OURS, answer()),
    ]
    after = []
    for one in before:
        new = settled(read(one, DAEMON))
        after.append(
            replace(
                one, route=new.route, suggestion=new.suggestion, prediction=new.label, certainty=new.certainty,
                threshold=new.threshold, answers=tuple(a for a in one.answers if a != OURS),
            )
        )  # fmt: skip
    assert [one.route for one in after] == [Route.AUDIT, Route.AUDIT, Route.ASK]
    checks = checks_from(read_all(before, DAEMON))
    assert len(checks) == 2
    assert checks_from(read_all(after, DAEMON)) == checks


def test_what_waits_for_people_keeps_its_batch_and_nothing_of_the_old_model() -> None:
    assert asked_again(record()) == NewRecord("a", "text of a", 3, Route.ASK)
    assert asked_again(record(), "World", 0.6, "svm-2") == NewRecord(
        "a", "text of a", 3, Route.ASK, "World", 0.6, "svm-2"
    )


@pytest.mark.parametrize(
    ("one", "failed"),
    [
        (record("a", answer("World"), route=Route.AUDIT), True),
        (record("a", answer(None, status="discarded"), route=Route.AUDIT), True),
        (record("a", OURS, answer("World")), True),
        (record("a", answer("World")), True),  # half taken back
        (record("a", answer(), route=Route.AUDIT), False),
        (record("a", OURS, answer()), False),
        (record("a", OURS), False),
        (record("a", answer("World", status="draft"), route=Route.AUDIT), False),
        (record("a", answer("World"), route=Route.ASK), False),
        (record("a", answer("World"), route=Route.ASK, held_back=True), False),
        (record("a", answer("Sports"), route=Route.AUDIT, label="Business"), False),  # not stopped
    ],
)
def test_a_version_failed_that_was_wrong_about_an_audit_or_what_it_accepted(
    one: LoggedRecord, *, failed: bool
) -> None:
    found = failed_versions(read_all([one], DAEMON), {"Sports"})
    assert found == (frozenset({"svm-1"}) if failed else frozenset())


def test_stopped_labels_are_those_that_lost_what_they_had() -> None:
    decisions = {
        "World": AcceptanceDecision(0.9, 100, 99, 0.95),
        "Sports": AcceptanceDecision(None, 100, 80, 0.7, 20, stopped=True),
        "Business": AcceptanceDecision(None, 10, 10, 0.7, 20),
    }
    assert stopped_labels(decisions) == {"Sports"}


def test_the_command_to_type_can_be_pasted() -> None:
    assert revoke_command({"svm-2", "svm-1"}, LABELS, LABELS) == (
        "argilla-loop revoke -c FILE --model-version svm-1 --model-version svm-2"
    )
    assert revoke_command({"svm-1"}, {"World news"}, [*LABELS, "World news"]).endswith("--label 'World news'")


class KilledError(Exception):
    """Stands for a process that dies."""


class Killable(MemoryDataset):
    """Dies between the two steps of the chunk with that number."""

    dies_in: int | None = None

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in < 0:
                raise KilledError
        super().return_to_queue(records)


COUNT = 2 * CHUNK + 20


def accepted_dataset() -> Killable:
    """Accepted records, of which people corrected one, confirmed one, and began one."""
    dataset = Killable(LABELS)
    rows = sentences(COUNT)
    dataset.log([NewRecord(i, t, 3, Route.ACCEPT, lab, 0.95, "svm-1", 0.9) for i, t, lab in rows])
    dataset.answer(rows[0][0], "Business")
    dataset.answer(rows[CHUNK][0], rows[CHUNK][2])
    dataset.answer(rows[-1][0], "World", status="draft")
    return dataset


def fresh(dataset: MemoryDataset) -> Model | None:
    rows = [(f"seed{i}", text, label) for i, text, label in sentences(30)]
    return model_of_people(
        read_all(dataset.scan(), dataset.service_user_id), ListPool(rows), CentroidLearner(), None
    )


def state(dataset: MemoryDataset) -> dict[str, Any]:
    """All but the times of answers."""
    return {
        r.id: replace(r, answers=tuple(replace(a, updated_at="") for a in r.answers)) for r in dataset.scan()
    }


def revoke_all(dataset: MemoryDataset, model: Callable[[], Model | None]) -> int:
    chosen = revocable(read_all(dataset.scan(), dataset.service_user_id), RevocationFilter())
    revoke_records(dataset, chosen, model, rule=AnswerRule(dataset.service_user_id))
    return len(chosen)


@pytest.mark.parametrize("dies_in", [0, 1, 2])
def test_killed_between_the_steps_and_resumed_it_ends_as_if_nothing_had_happened(dies_in: int) -> None:
    undisturbed, killed = accepted_dataset(), accepted_dataset()
    model = fresh(undisturbed)
    assert model is not None
    assert revoke_all(undisturbed, lambda: model) == COUNT
    killed.dies_in = dies_in
    with pytest.raises(KilledError):
        revoke_all(killed, lambda: model)
    half = [r for r in killed.scan() if is_half_revoked(r, killed.service_user_id)]
    assert 0 < len(half) <= CHUNK
    killed.dies_in = None
    assert revoke_all(killed, lambda: model) == COUNT - dies_in * CHUNK
    assert state(killed) == state(undisturbed)
    assert revoke_all(killed, lambda: model) == 0


def test_another_users_service_ends_what_the_first_was_killed_in() -> None:
    undisturbed, killed = accepted_dataset(), accepted_dataset()
    model = fresh(undisturbed)
    assert model is not None
    revoke_all(undisturbed, lambda: model)
    killed.dies_in = 1
    with pytest.raises(KilledError):
        revoke_all(killed, lambda: model)
    killed.dies_in = None
    other = killed.seen_by("standby")
    assert revoke_all(other, lambda: model) == COUNT - CHUNK
    assert state(other) == state(killed) == state(undisturbed)


def test_what_people_answer_while_it_runs_counts_as_if_answered_before() -> None:
    """A correction given since the records were looked through stays evidence."""
    dataset = accepted_dataset()
    model = fresh(dataset)
    stale = revocable(read_all(dataset.scan(), dataset.service_user_id), RevocationFilter())
    late = next(one.record for one in stale[CHUNK + 1 :] if one.record.prediction != "World")
    revoke_records(
        dataset,
        stale,
        lambda: model,
        rule=AnswerRule(dataset.service_user_id),
        on_chunk=lambda _: dataset.answer(late.id, "World"),
    )
    seen = {r.id: r for r in dataset.scan()}[late.id]
    assert (seen.route, seen.model, [a.label for a in seen.answers]) == (Route.AUDIT, "svm-1", ["World"])


def test_people_are_asked_with_what_a_model_of_people_says_by_now() -> None:
    dataset = accepted_dataset()
    first, middle, last = (sentences(COUNT)[n][0] for n in (0, CHUNK, -1))
    model = fresh(dataset)
    assert model is not None
    revoke_all(dataset, lambda: model)
    seen = {r.id: r for r in dataset.scan()}
    assert not any(accepted_by_model(r, dataset.service_user_id) for r in seen.values())
    assert seen[first].route is Route.AUDIT
    assert [seen[i].model for i in (first, middle, last)] == ["svm-1", "svm-1", model.version]
    assert [a.label for i in (first, middle, last) for a in seen[i].answers] == [
        "Business", sentences(COUNT)[CHUNK][2], "World",
    ]  # fmt: skip
    for one in seen.values():
        if one.id not in (first, middle):
            assert (one.route, one.model, one.batch, one.threshold) == (Route.ASK, model.version, 3, None)
            probabilities = model.predict_proba([one.text])[0]
            assert one.suggestion == one.prediction == model.labels[int(probabilities.argmax())]
            # rounded to six digits, and a text scored alone differs in the last bit from one scored among others
            assert one.certainty == pytest.approx(float(probabilities.max()), abs=2e-6)


def test_where_no_model_can_be_trained_people_are_asked_without_a_suggestion() -> None:
    dataset = accepted_dataset()
    records = read_all(dataset.scan(), dataset.service_user_id)
    model = model_of_people(records, ListPool([]), LearnsNothing(), None)
    assert model is None
    revoke_all(dataset, lambda: None)
    asked = [r for r in dataset.scan() if not r.answers]
    assert len(asked) == COUNT - 3
    assert {(r.route, r.suggestion, r.prediction, r.certainty, r.model) for r in asked} == {
        (Route.ASK, None, None, None, None)
    }


class LearnsNothing(CentroidLearner):
    """Is given examples of people only, and too few."""

    def fit(self, examples: Any, **more: Any) -> Any:
        assert {example.origin.value for example in examples} == {"human"}
        return super().fit(examples[:1], **more)


RULES = Rules(
    slice_size=6, accept_limit=6, min_examples_per_label=3, min_accept_examples=10, certainty_threshold=0.6,
    evaluation_share=0.0,
    target_precision=0.8, confidence=0.8, audit_rate=0.2,
)  # fmt: skip


class World:
    """A loop that sees to failed audits, and people who begin to answer otherwise than the model expects."""

    def __init__(self, rules: Rules = RULES, *, revoke: bool) -> None:
        rows = sentences(500)
        self.gold = {i: label for i, _, label in rows}
        source = FixedSource(
            ListPool([(i, text, label if n < 30 else None) for n, (i, text, label) in enumerate(rows)])
        )
        self.dataset = MemoryDataset(LABELS)
        learner = CentroidLearner()
        vectors = PrecomputedVectors(learner.encoder, seed=42)
        self.failed_audits = FailedAudits(self.dataset, source, learner, vectors, rules, revoke=revoke)
        self.loop = Loop(self.dataset, source, learner, vectors, rules)

    def accepted(self) -> list[LoggedRecord]:
        records = read_all(self.dataset.scan(), self.dataset.service_user_id)
        return [one.record for one in revocable(records, RevocationFilter())]

    def turn(self) -> tuple[Turn, list[Any]]:
        """A turn, what was logged at it, and people who answer everything."""
        with capture_logs() as said:
            turn = self.loop.turn()
            self.failed_audits(turn)
        answer_all(self.dataset, self.gold)
        return turn, said

    def until_stopped(self) -> tuple[Turn, list[Any], list[LoggedRecord]]:
        """Turns until accepting has stopped: that turn, what was logged, and what had been accepted before it."""
        while len(self.accepted()) < 20:
            self.turn()
        self.gold = {i: LABELS[(LABELS.index(label) + 1) % 3] for i, label in self.gold.items()}
        for _ in range(12):
            before = self.accepted()
            turn, said = self.turn()
            if isinstance(turn.step, NextBatch) and stopped_labels(turn.plan.acceptance.decisions):
                return turn, said, before
        raise AssertionError("never stopped")


def events(said: list[Any]) -> list[str]:
    return [e["event"] for e in said if e["event"].startswith("accept")]


def test_a_stop_is_said_once_with_the_command_to_type() -> None:
    world = World(revoke=False)
    _, said, before = world.until_stopped()
    (event,) = [e for e in said if e["event"] == "accepting_stopped"]
    assert event["log_level"] == "warning"
    assert event["versions"]
    assert event["then"] == revoke_command(event["versions"], LABELS, LABELS)
    assert world.accepted() == before  # nothing is taken back unasked
    _, said = world.turn()
    assert events(said) == []


@pytest.mark.parametrize("train_on_model", [False, True])
def test_a_stop_takes_back_once_what_the_failed_versions_accepted(*, train_on_model: bool) -> None:
    """And stays a stop: what it was for is still known."""
    world = World(replace(RULES, train_on_model=train_on_model), revoke=True)
    turn, said, before = world.until_stopped()
    assert events(said) == ["accepting_stopped", "accepted_revoked"]
    event = next(e for e in said if e["event"] == "accepted_revoked")
    failed = set(event["versions"])
    assert event["records"] == sum(event["versions"].values()) == sum(r.model in failed for r in before) > 0
    assert world.accepted() == [r for r in before if r.model not in failed]
    assert turn.model is not None
    again = {r.id: r for r in world.dataset.scan() if r.id in {b.id for b in before if b.model in failed}}
    assert all(r.route is Route.ASK and r.model not in failed for r in again.values())
    if not train_on_model:
        assert {r.model for r in again.values()} == {turn.model.version}
    turn, said = world.turn()
    assert isinstance(turn.step, NextBatch)
    assert stopped_labels(turn.plan.acceptance.decisions) == set(LABELS)
