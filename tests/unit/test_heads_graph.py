"""The pool's neighbour graph: labels run along it, each for itself, into what no straight line could part."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import make_moons

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.linear import softmax_regressions


def unit(points: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


def random_vectors(count: int, seed: int = 0, width: int = 8) -> FloatArray:
    return unit(np.random.default_rng(seed).normal(size=(count, width)))


def moons() -> tuple[FloatArray, IndexArray]:
    """Two interleaved half circles, seen from so far above that they lie nearly flat on the sphere."""
    points, labels = make_moons(160, noise=0.04, random_state=0)
    return unit(np.hstack([0.2 * (points - points.mean(axis=0)), np.ones((160, 1))])), labels


def test_labels_run_along_the_pool_where_a_straight_line_fails() -> None:
    """One example in the middle of each moon: spread, nearly every text is right; a linear rule is far from it."""
    vectors, labels = moons()
    examples = np.array([np.flatnonzero(labels == 0)[0], np.flatnonzero(labels == 1)[0]])
    graph = PoolGraph(vectors)
    shares = graph.spread(np.asarray(graph.anchor(vectors[examples]).todense(), dtype=np.float32))
    (fit,) = softmax_regressions(
        vectors[examples], np.arange(2), np.ones((1, 2), np.float32), ridges=np.full(1, 0.1), labels_count=2
    )

    spread = ((shares / shares.sum(axis=0)).argmax(axis=1) == labels).mean()
    straight = ((vectors @ fit[:-1] + fit[-1]).argmax(axis=1) == labels).mean()

    assert spread > 0.97
    assert straight < 0.9


def test_spreading_is_linear() -> None:
    """What a sum of seeds spreads to is the sum of what each does: on this rests that no label is spread twice."""
    graph = PoolGraph(random_vectors(120))
    one, two = np.random.default_rng(1).uniform(size=(2, 120, 3)).astype(np.float32)
    np.testing.assert_allclose(
        graph.spread(one + 2 * two), graph.spread(one) + 2 * graph.spread(two), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(graph.spread(one)[:, :1], graph.spread(one[:, :1]), rtol=1e-5)


def test_edges_go_both_ways_and_never_back_to_the_same_text() -> None:
    """What text i hands to j is what j hands to i; and a step never hands a text its own label."""
    graph = PoolGraph(random_vectors(80))
    edges = graph._edges.toarray()
    np.testing.assert_allclose(edges, edges.T, atol=1e-7)
    np.testing.assert_array_equal(np.diag(edges), 0)
    assert edges.min() >= 0
    assert (edges > 0).sum(axis=1).min() > 0


def test_spreading_never_grows() -> None:
    """However many steps, no label gets stronger than it was put in: the largest eigenvalue of the edges is one."""
    graph = PoolGraph(random_vectors(80))
    largest = np.linalg.eigvalsh(graph._edges.toarray()).max()
    assert largest == pytest.approx(1, abs=1e-4)


def test_an_example_stands_for_its_nearest_texts() -> None:
    """Weights sum to one for each example, sit on its ten nearest texts, and the nearest has the most."""
    graph = PoolGraph(random_vectors(100))
    asked = random_vectors(5, seed=1)
    anchored = graph.anchor(asked).toarray()
    np.testing.assert_allclose(anchored.sum(axis=0), 1, rtol=1e-5)
    similar = graph.vectors @ asked.T
    for column in range(5):
        nearest = np.argsort(-similar[:, column])[:10]
        assert set(np.flatnonzero(anchored[:, column])) <= set(nearest)
        assert anchored[:, column].argmax() == nearest[0]


@pytest.mark.parametrize("count", [1, 2, 3, 11])
def test_a_tiny_pool_is_a_graph_too(count: int) -> None:
    """Fewer texts than neighbours: everything stays finite and of its shape."""
    graph = PoolGraph(random_vectors(count))
    shares = graph.spread(np.asarray(graph.anchor(random_vectors(4, seed=1)).todense(), dtype=np.float32))
    assert len(graph) == count
    assert shares.shape == (count, 4)
    assert np.isfinite(shares).all()


def test_texts_that_share_nothing_do_no_harm() -> None:
    """Two groups at right angles: each keeps its label, and nothing leaks or divides by zero."""
    vectors = np.repeat(np.eye(2, dtype=np.float32), 15, axis=0)
    shares = PoolGraph(vectors).spread(np.eye(30, dtype=np.float32)[:, [0, 20]])
    assert (shares[:15, 1] == 0).all()
    assert (shares[15:, 0] == 0).all()
    assert shares[20, 1] > 0


def test_blocks_are_not_seen() -> None:
    """Built in blocks of seven, it is the same graph."""
    vectors = random_vectors(40)
    whole = PoolGraph(vectors)._edges.toarray()
    np.testing.assert_allclose(PoolGraph(vectors, block=7)._edges.toarray(), whole, atol=1e-6)
