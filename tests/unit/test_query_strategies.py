"""Which records are taken next."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from argilla_loop.domain import Route
from argilla_loop.policy.certainty import best, route
from argilla_loop.policy.query import diverse, next_slice, shuffled

positions = st.sets(st.integers(0, 5000), max_size=60).map(lambda s: np.asarray(sorted(s), dtype=np.int64))


@given(left=positions, size=st.integers(1, 20), seed=st.integers(0, 2**32 - 1))
def test_a_slice_is_taken_from_what_is_left_without_repeats(left: np.ndarray, size: int, seed: int) -> None:
    for strategy in ("sequential", "random"):
        taken = next_slice(left, size, strategy=strategy, seed=seed)
        assert len(taken) == min(size, len(left))
        assert len(set(taken.tolist())) == len(taken)
        assert set(taken.tolist()) <= set(left.tolist())


def test_sequential_keeps_the_pools_order() -> None:
    assert next_slice(np.array([3, 5, 9]), 2, strategy="sequential", seed=1).tolist() == [3, 5]


@given(left=positions, seed=st.integers(0, 2**32 - 1), data=st.data())
def test_taking_some_away_never_reorders_the_rest(left: np.ndarray, seed: int, data: st.DataObject) -> None:
    """So that a restart in the middle of the pool goes on exactly where it was."""
    gone = data.draw(st.sets(st.sampled_from(left.tolist()))) if len(left) else set()
    rest = np.asarray([p for p in left if p not in gone], dtype=np.int64)
    assert [p for p in shuffled(left, seed).tolist() if p not in gone] == shuffled(rest, seed).tolist()


vectors = hnp.arrays(
    np.float32, st.tuples(st.integers(0, 25), st.just(4)), elements=st.floats(-1, 1, width=32)
).map(lambda a: (a / np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-6)).astype(np.float32))


@given(embeddings=vectors, size=st.integers(0, 30), covered=st.none() | vectors)
def test_diverse_chooses_distinct_rows(embeddings: np.ndarray, size: int, covered: np.ndarray | None) -> None:
    chosen = diverse(embeddings, size, covered=covered)
    assert len(set(chosen.tolist())) == len(chosen) == min(size, len(embeddings))


def test_diverse_takes_one_of_each_cluster_before_a_second_of_any() -> None:
    corners = np.eye(4, dtype=np.float32)
    texts = np.repeat(corners, 5, axis=0)
    assert {int(i) // 5 for i in diverse(texts, 4)} == {0, 1, 2, 3}


def test_diverse_goes_where_people_have_not_been() -> None:
    corners = np.eye(3, dtype=np.float32)
    assert diverse(corners, 1, covered=corners[:2]).tolist() == [2]


def test_certainty_is_the_highest_probability_and_its_column() -> None:
    columns, certainties = best(np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32))
    assert columns.tolist() == [1, 0]
    np.testing.assert_allclose(certainties, [0.8, 0.5], rtol=1e-6)


def test_only_above_the_threshold_is_accepted() -> None:
    assert route(0.91, threshold=0.9) is Route.ACCEPT
    assert route(0.9, threshold=0.9) is Route.ASK
    assert route(1.0, threshold=1.0) is Route.ASK
    assert route(1.0, threshold=None) is Route.ASK
