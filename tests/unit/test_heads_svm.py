"""The head: probabilities that agree with predictions and can be believed with few examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.svm import SCALE_BOUNDS, PairwiseSvc

CONFIG: dict[str, Any] = {
    "C": [1, 5],
    "kernel": ["linear", "rbf"],
    "max_cross_validation_folds": 3,
    "seed": 0,
}


def clouds(each: int, *, count: int = 4, spread: float = 0.8, seed: int = 0) -> tuple[FloatArray, IndexArray]:
    """Unit vectors around ``count`` axes; a larger spread makes neighbours overlap more."""
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), each)
    points = np.eye(16)[labels] + random.normal(scale=spread / 2, size=(len(labels), 16))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("each", [2, 3, 5, 20])
def test_predictions_are_the_most_probable_class_and_mostly_right(each: int, count: int) -> None:
    """From two examples a class on: argmax of the probabilities is the prediction, and it beats chance by far."""
    head = PairwiseSvc.fit(*clouds(each, count=count), CONFIG)
    vectors, labels = clouds(200, count=count, seed=1)
    probabilities = head.predict_proba(vectors)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), head.predict(vectors))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (head.predict(vectors) == labels).mean() > (1 + 1 / count) / 2


def test_it_agrees_with_the_votes_of_the_plain_svc() -> None:
    """Coupling decides as the SVC's own votes do but for a few rows where votes tie or nearly tie."""
    head = PairwiseSvc.fit(*clouds(20), CONFIG)
    vectors, _ = clouds(500, seed=2)
    assert (head.predict(vectors) == head.svc.predict(vectors)).mean() > 0.98


def test_certainty_means_what_it_says() -> None:
    """On overlapping classes, of what is held for more than 0.9 certain about nine in ten and more are right."""
    head = PairwiseSvc.fit(*clouds(50, spread=1.0), CONFIG)
    vectors, labels = clouds(2000, spread=1.0, seed=3)
    probabilities = head.predict_proba(vectors)
    certain = probabilities.max(axis=1) > 0.9
    assert certain.mean() > 0.1
    assert (probabilities.argmax(axis=1) == labels)[certain].mean() > 0.88


def test_classes_that_cannot_be_told_apart_get_small_certainty() -> None:
    """Labels at random: no scale helps, so nothing may come out certain."""
    vectors, labels = clouds(30)
    shuffled = np.random.default_rng(0).permutation(labels)
    head = PairwiseSvc.fit(vectors, shuffled, CONFIG)
    assert head.predict_proba(clouds(200, seed=1)[0]).max() < 0.9


def test_same_inputs_same_bytes() -> None:
    """Fitted twice: the same parameters, the same scale, the same probabilities to the last bit."""
    one, two = (PairwiseSvc.fit(*clouds(10), CONFIG) for _ in range(2))
    vectors, _ = clouds(50, seed=1)
    assert one.scale == two.scale
    assert one.predict_proba(vectors).tobytes() == two.predict_proba(vectors).tobytes()


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    head = PairwiseSvc.fit(*clouds(10), CONFIG)
    vectors, _ = clouds(20, seed=1)
    alone = np.vstack([head.predict_proba(row[None]) for row in vectors])
    assert alone.astype(np.float32).tobytes() == head.predict_proba(vectors).astype(np.float32).tobytes()


def test_a_config_of_one_candidate_is_taken_as_it_is() -> None:
    """Lists of one, or plain values, leave nothing to search."""
    head = PairwiseSvc.fit(*clouds(5), {"C": 3, "kernel": ["rbf"], "seed": 0})
    assert (head.svc.C, head.svc.kernel) == (3, "rbf")
    assert SCALE_BOUNDS[0] <= head.scale <= SCALE_BOUNDS[1]
