"""The scorer of names: what the labels' names say before there is an example."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from argilla_loop.domain import FloatArray
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.names import score_names

WIDTH, LABELS = 24, 4
GOLD = np.arange(800) % LABELS


def unit(points: NDArray[np.floating[Any]]) -> FloatArray:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


def texts(seed: int, *, offset: float = 0.0) -> FloatArray:
    """Four kinds of texts, with something in common if ``offset`` is set."""
    random = np.random.default_rng(seed)
    points = np.eye(WIDTH)[GOLD] + random.normal(scale=0.35, size=(len(GOLD), WIDTH))
    points[:, -1] += offset
    return unit(points)


def names(seed: int, *, away: float = 0.0) -> FloatArray:
    """Two templates: each name near its texts, more or less, and with something of its own in common."""
    random = np.random.default_rng(seed)
    points = np.eye(WIDTH)[:LABELS] + random.normal(scale=0.3, size=(2, LABELS, WIDTH))
    points[:, :, -2] += away
    return np.stack([unit(one) for one in points])


def accuracy(scorer: FloatArray, vectors: FloatArray) -> float:
    return float(((vectors @ scorer[:-1] + scorer[-1]).argmax(axis=1) == GOLD).mean())


def test_without_any_label_the_pool_makes_of_names_what_they_mean() -> None:
    """Far above chance, and with the pool better than without, over five draws."""
    alone, spread = [], []
    for seed in range(5):
        graph, unseen = PoolGraph(texts(seed)), texts(100 + seed)
        alone.append(accuracy(score_names(names(seed), texts(seed)), unseen))
        spread.append(accuracy(score_names(names(seed), texts(seed), graph), unseen))
    assert np.mean(alone) > 0.6
    assert np.mean(spread) > np.mean(alone) + 0.03


@pytest.mark.parametrize("pooled", [True, False])
def test_what_all_texts_or_all_names_share_says_nothing(pooled: bool) -> None:  # noqa: FBT001 - a table
    """Texts with a common part, names with another one: as good as without."""
    pool, unseen = texts(0, offset=1.0), texts(1, offset=1.0)
    scorer = score_names(names(0, away=1.0), pool, PoolGraph(pool) if pooled else None)
    plain = score_names(names(0), texts(0), PoolGraph(texts(0)) if pooled else None)
    assert accuracy(scorer, unseen) > accuracy(plain, texts(1)) - 0.05


def test_scores_are_standardised() -> None:
    """Rows of mean 0, deviation 1 over the pool: the scale of a guess does not depend on the encoder."""
    pool = texts(0)
    scorer = score_names(names(0), pool, PoolGraph(pool))
    scores = pool @ scorer[:-1] + scorer[-1]
    assert scorer.dtype == np.float32
    assert scorer.shape == (WIDTH + 1, LABELS)
    np.testing.assert_allclose(scores.mean(axis=1), 0, atol=1e-5)
    assert scores.std() == pytest.approx(1, abs=1e-4)


def test_a_label_that_wins_no_text_does_not_win_all() -> None:
    """Two labels with one name: one of them may get no text of its own, and the others keep theirs."""
    twice = names(0)[:, [0, 1, 2, 3, 3]]
    pool = texts(0)
    scorer = score_names(twice, pool, PoolGraph(pool))
    assert np.isfinite(scorer).all()
    predicted = np.minimum((texts(1) @ scorer[:-1] + scorer[-1]).argmax(axis=1), 3)
    assert (predicted == GOLD).mean() > 0.6


def test_same_inputs_same_bytes() -> None:
    first, second = (score_names(names(3), texts(3), PoolGraph(texts(3))) for _ in range(2))
    assert first.tobytes() == second.tobytes()
