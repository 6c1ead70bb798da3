"""``choose``: what holds for every strategy, and what each one means."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.policy.query import NEAR_DUPLICATE, Strategy, choose, cover, random_count, shuffled

STRATEGIES: tuple[Strategy, ...] = get_args(Strategy)
UNSURE: tuple[Strategy, ...] = ("least-confidence", "margin", "entropy")
UNSURE_OR_MIXED: tuple[Strategy, ...] = (*UNSURE, "mixed")


def unit(rows: Any) -> FloatArray:
    rows = np.asarray(rows, dtype=np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def near(direction: int, count: int, spread: float, *, dimensions: int = 8, seed: int = 0) -> FloatArray:
    """``count`` texts about one topic, some way apart."""
    noise = np.random.default_rng(seed + direction).standard_normal((count, dimensions))
    return unit(np.eye(dimensions)[direction] + spread * noise)


# few directions, so that near-duplicates and exact ones are common
vectors = hnp.arrays(np.int8, st.tuples(st.integers(0, 30), st.just(3)), elements=st.integers(-2, 2)).map(
    lambda rows: unit(rows + np.array([0.1, 0.2, 0.3]))
)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    embeddings = draw(vectors)
    shape = (len(embeddings), draw(st.integers(1, 4)))
    raw = draw(hnp.arrays(np.float32, shape, elements=st.floats(0.015625, 1, width=32)))
    return {
        "embeddings": embeddings,
        "probabilities": draw(st.sampled_from([None, raw / raw.sum(axis=1, keepdims=True)])),
        "covered": draw(st.none() | vectors),
        "seed": draw(st.integers(0, 2**32 - 1)),
    }


@given(world=worlds(), size=st.integers(0, 35), strategy=st.sampled_from(STRATEGIES))
def test_a_choice_is_distinct_in_range_complete_and_the_same_again(
    world: dict[str, Any], size: int, strategy: Strategy
) -> None:
    chosen = choose(strategy, size, **world)
    assert chosen.dtype == np.int64
    assert len(set(chosen.tolist())) == len(chosen) == min(size, len(world["embeddings"]))
    assert set(chosen.tolist()) <= set(range(len(world["embeddings"])))
    assert choose(strategy, size, **world).tolist() == chosen.tolist()


@given(world=worlds(), size=st.integers(1, 12), strategy=st.sampled_from(STRATEGIES))
def test_no_near_duplicates_in_a_batch_while_anything_else_is_left(
    world: dict[str, Any], size: int, strategy: Strategy
) -> None:
    """Where one is taken after all, every text that was still left was a near-duplicate of one before it."""
    embeddings = world["embeddings"]
    chosen = choose(strategy, size, **world).tolist()
    twins = embeddings @ embeddings.T > NEAR_DUPLICATE
    for place, row in enumerate(chosen):
        before = chosen[:place]
        if twins[row, before].any():
            assert np.delete(twins, before, axis=0)[:, before].any(axis=1).all()


@given(
    world=worlds(),
    size=st.integers(1, 8),
    strategy=st.sampled_from(("random", *UNSURE)),
    data=st.data(),
)
def test_a_choice_stays_as_texts_that_were_not_chosen_leave(
    world: dict[str, Any], size: int, strategy: Strategy, data: st.DataObject
) -> None:
    """As happens when somebody logs records by hand; the pool positions tell what is what."""
    world["probabilities"] = np.linspace(0.5, 1, len(world["embeddings"]), dtype=np.float32)[:, None]
    world["probabilities"] = np.hstack([world["probabilities"], 1 - world["probabilities"]])
    positions = 3 * np.arange(len(world["embeddings"])) + 1
    chosen = positions[choose(strategy, size, positions=positions, **world)]
    stays = np.array([p in chosen or data.draw(st.booleans()) for p in positions], dtype=bool)
    for name in ("embeddings", "probabilities"):
        world[name] = world[name][stays]
    rest = positions[stays]
    assert rest[choose(strategy, size, positions=rest, **world)].tolist() == chosen.tolist()


@given(seed=st.integers(0, 2**32 - 1), order=st.permutations(range(12)))
def test_what_is_asked_does_not_depend_on_the_order_of_the_candidates(seed: int, order: list[int]) -> None:
    """But for ties and what is random: the same texts are chosen, whatever order they come in."""
    random = np.random.default_rng(seed)
    embeddings, raw = unit(random.standard_normal((12, 5))), random.random((12, 3)).astype(np.float32)
    guess = raw / raw.sum(axis=1, keepdims=True)
    for strategy in UNSURE_OR_MIXED:
        world: dict[str, Any] = {"probabilities": guess, "embeddings": embeddings}
        chosen = choose(strategy, 4, seed=1, **world)
        moved = choose(strategy, 4, seed=1, **{name: array[order] for name, array in world.items()})
        assert np.asarray(order)[moved].tolist() == chosen.tolist()


def test_arrays_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(ValueError, match="3 embeddings"):
        choose("margin", 1, embeddings=unit(np.eye(3)), probabilities=np.ones((2, 2), np.float32), seed=0)
    with pytest.raises(ValueError, match="3 embeddings"):
        choose("random", 1, embeddings=unit(np.eye(3)), positions=np.arange(2), seed=0)
    with pytest.raises(ValueError, match="no strategy"):
        choose("best", 1, embeddings=unit(np.eye(3)), seed=0)  # type: ignore[arg-type]  # that is the test


def test_sequential_keeps_the_pools_order_and_puts_near_duplicates_off() -> None:
    embeddings = unit([[1, 0], [1, 0.01], [0, 1], [1, 1]])
    assert choose("sequential", 3, embeddings=embeddings, seed=0).tolist() == [0, 2, 3]
    assert choose("sequential", 4, embeddings=embeddings, seed=0).tolist() == [0, 2, 3, 1]


def test_random_is_the_shuffled_order() -> None:
    embeddings, positions = unit(np.eye(6)), np.array([2, 3, 5, 7, 11, 13])
    chosen = choose("random", 4, embeddings=embeddings, positions=positions, seed=9)
    assert positions[chosen].tolist() == shuffled(positions, 9)[:4].tolist()


def test_each_measure_of_doubt_asks_what_it_is_named_for() -> None:
    guess = np.array(
        [[0.50, 0.49, 0.01], [0.48, 0.27, 0.25], [0.52, 0.24, 0.24], [0.9, 0.05, 0.05]], dtype=np.float32
    )
    world: dict[str, Any] = {"embeddings": unit(np.eye(4)), "probabilities": guess, "seed": 0}
    assert choose("least-confidence", 1, **world).tolist() == [1]
    assert choose("margin", 1, **world).tolist() == [0]
    assert choose("entropy", 2, **world).tolist() == [1, 2]
    assert choose("margin", 4, **world).tolist() == [0, 1, 2, 3]


def test_equal_doubt_goes_by_index() -> None:
    world: dict[str, Any] = {
        "embeddings": unit(np.eye(5)),
        "probabilities": np.full((5, 2), 0.5, np.float32),
        "seed": 3,
    }
    for strategy in UNSURE:
        assert choose(strategy, 3, **world).tolist() == [0, 1, 2]


@pytest.mark.parametrize("strategy", UNSURE_OR_MIXED)
def test_without_a_model_what_needs_one_chooses_as_typical(strategy: Strategy) -> None:
    embeddings = unit(np.random.default_rng(0).standard_normal((40, 5)))
    typical = choose("typical", 12, embeddings=embeddings, seed=1)
    assert choose(strategy, 12, embeddings=embeddings, seed=1).tolist() == typical.tolist()


def test_typical_takes_the_big_topics_first_and_no_outlier() -> None:
    embeddings = np.concatenate([near(0, 5, 0.15), near(1, 30, 0.15), near(2, 15, 0.15), near(3, 1, 0.0)])
    topic = np.repeat([0, 1, 2, 3], [5, 30, 15, 1])
    assert topic[choose("typical", 3, embeddings=embeddings, seed=0)].tolist() == [1, 2, 0]


def test_typical_goes_where_people_have_not_been() -> None:
    embeddings = np.concatenate([near(0, 30, 0.15), near(1, 10, 0.15)])
    seen = near(0, 10, 0.15, seed=7)
    assert choose("typical", 1, embeddings=embeddings, covered=seen, seed=0)[0] >= 30


@given(seed=st.integers(0, 2**32 - 1))
def test_diverse_takes_one_of_each_topic_before_a_second_of_any(seed: int) -> None:
    embeddings = np.concatenate([near(topic, 10, 0.001) for topic in range(5)])
    chosen = choose("diverse", 5, embeddings=embeddings, seed=seed)
    assert {int(row) // 10 for row in chosen} == {0, 1, 2, 3, 4}
    rest = choose("diverse", 3, embeddings=embeddings, covered=np.eye(8, dtype=np.float32)[:2], seed=seed)
    assert {int(row) // 10 for row in rest} == {2, 3, 4}


def test_mixed_asks_where_many_unsure_texts_are_near() -> None:
    """Not the big topic the model is sure of, not the lone text that it is least sure of."""
    embeddings = np.concatenate([near(0, 40, 0.15), near(1, 20, 0.15), near(2, 1, 0.0)])
    sure = np.repeat([0.99, 0.6, 0.5], [40, 20, 1])
    guess = np.stack([sure, 1 - sure], axis=1).astype(np.float32)
    chosen = choose("mixed", 1, embeddings=embeddings, probabilities=guess, seed=0)
    assert 40 <= chosen[0] < 60
    assert choose("margin", 1, embeddings=embeddings, probabilities=guess, seed=0).tolist() == [60]
    assert choose("typical", 1, embeddings=embeddings, probabilities=guess, seed=0)[0] < 40


def test_a_model_that_is_sure_of_everything_leaves_typical() -> None:
    embeddings = unit(np.random.default_rng(0).standard_normal((40, 5)))
    guess = np.tile(np.array([1, 0], dtype=np.float32), (40, 1))
    typical = choose("typical", 5, embeddings=embeddings, seed=1)
    assert choose("mixed", 5, embeddings=embeddings, probabilities=guess, seed=1).tolist() == typical.tolist()


def test_the_last_tenth_of_mixed_is_random() -> None:
    embeddings = unit(np.random.default_rng(0).standard_normal((200, 32)))
    guess = np.random.default_rng(1).dirichlet([1, 1, 1], 200).astype(np.float32)
    chosen = choose("mixed", 20, embeddings=embeddings, probabilities=guess, seed=5).tolist()
    order = [row for row in shuffled(np.arange(200), 5).tolist() if row not in chosen[:18]]
    assert chosen[18:] == order[:2]


@given(sizes=st.lists(st.integers(1, 30), max_size=30))
def test_one_text_in_ten_is_random_whatever_the_batches(sizes: list[int]) -> None:
    taken = np.cumsum([0, *sizes])
    counts = [random_count(size, int(before)) for size, before in zip(sizes, taken, strict=False)]
    assert sum(counts) == taken[-1] // 10
    assert all(0 <= count <= size for count, size in zip(counts, sizes, strict=True))


@given(seed=st.integers(0, 1000))
def test_a_sample_stands_for_all(seed: int) -> None:
    """Exact where everything fits; otherwise heavy rows are in it for certain, and the sum is about right."""
    weights = np.random.default_rng(seed).random(300).astype(np.float32) + np.float32(0.01)
    weights[7] = 100
    drawn, stand_for = cover.priority_sample(weights, np.arange(300), 300, seed=seed)
    assert drawn.tolist() == list(range(300))
    assert stand_for.tolist() == weights.tolist()
    drawn, stand_for = cover.priority_sample(weights, np.arange(300), 150, seed=seed)
    assert len(set(drawn.tolist())) == 150
    assert 7 in drawn
    np.testing.assert_allclose(stand_for.sum(), weights.sum(), rtol=0.25)


@settings(max_examples=5)
@given(seed=st.integers(0, 1000))
def test_a_rare_doubt_in_a_large_pool_is_found(seed: int) -> None:
    """Fifty unsure texts among ten thousand sure ones: the sample is drawn by doubt, not by number."""
    sure, unsure = near(0, 10_000, 0.3, seed=seed), near(1, 50, 0.1, seed=seed)
    guess = np.repeat(np.array([[1, 0], [0.5, 0.5]], dtype=np.float32), [10_000, 50], axis=0)
    chosen = choose("mixed", 1, embeddings=np.concatenate([sure, unsure]), probabilities=guess, seed=seed)
    assert chosen[0] >= 10_000


def test_the_sample_changes_little_as_texts_leave_the_pool() -> None:
    positions = np.arange(5000)
    before, _ = cover.priority_sample(np.ones(5000, np.float32), positions, 500, seed=1)
    rest = np.delete(positions, before[:10])
    after, _ = cover.priority_sample(np.ones(4990, np.float32), rest, 500, seed=1)
    assert len(set(before.tolist()) & set(rest[after].tolist())) == 490


def test_greedy_choice_is_that_of_the_plain_definition() -> None:
    """Gains that are computed lazily choose what computing all of them each time would."""
    random = np.random.default_rng(4)
    embeddings, weights = unit(random.standard_normal((80, 6))), random.random(80).astype(np.float32)
    seen = unit(random.standard_normal((3, 6)))
    cosines = embeddings @ embeddings.T
    nearest = np.maximum((embeddings @ seen.T).max(axis=1), 0)
    plain: list[int] = []
    while len(plain) < 10:
        gains = weights @ np.maximum(cosines - nearest[:, None], 0)
        gains[(cosines[:, plain] > NEAR_DUPLICATE).any(axis=1)] = -1
        plain.append(int(gains.argmax()))
        nearest = np.maximum(nearest, cosines[plain[-1]])
    assert cover.facility_location(embeddings, weights, 10, covered=seen).tolist() == plain


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_float16_from_a_file_does_as_well(tmp_path: Path, strategy: Strategy) -> None:
    embeddings = unit(np.random.default_rng(0).standard_normal((60, 16))).astype(np.float16)
    np.save(tmp_path / "pool.npy", embeddings)
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    world: dict[str, Any] = {
        "probabilities": np.full((60, 2), 0.5, np.float32),
        "covered": mapped[:5],
        "seed": 2,
    }
    expected: IndexArray = choose(strategy, 7, embeddings=embeddings.astype(np.float32), **world)
    assert choose(strategy, 7, embeddings=mapped, **world).tolist() == expected.tolist()
