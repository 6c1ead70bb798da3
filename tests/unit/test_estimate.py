"""The estimate of accuracy and its draws, the limit that follows the evidence, and the advice to stop."""

from __future__ import annotations

from dataclasses import asdict, replace
from json import dumps, loads

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.estimate.accuracy import Estimate, Result, estimate_accuracy, estimate_labels
from argilla_loop.policy.estimate.outlook import forecast, headline, look_ahead, outlook_from
from argilla_loop.policy.estimate.stability import Stability, kappa
from argilla_loop.policy.estimate.strata import EDGES, draw_held_back, effective_size, stratum_of
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import EXPECTED_WRONG, Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision
from argilla_loop.simulate.replay import Row
from argilla_loop.simulate.show import stopping


def simulated(seed: int, *, texts: int = 2000, trust: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Certainties of texts, and whether the model is right; ``trust``: how far its certainties mean what they say."""
    generator = np.random.default_rng(seed)
    certainties = generator.beta(6, 0.7, texts) * 0.6 + 0.4
    return certainties, generator.random(texts) < certainties * trust


def drawn(seed: int, certainties: np.ndarray, right: np.ndarray, count: int) -> list[Result]:
    """What people say of ``count`` held-back texts, one a batch."""
    order = np.random.default_rng(seed).permutation(len(certainties))
    results = []
    for batch in range(count):
        here = certainties[order]
        (draw,) = draw_held_back(here, np.arange(len(order)), 1, seed=seed, batch=batch)
        text = order[draw.position]
        results.append(Result(float(certainties[text]), bool(right[text]), draw.weight))
        order = np.delete(order, draw.position)
    return results


def test_the_weighted_mean_of_the_draws_is_unbiased() -> None:
    """For any quantity of the texts: here their mean certainty, and the share of a rare stratum."""
    certainties, right = simulated(1)
    means, shares, rights = [], [], []
    for seed in range(400):
        results = drawn(seed, certainties, right, 10)
        weights = np.array([result.weight for result in results])
        values = np.array([result.certainty for result in results])
        means.append((weights * values).mean())
        shares.append((weights * (values < EDGES[2])).mean())
        rights.append((weights * [result.right for result in results]).mean())
    assert np.mean(means) == pytest.approx(certainties.mean(), abs=0.02)
    assert np.mean(shares) == pytest.approx((certainties < EDGES[2]).mean(), abs=0.02)
    assert np.mean(rights) == pytest.approx(right.mean(), abs=0.02)


@pytest.mark.parametrize(("trust", "saved"), [(0.9, 0.05), (1.0, 0.2)])
def test_the_interval_holds_and_the_estimate_beats_a_plain_random_sample(trust: float, saved: float) -> None:
    """Also if the model is wrong far more often than it says."""
    held, errors, plain = 0, [], []
    for seed in range(150):
        certainties, right = simulated(seed, trust=trust)
        found = estimate_accuracy(drawn(seed, certainties, right, 20), certainties, confidence=0.95)
        held += found.low <= right.mean() <= found.high
        errors.append((found.value - right.mean()) ** 2)
        some = np.random.default_rng(seed).permutation(len(right))[:20]
        plain.append((right[some].mean() - right.mean()) ** 2)
    assert held >= 130  # of 150; nominal 142
    assert np.mean(errors) < (1 - saved) * np.mean(plain)


@given(
    certainties=st.lists(st.floats(0.01, 1.0), min_size=1, max_size=60),
    count=st.integers(0, 70),
    batch=st.integers(0, 1000),
)
def test_draws_are_different_texts_and_the_same_after_a_restart(
    certainties: list[float], count: int, batch: int
) -> None:
    values = np.array(certainties)
    order = np.random.default_rng(3).permutation(len(values))
    draws = draw_held_back(values, order, count, seed=7, batch=batch)
    assert draws == draw_held_back(values, order, count, seed=7, batch=batch)
    assert len({draw.position for draw in draws}) == len(draws) == min(count, len(values))
    assert all(draw.weight > 0 for draw in draws)
    assert all(0 <= stratum < len(EDGES) for stratum in stratum_of(values))


def test_without_any_answer_the_estimate_is_the_models_own_and_uncertain() -> None:
    found = estimate_accuracy([], np.full(100, 0.8), confidence=0.95)
    assert found.value == pytest.approx(0.8, abs=0.03)
    assert found.high - found.low > 0.5
    assert estimate_accuracy([], np.empty(0), confidence=0.95).value == 1.0


def test_labels_of_people_are_right_and_audits_speak_for_what_was_accepted() -> None:
    sure = estimate_labels(
        [], np.empty(0), accepted=900, accepted_results=[True] * 60, human=100, confidence=0.95
    )
    assert sure.low > 0.94
    wrong = estimate_labels(
        [], np.empty(0), accepted=900, accepted_results=[True] * 30 + [False] * 30, human=100, confidence=0.95
    )
    assert 0.5 < wrong.value < 0.6
    alone = estimate_labels([], np.empty(0), accepted=0, accepted_results=[], human=10, confidence=0.95)
    assert alone.value == 1.0


def test_kish_effective_size() -> None:
    assert effective_size([]) == 0
    assert effective_size([2.0] * 7) == pytest.approx(7)
    assert effective_size([10.0, 1.0]) < 1.3


def test_successive_models_are_compared_on_the_same_sample_and_a_restart_with_the_same_model_keeps_that() -> (
    None
):
    a, b = ["x", "x", "y", "y"], ["x", "y", "y", "y"]
    stability = Stability()
    assert stability.follow("m1", "s", a) == ()
    assert stability.follow("m2", "s", a) == (1.0,)
    assert stability.follow("m2", "s", a) == (1.0,)  # nothing was learnt in between
    assert stability.follow("m3", "s", b) == (1.0, 0.5)
    assert stability.follow("m4", "another", a) == (1.0, 0.5)
    assert Stability("m3", (1.0, 0.5)).follow("m3", "s", b) == (1.0, 0.5)
    assert Stability("m3", (1.0, 0.5)).follow("m4", "s", b) == ()


def test_kappa_is_agreement_beyond_chance() -> None:
    assert kappa(["a", "b"], ["a", "b"]) == 1.0
    assert kappa(["a", "a"], ["a", "a"]) == 1.0
    assert kappa(["a", "b", "a", "b"], ["a", "a", "b", "b"]) == 0.0


@given(right=st.integers(0, 200), wrong=st.integers(0, 50), slice_size=st.integers(1, 500))
def test_a_batch_never_accepts_more_wrong_labels_than_expected(
    right: int, wrong: int, slice_size: int
) -> None:
    """The bound before the first audit is the same: 20 records, of which half may be wrong."""
    decision = AcceptanceDecision(0.9, right + wrong, right)
    now = Acceptance(Rules(slice_size=slice_size), ("A",), decisions={"A": decision})
    error = (wrong + 1) / (right + wrong + 2)
    assert now.limit * error <= EXPECTED_WRONG
    assert now.limit <= 500 - slice_size


def test_the_limit_follows_the_evidence_and_a_setting_or_a_promise_replaces_it() -> None:
    def limit(checked: int, **rules: float) -> int:
        decision = AcceptanceDecision(0.9, checked, checked)
        return Acceptance(Rules(**rules), ("A",), decisions={"A": decision}).limit  # type: ignore[arg-type]  # by name

    assert [limit(n) for n in (0, 10, 30, 100)] == [20, 120, 320, 490]
    assert limit(0, accept_limit=7) == 7
    assert limit(0, target_precision=0.95) == 490


def test_stopping_is_advised_for_right_labels_and_a_stable_model_only() -> None:
    good = [Result(0.98, right=True)] * 60
    certain = np.full(200, 0.98)

    def can_stop(results: list[Result], agreement: tuple[float, ...], target: float | None = None) -> bool:
        return look_ahead(
            results, certain, human=150, accepted=650, accepted_results=[True] * 80, left=200,
            agreement=agreement, confidence=0.95, target=target,
        ).can_stop  # fmt: skip

    assert can_stop(good, (0.99, 0.98))
    assert not can_stop(good, (0.99,))
    assert not can_stop(good, (0.99, 0.8))
    assert not can_stop([Result(0.98, right=n % 2 == 0) for n in range(60)], (0.99, 0.98))
    assert not can_stop(good, (0.99, 0.98), target=0.999)


def test_the_forecast_says_more_labels_for_more_errors_and_many_where_nobody_can_tell() -> None:
    near = forecast(Estimate(0.96, 0.95, 0.965, 40), 100, 0.97)
    far = forecast(Estimate(0.9, 0.8, 0.95, 40), 100, 0.97)
    assert 0 < near.low < near.labels
    assert forecast(Estimate(0.965, 0.962, 0.968, 40), 100, 0.97).high is not None
    assert forecast(Estimate(0.965, 0.9, 0.99, 40), 100, 0.97).low == 0  # it may be reached already
    assert far.labels > near.labels
    assert far.high is None


def test_the_headline_is_one_line_of_numbers_and_survives_a_file() -> None:
    now = look_ahead(
        [Result(0.97, right=True)] * 40, np.full(188, 0.97), human=172, accepted=640, left=188,
        accepted_results=[True] * 60, agreement=(0.99, 0.99), confidence=0.95, held_back=(27, 28), acceptable=120,
    )  # fmt: skip
    said = headline(now)
    assert said.startswith("172 human labels; the model is right on 9")
    assert "812 of 1,000 texts labelled, 640 by the service" in said
    assert said.endswith("you can stop")
    assert outlook_from(loads(dumps(asdict(now)))) == now
    more = replace(now, can_stop=False, forecast=forecast(Estimate(0.96, 0.9, 0.99, 40), 172, 0.98))
    assert "more labels to 98%" in headline(more)


def test_a_simulation_says_what_stopping_when_advised_would_have_cost() -> None:
    rows: list[Row] = [
        {"strategy": name, "seed": seed, "human_labels": labels, "accuracy": accuracy, "can_stop": advised}
        for name, seed, labels, accuracy, advised in [
            ("mixed", 1, 50, 0.90, False), ("mixed", 1, 100, 0.95, True), ("mixed", 1, 200, 0.96, True),
            ("mixed", 2, 120, 0.94, True), ("mixed", 2, 200, 0.94, False),
            ("mixed", 3, 200, 0.80, None), ("random", 1, 200, 0.80, False),
        ]
    ]  # fmt: skip
    assert list(stopping(rows)) == [
        'mixed: "you can stop" after 110 labels in 2 of 3 runs, +0.5 points of accuracy before the end'
    ]
