"""Discriminants from labels spread over the pool."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.evidence import softmax
from argilla_loop.learning.heads.pooled import discriminant, spread_labels


def pool(each: int = 50, count: int = 3, width: int = 6) -> tuple[FloatArray, IndexArray]:
    labels = np.repeat(np.arange(count), each)
    random = np.random.default_rng(0)
    stretch = np.linspace(0.2, 1.0, width)
    points = 2 * np.eye(width)[labels] + random.normal(size=(len(labels), width)) * stretch
    return points.astype(np.float32), labels


def moments(vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors.T @ vectors / len(vectors))


def one_hot(labels: IndexArray, count: int) -> FloatArray:
    return np.eye(count, dtype=np.float32)[labels]


@pytest.mark.parametrize("shrinkage", [0.0, 0.3, 0.9])
def test_where_every_text_has_its_label_it_is_the_textbooks(shrinkage: float) -> None:
    """With the pool's means trusted alone: scikit-learn's LDA with as much shrinkage and even priors."""
    vectors, labels = pool()
    spread = spread_labels(one_hot(labels, 3), vectors, moments(vectors))
    found = discriminant(np.zeros((3, 6), np.float32), spread, trust=1e7, shrinkage=shrinkage)
    lda = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=shrinkage or None, priors=np.full(3, 1 / 3)
    ).fit(vectors, labels)
    np.testing.assert_allclose(
        softmax(vectors @ found[:-1] + found[-1]), lda.predict_proba(vectors), atol=2e-3
    )


def test_trust_draws_the_means_to_the_pools() -> None:
    """Without trust the examples' means decide; with trust t the centre is (example + t pool) / (1 + t)."""
    vectors, labels = pool()
    spread = spread_labels(one_hot(labels, 3), vectors, moments(vectors))
    own = spread.means + np.float32(0.5)
    for trust in (0.0, 1.0, 3.0):
        moved = (own + trust * spread.means) / (1 + trust)
        np.testing.assert_allclose(
            discriminant(own, spread, trust=trust, shrinkage=0.5),
            discriminant(moved.astype(np.float32), spread, trust=0.0, shrinkage=0.5),
            rtol=1e-3,
            atol=1e-4,
        )


def test_a_label_that_no_text_fell_to_keeps_its_examples_mean() -> None:
    """Its centre is not drawn to nowhere: the label still wins at its own examples."""
    vectors, labels = pool()
    shares = np.hstack([one_hot(labels, 3), np.zeros((len(labels), 1), np.float32)])
    spread = spread_labels(shares, vectors, moments(vectors))
    np.testing.assert_array_equal(spread.found, [1, 1, 1, 0])
    means = np.vstack([spread.means[:3], 2 * np.eye(6, dtype=np.float32)[5]])
    found = discriminant(means, spread, trust=3.0, shrinkage=0.5)
    assert (means @ found[:-1] + found[-1]).argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_texts_that_nothing_reached_are_nobodys() -> None:
    """An island of the graph does not fall to the first label, neither to its mean nor to its being found."""
    vectors, labels = pool()
    shares = one_hot(labels, 3)
    shares[labels == 0] = 0.0
    spread = spread_labels(shares, vectors, moments(vectors))
    np.testing.assert_array_equal(spread.found, [0, 1, 1])
    np.testing.assert_allclose(spread.means[1], vectors[labels == 1].mean(axis=0), rtol=1e-4, atol=1e-5)


def test_a_label_of_many_examples_does_not_swallow_the_others() -> None:
    """A column of a hundred times the mass decides no more: only how it is shared out among the texts counts."""
    vectors, labels = pool()
    shares = one_hot(labels, 3) + np.random.default_rng(1).uniform(0, 0.5, (len(labels), 3)).astype(
        np.float32
    )
    plain = spread_labels(shares, vectors, moments(vectors))
    heavy = spread_labels(shares * np.array([100, 1, 1], np.float32), vectors, moments(vectors))
    np.testing.assert_allclose(heavy.means, plain.means, rtol=1e-3, atol=1e-4)


def test_clear_texts_count_more() -> None:
    """A text that two labels reach nearly alike moves its label's mean less than one that is clearly its own."""
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], dtype=np.float32)
    shares = np.array([[1.0, 0.0], [0.51, 0.49], [0.0, 1.0]], dtype=np.float32)
    mean = spread_labels(shares, vectors, moments(vectors)).means[0]
    assert mean[0] > 3 * mean[1] > 0
