"""Softmax regressions fitted together: each is the one scikit-learn fits alone."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.evidence import softmax
from argilla_loop.learning.heads.linear import softmax_regressions


def clouds(rows: int, count: int, width: int, seed: int) -> tuple[FloatArray, IndexArray]:
    """Overlapping unit vectors around ``count`` directions, every class present."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows, dtype=np.int64) % count
    points = np.eye(width)[labels] + random.normal(scale=0.4, size=(rows, width))
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32), labels


def of_sklearn(vectors: FloatArray, labels: IndexArray, weights: FloatArray, ridge: float) -> FloatArray:
    """Coefficients (d + 1, k) of scikit-learn, which leaves intercepts unpenalised unless they are a column."""
    inputs = np.hstack([vectors, np.ones((len(vectors), 1))])
    fitted = LogisticRegression(C=1 / ridge, fit_intercept=False, tol=1e-8, max_iter=5000).fit(
        inputs, labels, sample_weight=weights
    )
    return np.asarray(fitted.coef_.T, dtype=np.float32)


@pytest.mark.parametrize(("rows", "count"), [(60, 3), (24, 4), (200, 8)])
def test_each_is_the_one_that_scikit_learn_fits_alone(rows: int, count: int) -> None:
    """Four folds and everything, each with two ridges and with weights: the same probabilities, to a tolerance."""
    vectors, labels = clouds(rows, count, 32, seed=rows)
    weights = np.tile(np.random.default_rng(0).uniform(0.5, 2.0, rows).astype(np.float32), (5, 1))
    weights[(np.arange(rows) // count % 4)[None, :] == np.arange(5)[:, None]] = 0.0
    weights = np.tile(weights, (2, 1))
    ridges = np.repeat(np.array([0.1, 1.0], dtype=np.float32), 5)

    found = softmax_regressions(vectors, labels, weights, ridges=ridges, labels_count=count)

    assert found.shape == (10, 33, count)
    others, _ = clouds(100, count, 32, seed=1)
    for one, row, ridge in zip(found, weights, ridges, strict=True):
        expected = of_sklearn(vectors, labels, row, float(ridge))
        np.testing.assert_allclose(
            softmax(others @ one[:-1] + one[-1]), softmax(others @ expected[:-1] + expected[-1]), atol=0.02
        )


def test_a_row_of_no_weight_is_not_there() -> None:
    """Whatever label a row without weight carries, the fit is the same to the bit."""
    vectors, labels = clouds(30, 3, 16, seed=0)
    weights = np.ones((1, 30), dtype=np.float32)
    weights[0, :6] = 0.0
    flipped = labels.copy()
    flipped[:6] = (labels[:6] + 1) % 3
    ridges = np.ones(1, dtype=np.float32)
    one, two = (
        softmax_regressions(vectors, given, weights, ridges=ridges, labels_count=3)
        for given in (labels, flipped)
    )
    assert one.tobytes() == two.tobytes()


def test_a_larger_ridge_says_less() -> None:
    """The penalty is each regression's own: the firmer of two on the same rows has the smaller coefficients."""
    vectors, labels = clouds(40, 4, 16, seed=0)
    loose, firm = softmax_regressions(
        vectors,
        labels,
        np.ones((2, 40), dtype=np.float32),
        ridges=np.array([0.1, 10.0], dtype=np.float32),
        labels_count=4,
    )
    assert np.linalg.norm(firm) < 0.5 * np.linalg.norm(loose)
