"""The paired judgement of a tuned encoder, and heads that are corrected by it."""

from __future__ import annotations

import numpy as np

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.head import Head
from argilla_loop.learning.tempered import Tempering, tempered
from argilla_loop.learning.tuning.verdict import compare, is_hopeless

CHANCE = np.random.default_rng(0)
LABELS: IndexArray = np.arange(60, dtype=np.int64) % 3


def answers(share_right: float, certainty: float, seed: int) -> FloatArray:
    """Probabilities that are right so often, with that certainty whether right or wrong."""
    chance = np.random.default_rng(seed)
    guesses = np.where(chance.random(60) < share_right, LABELS, (LABELS + 1) % 3)
    found = np.full((60, 3), (1 - certainty) / 2, dtype=np.float32)
    found[np.arange(60), guesses] = certainty
    return found


def test_a_clear_gain_is_taken_and_noise_is_not() -> None:
    assert compare(answers(0.5, 0.7, 1), answers(0.9, 0.9, 2), LABELS).is_better
    same = [compare(answers(0.7, 0.7, seed), answers(0.7, 0.7, seed + 1000), LABELS) for seed in range(100)]
    assert sum(verdict.is_better for verdict in same) <= 8
    assert not compare(answers(0.9, 0.9, 2), answers(0.5, 0.7, 1), LABELS).is_better


def test_a_tuned_encoder_that_is_only_surer_is_not_taken() -> None:
    """Both are calibrated first: how sure a head says it is decides nothing."""
    assert not compare(answers(0.7, 0.5, 3), answers(0.7, 0.99, 3), LABELS).is_better


def test_the_exponent_makes_certainties_mean_what_they_say() -> None:
    verdict = compare(answers(0.5, 0.7, 1), answers(0.8, 0.99, 2), LABELS)
    assert verdict.exponent < 0.7
    assert verdict.evidence.calibration_error < 0.1
    assert compare(answers(0.5, 0.5, 1), answers(0.95, 0.6, 2), LABELS).exponent == 1.0


def test_folds_without_a_gain_are_hopeless() -> None:
    assert is_hopeless(answers(0.9, 0.9, 2), answers(0.8, 0.9, 1), LABELS)
    assert not is_hopeless(answers(0.5, 0.7, 1), answers(0.9, 0.9, 2), LABELS)


def test_a_tempered_head_predicts_the_same_and_is_less_sure() -> None:
    vectors = CHANCE.normal(size=(20, 4)).astype(np.float32)
    scorers = tuple(CHANCE.normal(size=(5, 3)).astype(np.float32) for _ in range(2))
    for head in (
        Head("linear", scorers[:1], (2.0,)),
        Head("blended", scorers, (2.0, 3.0), 1.5),
        Head("blended", scorers, (2.0, 3.0), 1.5, offsets=np.array([0.1, -0.2, 0.3])),
    ):
        humble = tempered(head, Tempering(0.5))
        before, after = head.predict_proba(vectors), humble.predict_proba(vectors)
        expected = np.sqrt(before)
        np.testing.assert_allclose(after, expected / expected.sum(axis=1, keepdims=True), atol=1e-6)
        assert (after.argmax(axis=1) == before.argmax(axis=1)).all()
