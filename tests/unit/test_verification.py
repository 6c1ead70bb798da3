"""The rules of ``argilla-loop verify`` in memory: what a loop did holds, and the grant is derived as it was then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.policy import verification
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.granted import Promise

LABELS = ["World", "Sports"]
PROMISE = Promise("min_precision", 0.8, 0.8, "overall")


def adjudicated(dataset: MemoryDataset) -> list[AdjudicatedRecord]:
    return [adjudicate(record, AnswerRule(dataset.service_user_id)) for record in dataset.scan()]


def world(*, right: int = 20, wrong: int = 0, promise: Promise = PROMISE) -> MemoryDataset:
    """Audits in batch 0, answered, and a record that is accepted in batch 1."""
    dataset = MemoryDataset(LABELS)
    count = right + wrong
    dataset.log([NewRecord(f"q{n}", f"q{n}", 0, Route.AUDIT, "World", 0.95, "m", 0.9) for n in range(count)])
    for n in range(count):
        dataset.answer(f"q{n}", "World" if n < right else "Sports")
    dataset.log([NewRecord("a", "a", 1, Route.ACCEPT, "World", 0.95, "m", 0.9, promise=str(promise))])
    return dataset


def test_a_promise_is_read_as_it_was_written() -> None:
    for promised in (PROMISE, Promise("target_precision", 0.955, 0.99, "label")):
        assert Promise.read(str(promised)) == promised
    for words in (None, "", "target_precision 1.2.3, confidence 0.9, promise label", f"{PROMISE}!"):
        assert Promise.read(words) is None


def test_the_rules_name_what_they_promise() -> None:
    assert Rules().promised is None
    assert Rules(certainty_threshold=None, target_precision=0.9).promised is None
    assert Rules(target_precision=0.9, promise="label").promised == Promise(
        "target_precision", 0.9, 0.95, "label"
    )
    assert Rules(min_precision=0.9).promised == Promise("min_precision", 0.9, 0.95, "overall")


def test_a_grant_that_the_audits_gave_is_no_finding_and_one_that_they_did_not_is() -> None:
    assert list(verification.promises(adjudicated(world()), LABELS)) == []
    for few in (world(right=2), world(right=5, wrong=10)):
        (line,) = verification.promises(adjudicated(few), LABELS)
        assert line.startswith("batch 1: record 'a' accepted above 0.9 under min_precision 0.8")


def test_what_came_later_is_not_held_against_it() -> None:
    """Corrections, later audits and changed answers: none of them was known, or none is known any more."""
    dataset = world()
    dataset.log([NewRecord(f"z{n}", f"z{n}", 2, Route.AUDIT, "World", 0.95, "m", 0.9) for n in range(30)])
    for n in range(30):
        dataset.answer(f"z{n}", "Sports")
    dataset.answer("q3", "Sports", user_id="late")
    assert list(verification.promises(adjudicated(dataset), LABELS)) == []


def test_a_target_is_granted_at_the_threshold_that_was_audited() -> None:
    promise = Promise("target_precision", 0.8, 0.8, "label")
    dataset = world(right=60, promise=promise)
    assert list(verification.promises(adjudicated(dataset), LABELS)) == []
    dataset.log([NewRecord("b", "b", 2, Route.ACCEPT, "Sports", 0.95, "m", 0.9, promise=str(promise))])
    (line,) = verification.promises(adjudicated(dataset), LABELS)  # of Sports nothing was audited
    assert "'b'" in line


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (NewRecord("a", "a", 0, Route.ACCEPT, "World", 0.9, "m", 0.9), "not above the threshold 0.9"),
        (NewRecord("a", "a", 0, Route.ACCEPT, "World", 0.9, None, 0.8), "its model are not known"),
        (
            NewRecord("a", "a", 0, Route.ACCEPT, "World", None, "m", None),
            "its threshold and certainty are not known",
        ),
        (
            NewRecord("a", "a", 0, Route.ACCEPT, "World", 0.9, "m", 0.8, held_back=True),
            "held back, but was accepted",
        ),
    ],
)
def test_accepted_records_explain_themselves(record: NewRecord, words: str) -> None:
    dataset = MemoryDataset(LABELS)
    dataset.log([record, NewRecord("b", "b", 0, Route.ACCEPT, "World", 0.9, "m", 0.8)])
    (line,) = verification.accepted(adjudicated(dataset))
    assert words in line


def test_texts_batches_and_audits() -> None:
    same = [LoggedRecord(str(n), "x" if n < 5 else str(n)) for n in range(7)]
    assert list(verification.repeated_texts(same)) == ["records '0', '1', '2' and 2 more have the same text"]
    numbered = [LoggedRecord(str(n), str(n), batch) for n, batch in enumerate([1, 1, 4, None])]
    assert [line.split(" is")[0] for line in verification.batches(numbered)] == [
        "batch 0",
        "batch 2",
        "batch 3",
    ]
    assert len(list(verification.batches(numbered, largest=1))) == 4
    assert list(verification.batches([])) == []
    shown = LoggedRecord("a", "a", 0, Route.AUDIT, 0.9, "m", "World", "World")
    bare = LoggedRecord("b", "b", 0, Route.ASK, held_back=True)
    assert list(verification.audits([shown, bare])) == [
        "audit 'a' is not blind: it shows a suggestion",
        "held-back record 'b' has no prediction to compare the answer with",
    ]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([None, "World", "Sports"])), max_size=6))
def test_since_an_export_only_what_was_there_can_have_changed(later: list[tuple[str, str | None]]) -> None:
    dataset = MemoryDataset(LABELS)
    dataset.log([NewRecord(one, one, 0, Route.ASK) for one in "ab"])
    dataset.answer("a", "World", user_id="ann")
    before = verification.from_json(verification.to_json(adjudicated(dataset)))
    dataset.log([NewRecord("c", "c", 1, Route.ASK)])
    for one, label in later:
        dataset.answer(one, label, user_id="ann", status="submitted" if label else "discarded")
        dataset.answer(one, label, user_id="bob", status="submitted" if label else "discarded")
    mine = [label for one, label in later if one == "a"]
    expected = bool(mine) and mine[-1] != "World"
    found = list(verification.since_export(adjudicated(dataset), before))
    assert found == (["record 'a': a person's answer changed, or went, since the export"] if expected else [])


def test_a_manifest_holds_no_names() -> None:
    dataset = MemoryDataset(LABELS)
    dataset.log([NewRecord("a", "secret text", 0, Route.ASK)])
    dataset.answer("a", "World", user_id="ann")
    written = str(verification.to_json(adjudicated(dataset)))
    assert not any(word in written for word in ("secret", "ann", "World"))
    unusable: list[object] = [[], {"a": []}, {"a": [1]}, {"a": "x"}]
    for broken in unusable:
        with pytest.raises(ValueError, match=r"digests|records"):
            verification.from_json(broken)
