"""Loop, plan and promise don't care what kind of question is asked: a second, toy task runs through all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from adjudicated import read
from worlds import FixedSource, ListPool

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import Answer, Example, FloatArray, HeadEvidence, LoggedRecord, Route
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.plan import Finished, NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import LabelRule, Outcome, Predictions
from argilla_loop.simulate.precomputed import PrecomputedVectors

LABELS = ("bank", "goal", "vote")


def joined(labels: Sequence[str]) -> str:
    return "+".join(sorted(labels)) or "none"


class SeveralLabels:
    """Any number of labels applies to a text; written ``"bank+vote"``."""

    def outcome(self, answers: Sequence[Answer], rule: LabelRule) -> Outcome:
        """A label counts if most people gave it; nothing here depends on ``rule``."""
        del rule
        given = [self.names(answer.label) for answer in answers if answer.label is not None]
        if not given:
            return Outcome(None, is_discarded=bool(answers))
        return Outcome(
            joined([name for name in LABELS if 2 * sum(name in one for one in given) > len(given)])
        )

    def agree(self, one: str | None, other: str | None) -> bool:
        """The same labels, in any order."""
        return one is not None and other is not None and set(self.names(one)) == set(self.names(other))

    def names(self, label: str) -> tuple[str, ...]:
        """The labels, one by one."""
        return tuple(label.split("+")) if label != "none" else ()

    def predict(self, probabilities: FloatArray, labels: Sequence[str]) -> Predictions:
        """Each label that is more probable than not; as certain as the least certain of these decisions."""
        values = [
            joined([name for name, p in zip(labels, row, strict=True) if p > 0.5]) for row in probabilities
        ]
        sure = np.maximum(probabilities, 1 - probabilities).astype(np.float64)
        return Predictions(values, sure.argmin(axis=1).astype(np.int64), sure.min(axis=1))


class WordModel:
    """Knows a label by the word of its name, as soon as an example of it was seen."""

    head = "words"

    def __init__(self, examples: Sequence[Example], encoder: HashingEncoder) -> None:
        self._encoder, self.labels = encoder, LABELS
        self.evidence: tuple[HeadEvidence, ...] = ()
        known = {name for example in examples for name in example.label.split("+")}
        self.version = (
            "words-" + hashlib.sha256(repr(sorted(e.id for e in examples)).encode()).hexdigest()[:12]
        )
        self._words = [encoder.encode([name])[0] if name in known else None for name in LABELS]

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        return self.score(self._encoder.encode(texts))

    def score(self, vectors: FloatArray) -> FloatArray:
        columns = [
            np.full(len(vectors), 0.2) if w is None else np.where(vectors @ w > 0.2, 0.97, 0.02)
            for w in self._words
        ]
        return np.stack(columns, axis=1).astype(np.float32)


class WordLearner:
    def __init__(self) -> None:
        self.encoder = HashingEncoder()

    def fit(self, examples: Sequence[Example], **_: Any) -> WordModel:
        return WordModel(examples, self.encoder)


def texts(count: int) -> list[tuple[str, str, str]]:
    """Texts that name each label that applies to them."""
    rows = []
    for number in range(count):
        mine = [name for n, name in enumerate(LABELS) if number >> n & 1]
        rows.append((f"r{number:03}", " ".join([*mine, f"report{number}"]), joined(mine)))
    return rows


def test_the_loop_labels_a_pool_of_several_labels_a_text_to_its_end() -> None:
    rows = texts(160)
    gold = {row_id: label for row_id, _, label in rows}
    dataset, learner, turns = MemoryDataset(LABELS), WordLearner(), list[Turn]()
    rules = Rules(
        slice_size=8,
        evaluation_share=0.0,
        accept_limit=8,
        min_examples_per_label=3,
        min_accept_examples=3,
        target_precision=0.8,
        confidence=0.8,
    )
    loop = Loop(
        dataset,
        FixedSource(ListPool([(i, text, None) for i, text, _ in rows])),
        learner,
        PrecomputedVectors(learner.encoder, seed=1),
        rules,
        observers=[turns.append],
        task=SeveralLabels(),
    )
    while not isinstance(loop.turn().step, Finished):
        for record in dataset.scan():
            if not record.answers:
                # another order is the same answer
                dataset.answer(record.id, "+".join(reversed(gold[record.id].split("+"))))
    records = list(dataset.scan())
    assert {record.id for record in records} == set(gold)
    accepted = [record for record in records if record.route is Route.ACCEPT]
    assert len(accepted) > 40
    right = sum(set((r.prediction or "").split("+")) == set(gold[r.id].split("+")) for r in accepted)
    assert right >= (rules.target_precision or 0) * len(accepted)
    several = [check.right for check in turns[-1].seen.checks if "+" in check.label]
    assert sum(several) > 0.9 * len(several) > 0
    granted = [turn.plan.acceptance.decisions for turn in turns if isinstance(turn.step, NextBatch)]
    assert granted[0]["bank"].threshold is None
    assert granted[-1]["bank"].threshold is not None


def test_what_people_say_is_combined_and_compared_by_the_task() -> None:
    rule = AnswerRule("bot", task=SeveralLabels())
    answers = tuple(
        Answer(user, "submitted", label, "1")
        for user, label in (("u", "vote+bank"), ("v", "bank"), ("w", "bank+goal"))
    )
    record = LoggedRecord("r", "text", 0, Route.AUDIT, 0.9, "m", prediction="bank", answers=answers)
    assert adjudicate(record, rule).label == "bank"
    assert adjudicate(record, rule).is_right
    assert read(record, "bot").label is None  # as single labels they tie
