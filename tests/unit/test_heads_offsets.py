"""Offsets: a catch-all beside many narrow labels gets its share, labels that do alike keep theirs."""

from __future__ import annotations

import numpy as np
import pytest

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.choose import choose_head
from argilla_loop.learning.heads.evidence import DoubleArray, softmax
from argilla_loop.learning.heads.offsets import fit_offsets
from argilla_loop.learning.heads.scorers import MANY_LABELS, Training

EACH = 10


def held_out(labels_count: int, *, handicap: float, seed: int = 0) -> tuple[DoubleArray, IndexArray]:
    """Log-probabilities with noise, where texts of label 0 score ``handicap`` lower on their own label."""
    labels = np.repeat(np.arange(labels_count), EACH)
    scores = np.random.default_rng(seed).normal(size=(len(labels), labels_count))
    scores[np.arange(len(labels)), labels] += 5.0
    scores[labels == 0, 0] -= handicap
    return np.log(softmax(scores)), labels


def recall(scores: DoubleArray, labels: IndexArray, label: int) -> float:
    return float((scores[labels == label].argmax(axis=1) == label).mean())


def test_a_label_that_loses_to_the_crowd_is_raised_and_the_others_keep_theirs() -> None:
    scores, labels = held_out(60, handicap=3.5)
    offsets = fit_offsets(scores, labels)
    assert offsets[0] == offsets.max() > 1.0
    assert recall(scores + offsets, labels, 0) > recall(scores, labels, 0) + 0.2
    others = [recall(scores + offsets, labels, k) - recall(scores, labels, k) for k in range(1, 60)]
    assert np.mean(others) > -0.03


def test_labels_that_do_alike_are_hardly_moved() -> None:
    offsets = fit_offsets(*held_out(60, handicap=0.0))
    assert np.abs(offsets).max() < 0.8


def test_labels_with_hardly_any_held_out_example_keep_their_score() -> None:
    """With most labels seen once or twice, as at the start of a labelling, they must not be taken for never right."""
    scores, labels = held_out(60, handicap=2.0)
    few = (labels < 30) | (np.arange(len(labels)) % EACH < 2)
    offsets = fit_offsets(scores[few], labels[few])
    assert (offsets[30:] == 0).all()
    assert offsets[0] > 0.5
    none = labels < 30
    assert (fit_offsets(scores[none], labels[none])[30:] == 0).all()


def test_offsets_have_no_mean_and_are_the_same_each_time() -> None:
    first, again = (fit_offsets(*held_out(30, handicap=2.0)) for _ in range(2))
    assert first.mean() == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_array_equal(first, again)


def test_the_same_scores_under_other_numbers_give_the_same_offsets() -> None:
    scores, labels = held_out(25, handicap=2.0)
    order = np.random.default_rng(1).permutation(25)
    renamed = fit_offsets(scores[:, order], np.argsort(order)[labels])
    np.testing.assert_allclose(renamed, fit_offsets(scores, labels)[order], atol=1e-3)


def vectors_of(labels: IndexArray, seed: int) -> FloatArray:
    """Unit vectors near their label's centre; those of label 0 are anywhere."""
    centres = np.random.default_rng(0).normal(size=(int(labels.max()) + 1, 48))
    generator = np.random.default_rng(seed)
    vectors = centres[labels] + 0.8 * generator.normal(size=(len(labels), 48))
    vectors[labels == 0] = 1.2 * generator.normal(size=((labels == 0).sum(), 48))
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def training(labels_count: int) -> Training:
    labels = np.repeat(np.arange(labels_count), EACH)
    ones = np.ones(len(labels), dtype=np.float32)
    return Training(vectors_of(labels, 1), labels, trusted=ones.astype(np.int64), weights=ones)


def test_a_head_of_many_labels_finds_more_of_a_catch_all_with_offsets_than_without() -> None:
    count = 2 * MANY_LABELS
    head = choose_head(training(count), seed=0)
    assert head.offsets is not None
    labels = np.repeat(np.arange(count), 50)
    test = vectors_of(labels, 2)
    without = np.log(head.predict_proba(test)) - head.offsets
    assert recall(np.log(head.predict_proba(test)), labels, 0) > recall(without, labels, 0) + 0.1


def test_a_head_of_few_labels_has_none() -> None:
    assert choose_head(training(MANY_LABELS), seed=0).offsets is None


def test_scoring_a_pool_agrees_with_predicting_offsets_included() -> None:
    head = choose_head(training(2 * MANY_LABELS), seed=0)
    vectors = vectors_of(np.arange(2 * MANY_LABELS), 3)
    np.testing.assert_allclose(head.score(vectors), head.predict_proba(vectors), atol=1e-5)
