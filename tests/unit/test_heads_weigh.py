"""Weights of scorers: what evidence says, no more than it says, and never nothing at all."""

from __future__ import annotations

import numpy as np
import pytest

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.weigh import LEAST, weigh


def scorer(labels: IndexArray, seed: int, *, good: float, labels_count: int = 3) -> FloatArray:
    """Scores whose right label is ahead by ``good`` on average."""
    scores = np.random.default_rng(seed).normal(size=(len(labels), labels_count))
    scores[np.arange(len(labels)), labels] += good
    return np.asarray(scores, dtype=np.float32)


def test_the_better_scorer_counts_for_more() -> None:
    labels = np.arange(300) % 3
    weights = weigh(
        [scorer(labels, 0, good=0.3), scorer(labels, 1, good=2.0)], labels, [0.5, 0.5], names=[False, False]
    )
    assert weights[1] > 3 * weights[0]


def test_two_that_know_different_things_both_count() -> None:
    """Each knows something that the other does not: neither is dropped, and they count alike."""
    labels = np.arange(900) % 3
    weights = weigh(
        [scorer(labels, 0, good=1.0), scorer(labels, 1, good=1.0)], labels, [0.5, 0.5], names=[False, False]
    )
    assert weights.min() > 0.6
    assert weights.max() < 1.5 * weights.min()


@pytest.mark.parametrize("good", [0.0, -1.0])
def test_names_that_say_nothing_count_for_nothing(good: float) -> None:
    """Chance, or worse than chance: after sixty examples, not a little but exactly nothing, in most draws."""
    labels, weights = np.arange(60) % 3, []
    for seed in range(10):
        scores = [scorer(labels, seed, good=good), scorer(labels, 100 + seed, good=1.5)]
        weights.append(weigh(scores, labels, [0.5, 0.5], names=[True, False])[0])
    assert np.median(weights) < 0.05
    if good < 0:
        assert max(weights) == 0


def test_scorers_of_examples_keep_a_little() -> None:
    """All predicted wrongly when held out, as two examples a label may be: there still is a prediction."""
    labels = np.array([0, 0, 1, 1])
    weights = weigh([scorer(labels, 0, good=-4.0, labels_count=2)], labels, [1.0], names=[False])
    assert weights[0] == pytest.approx(LEAST)


def test_little_evidence_changes_little() -> None:
    labels = np.array([0, 1, 2, 0])
    scores = [scorer(labels, 0, good=0.5), scorer(labels, 1, good=1.0)]
    weights = weigh(scores, labels, [0.5, 0.5], names=[False, False])
    assert np.abs(weights - 0.5).max() < 0.5
