"""The level at which many looks together err as often as they may: against enumeration of all courses."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argilla_loop.policy.validation.bound import lower_bound
from argilla_loop.policy.validation.boundary import boundary, passes

MOST = 12


@given(
    precision=st.floats(0.5, 0.95),
    level=st.floats(0.01, 0.4),
    interim_analyses=st.sets(st.integers(1, MOST), min_size=1, max_size=5).map(
        lambda some: tuple(sorted(some))
    ),
)
@settings(max_examples=25)
def test_the_probability_to_pass_is_that_of_all_courses_together(
    precision: float, level: float, interim_analyses: tuple[int, ...]
) -> None:
    total = 0.0
    for course in itertools.product([True, False], repeat=interim_analyses[-1]):
        if any(lower_bound(sum(course[:n]), n, level) >= precision for n in interim_analyses):
            total += precision ** sum(course) * (1 - precision) ** (len(course) - sum(course))
    assert passes(precision, interim_analyses, level) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("precision", [0.8, 0.9, 0.95, 0.99])
@pytest.mark.parametrize("error", [0.05, 0.2])
def test_the_level_keeps_the_error_and_a_larger_one_would_not(precision: float, error: float) -> None:
    found = boundary(precision, error)
    assert 0.7 * error < passes(precision, found.interim_analyses, found.level) <= error
    assert passes(precision, found.interim_analyses, found.level * 1.05) > error


def test_a_precision_below_the_one_demanded_passes_less_often() -> None:
    """So the error is the worst that can happen, not a point of it."""
    found = boundary(0.9, 0.1)

    def chance(precision: float) -> float:
        """Passing is against 0.9; what is right is right with ``precision``."""
        left = {0: 1.0}
        passed, before = 0.0, 0
        for look in found.interim_analyses[:12]:
            for _ in range(look - before):
                stepped: dict[int, float] = {}
                for wrong, weight in left.items():
                    stepped[wrong] = stepped.get(wrong, 0.0) + weight * precision
                    stepped[wrong + 1] = stepped.get(wrong + 1, 0.0) + weight * (1 - precision)
                left = stepped
            through = [w for w in left if lower_bound(look - w, look, found.level) >= 0.9]
            passed += sum(left.pop(w) for w in through)
            before = look
        return passed

    chances = [chance(precision) for precision in (0.7, 0.8, 0.85, 0.9)]
    assert chances == sorted(chances)
    assert chances[-1] <= 0.1
