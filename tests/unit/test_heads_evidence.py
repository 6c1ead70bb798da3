"""Evidence: folds that are even, scales that stay modest, and calibration counted right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argilla_loop.learning.heads.evidence import (
    SCALES,
    assign_folds,
    calibration_error,
    count_folds,
    fit_scale,
    softmax,
    summarise,
)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=120),
    st.integers(2, 10),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60)
def test_folds_are_even_in_size_and_in_every_label(labels: list[int], count: int, seed: int) -> None:
    """Sizes differ by one at most, and so does each label's number of rows from fold to fold."""
    numbers = np.array(labels)
    fold = assign_folds(numbers, count, seed)
    assert np.ptp(np.bincount(fold, minlength=count)) <= 1
    for label in set(labels):
        assert np.ptp(np.bincount(fold[numbers == label], minlength=count)) <= 1


def test_folds_are_drawn_by_the_seed() -> None:
    """The same seed, the same folds; another seed, other ones."""
    labels = np.repeat(np.arange(4), 10)
    np.testing.assert_array_equal(assign_folds(labels, 5, 3), assign_folds(labels, 5, 3))
    assert (assign_folds(labels, 5, 3) != assign_folds(labels, 5, 4)).any()


def test_few_rows_are_nearly_left_out_one_by_one() -> None:
    """As many folds as rows up to ten, and never fewer than three for many."""
    assert [count_folds(rows) for rows in (0, 4, 9, 10, 60, 61, 1000, 1001, 10**6)] == [
        0, 4, 9, 10, 10, 5, 5, 3, 3,
    ]  # fmt: skip


@pytest.mark.parametrize("strength", [0.1, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("count", [2, 4, 10])
def test_a_dozen_right_answers_make_nothing_certain(count: int, strength: float) -> None:
    """Whatever the scores' size, twelve of twelve right is believed as thirteen in fourteen, or a little more."""
    labels = np.arange(12) % count
    scores = strength * np.eye(count)[labels]
    certainty = softmax(fit_scale(scores, labels) * scores).max()
    assert certainty == pytest.approx(1 - (1 - 1 / count) / 14, abs=0.01)


def test_more_right_answers_are_believed_more() -> None:
    labels = np.arange(3000) % 3
    scores = 4 * np.eye(3)[labels]
    assert softmax(fit_scale(scores, labels) * scores).max() > 0.999


def test_scores_that_say_nothing_are_scaled_away() -> None:
    """Right no more often than chance: near the least scale, so that no text comes out certain."""
    random = np.random.default_rng(0)
    scores, labels = random.normal(size=(200, 4)), random.integers(0, 4, 200)
    scale = fit_scale(scores, labels)
    assert SCALES[0] <= scale < 0.3
    wrong = 5 * np.eye(4)[(labels + 1) % 4]
    assert softmax(fit_scale(wrong, labels) * wrong).max() < 0.3


def test_a_scale_finds_the_temperature_that_made_the_labels() -> None:
    """Labels drawn from the softmax of twice the scores: the scale is two, or nearly."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(4000, 3))
    labels = (softmax(2 * scores).cumsum(axis=1) < random.uniform(size=(4000, 1))).sum(axis=1)
    assert fit_scale(scores, labels) == pytest.approx(2, rel=0.1)


def test_calibration_error_of_bins_made_by_hand() -> None:
    """Four at .95 of which three are right (.20 off), and one at .6 that is (.40 off): (4 x .2 + .4) / 5."""
    certain, unsure = [0.95, 0.05], [0.4, 0.6]
    probabilities = np.array([certain] * 4 + [unsure])
    assert calibration_error(probabilities, np.array([0, 0, 0, 1, 1])) == pytest.approx(0.24)
    assert calibration_error(np.eye(3), np.arange(3)) == 0
    assert calibration_error(np.eye(3), np.array([1, 2, 0])) == 1


def test_over_and_under_certainty_in_one_bin_cancel_but_not_across_bins() -> None:
    """Half right at .52 and all right at .52 are one bin: 3/4 right against .52."""
    probabilities = np.array([[0.52, 0.48]] * 4)
    assert calibration_error(probabilities, np.array([0, 1, 0, 0])) == pytest.approx(0.23)
    apart = np.array([[0.55, 0.45], [0.95, 0.05]])
    assert calibration_error(apart, np.array([0, 1])) == pytest.approx((0.45 + 0.95) / 2)


def test_evidence_counts_what_it_says() -> None:
    """Accuracy over all, precision and coverage above nine tenths, log-loss in nats; and a surprise is bounded."""
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.5, 0.5], [0.2, 0.8]])
    found = summarise("linear", probabilities, np.array([0, 1, 0, 1]))
    assert (found.head, found.examples, found.accuracy) == ("linear", 4, 0.75)
    assert (found.precision, found.coverage) == (0.5, 0.5)
    assert found.log_loss == pytest.approx(-np.log([0.95, 0.05, 0.5, 0.8]).mean())
    assert summarise("linear", probabilities[2:], np.array([0, 1])).precision is None
    assert summarise("linear", np.eye(2), np.array([0, 0])).log_loss < 10
