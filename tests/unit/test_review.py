"""Which accepted records are reviewed, what becomes of them, and when their answers are checks."""

from __future__ import annotations

import pytest

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import NewRecord, Route
from argilla_loop.loop.revoke import requeue_records
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate, examples_from
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.review import asked_for_review, drawn, reviewable, why_no_check
from argilla_loop.policy.validation.revocation import RevocationFilter

ALL = RevocationFilter()


@pytest.fixture
def dataset() -> MemoryDataset:
    made = MemoryDataset(["a, b", "c"])
    made.log(
        [
            NewRecord(
                f"r{n:02d}",
                f"text {n}",
                3,
                Route.ACCEPT,
                "c" if n % 2 else "a, b",
                0.91 + n / 1000,
                "m-1",
                0.9,
            )
            for n in range(40)
        ]
    )
    return made


def read(dataset: MemoryDataset) -> list[AdjudicatedRecord]:
    return [adjudicate(record, AnswerRule(dataset.service_user_id)) for record in dataset.scan()]


def put_back(dataset: MemoryDataset, chosen: list[AdjudicatedRecord], *, blind: bool, check: bool) -> None:
    requeue_records(
        dataset,
        chosen,
        lambda chunk: {
            one.record.id: asked_for_review(one.record, blind=blind, check=check) for one in chunk
        },
        rule=AnswerRule(dataset.service_user_id),
        task="returning_records",
    )


@pytest.mark.parametrize(
    ("blind", "check", "route", "shown"),
    [(True, True, Route.AUDIT, False), (True, False, Route.ASK, False), (False, False, Route.ASK, True)],
)
def test_the_label_is_kept_aside_and_answers_count_as_told(
    dataset: MemoryDataset, *, blind: bool, check: bool, route: Route, shown: bool
) -> None:
    chosen = drawn(reviewable(read(dataset), ALL), 10, 1)
    put_back(dataset, chosen, blind=blind, check=check)
    before = {one.record.id: one.record for one in chosen}
    for record in dataset.fetch(before):
        was = before[record.id]
        assert (record.route, record.answers, record.service_user) == (route, (), None)
        assert (record.prediction, record.certainty, record.model, record.threshold, record.batch) == (
            was.prediction, was.certainty, was.model, was.threshold, was.batch,
        )  # fmt: skip
        assert record.suggestion == (was.prediction if shown else None)
        dataset.answer(record.id, "c")
    checks = checks_from(read(dataset))
    assert len(checks) == (10 if check else 0)
    assert all(one.above == 0.9 and one.right is (one.label == "c") for one in checks)
    assert len(examples_from(read(dataset), with_model=False)) == 10


def test_a_sample_of_fewer_is_part_of_a_sample_of_more_and_the_rest_follows(dataset: MemoryDataset) -> None:
    wanted = [one.record.id for one in drawn(reviewable(read(dataset), ALL), 20, 7)]
    first = drawn(reviewable(read(dataset), ALL), 8, 7)
    put_back(dataset, first, blind=True, check=True)
    rest = drawn(reviewable(read(dataset), ALL), 12, 7)
    assert [one.record.id for one in [*first, *rest]] == wanted
    assert wanted != [one.record.id for one in drawn(reviewable(read(dataset), ALL), 20, 8)]


def test_what_people_answered_is_left_alone_and_an_interrupted_return_is_finished(
    dataset: MemoryDataset,
) -> None:
    dataset.answer("r00", "c")
    dataset.answer("r01", None, status="discarded")
    dataset.withdraw_own(["r02"])  # killed after the first step
    ids = {one.record.id for one in reviewable(read(dataset), ALL)}
    assert ids == {f"r{n:02d}" for n in range(2, 40)}


def test_an_answer_that_comes_in_between_is_settled_as_in_a_revocation(dataset: MemoryDataset) -> None:
    chosen = drawn(reviewable(read(dataset), ALL), 1, 1)
    wrong = "c" if chosen[0].record.prediction != "c" else "a, b"
    dataset.answer(chosen[0].record.id, wrong)
    put_back(dataset, chosen, blind=False, check=False)
    (record,) = dataset.fetch([chosen[0].record.id])
    assert record.route is Route.AUDIT
    assert [answer.label for answer in record.answers] == [wrong]


@pytest.mark.parametrize(
    ("which", "promise", "blind", "counts"),
    [
        (ALL, "overall", True, True),
        (ALL, "overall", False, False),
        (RevocationFilter(below=0.95), "label", True, False),
        (RevocationFilter(labels=frozenset({"c"})), "overall", True, False),
        (RevocationFilter(labels=frozenset({"c"})), "label", True, True),
    ],
)
def test_only_a_random_and_blind_review_is_a_check(
    which: RevocationFilter, promise: str, *, blind: bool, counts: bool
) -> None:
    rules = Rules(promise="label" if promise == "label" else "overall")
    assert (why_no_check(which, rules, blind=blind) is None) is counts
