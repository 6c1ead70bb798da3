"""The first batch: suggestions from the labels' names, which nothing is accepted for and nothing is concluded from."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from worlds import FixedSource, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import FloatArray, Model, PoolSample, Route
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.plan import ColdStart, NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.simulate.precomputed import PrecomputedVectors

# The fake encoder knows no meanings: names are words that occur in the label's texts.
TOPICS = {
    "Match goal": ["match", "goal", "coach", "league"],
    "Bank market": ["market", "shares", "profit", "bank"],
    "Border treaty": ["minister", "border", "election", "treaty"],
}
ROWS = sentences(120, TOPICS)
GOLD = {record_id: label for record_id, _, label in ROWS}
TEXTS = [text for _, text, _ in ROWS]
ENCODER = HashingEncoder()
RULES = Rules(slice_size=12, min_examples_per_label=3, certainty_threshold=0.01, audit_rate=0.5)


def sample(texts: list[str] = TEXTS) -> PoolSample:
    return PoolSample(ENCODER.encode(texts), f"{len(texts)} texts")


def learner() -> ClassyLearner:
    return ClassyLearner(ENCODER, seed=0)


def guessed(labels: Any = tuple(TOPICS)) -> Model:
    guess = learner().guess(labels, sample())
    assert guess is not None
    return guess


def test_names_alone_are_far_better_than_chance_and_humble() -> None:
    """Three labels, no example: most are right, and the certainty does not exceed the accuracy."""
    guess = guessed()
    probabilities = guess.predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    right = [guess.labels[n] == GOLD[row[0]] for n, row in zip(probabilities.argmax(1), ROWS, strict=True)]
    assert np.mean(right) > 0.6
    assert probabilities.max(axis=1).mean() < np.mean(right)
    assert guess.evidence == ()
    assert guess.labels == tuple(sorted(TOPICS))


def test_same_inputs_same_model_in_any_order_of_labels() -> None:
    one, two = guessed(), guessed(tuple(reversed(TOPICS)))
    assert one.version == two.version
    assert one.predict_proba(TEXTS).tobytes() == two.predict_proba(TEXTS).tobytes()
    assert one.version != guessed((*TOPICS, "goal")).version


@pytest.mark.parametrize(
    ("labels", "texts"),
    [(("1", "2"), TEXTS), (("topic_1", "topic_2"), TEXTS), (("goal",), TEXTS), (tuple(TOPICS), TEXTS[:30])],
)
def test_without_names_or_a_pool_there_is_no_guess(labels: tuple[str, ...], texts: list[str]) -> None:
    """Codes, a single label, thirty texts: nobody is shown a guess that means nothing."""
    assert learner().guess(labels, sample(texts)) is None


class World:
    """A loop that guesses, or one that does not."""

    def __init__(self, *, guess: bool) -> None:
        trainer = learner()
        self.dataset, self.turns = MemoryDataset(tuple(TOPICS)), list[Turn]()
        self.loop = Loop(
            self.dataset,
            FixedSource(ListPool([(i, text, None) for i, text, _ in ROWS])),
            trainer,
            PrecomputedVectors(ENCODER, seed=RULES.seed),
            RULES,
            observers=[self.turns.append],
            guess=partial(trainer.guess, tuple(TOPICS)) if guess else None,
        )


def test_the_first_batch_is_suggested_and_the_same_texts_are_asked() -> None:
    """A guess suggests, and chooses nothing."""
    with_guess, without = World(guess=True), World(guess=False)
    for world in (with_guess, without):
        assert isinstance(world.loop.turn().step, ColdStart)
    assert {r.id for r in with_guess.dataset.scan()} == {r.id for r in without.dataset.scan()}
    assert not any(r.suggestion for r in without.dataset.scan())
    first = list(with_guess.dataset.scan())
    assert all(r.suggestion and r.certainty and str(r.model).startswith("names-") for r in first)
    assert np.mean([r.suggestion == GOLD[r.id] for r in first]) > 0.5


def test_a_guess_is_never_accepted_and_never_evidence() -> None:
    """However low the threshold and however high the share of audits: all of the batch is asked, plainly."""
    world = World(guess=True)
    world.loop.turn()
    first = {r.id for r in world.dataset.scan()}
    for record in world.dataset.scan():
        assert (record.route, record.threshold, record.held_back, record.answers) == (
            Route.ASK,
            None,
            False,
            (),
        )
    answer_all(world.dataset, GOLD)
    turn = world.loop.turn()
    assert isinstance(turn.step, NextBatch)
    assert not turn.plan.seen.checks
    assert {example.id for example in turn.plan.seen.examples} == first


def test_a_start_model_comes_before_a_guess() -> None:
    """Whoever gave a model of their own gets its suggestions."""

    class Start:
        labels, version, head, evidence = tuple(sorted(TOPICS)), "saved-0", "saved", ()

        def predict_proba(self, texts: Any) -> FloatArray:
            return self.score(np.zeros((len(texts), 1), np.float32))

        def score(self, vectors: FloatArray) -> FloatArray:
            return np.tile(np.array([[0.5, 0.3, 0.2]], np.float32), (len(vectors), 1))

    dataset = MemoryDataset(tuple(TOPICS))
    Loop(
        dataset,
        FixedSource(ListPool([(i, text, None) for i, text, _ in ROWS])),
        learner(),
        PrecomputedVectors(ENCODER, seed=RULES.seed),
        RULES,
        start=Start(),
        guess=lambda _: pytest.fail("it was asked for a guess"),
    ).turn()
    assert {r.model for r in dataset.scan()} == {"saved-0"}
