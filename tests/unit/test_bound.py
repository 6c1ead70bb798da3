"""The exact binomial bounds, against enumeration of everything that can happen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from argilla_loop.policy.validation.bound import checks_needed, lower_bound, upper_bound

shares = st.floats(0.001, 0.999)
errors = st.floats(0.001, 0.5)
sizes = st.integers(1, 300)


@given(n=sizes, share=shares, error=errors)
def test_whatever_the_share_the_lower_bound_exceeds_it_no_more_often_than_allowed(
    n: int, share: float, error: float
) -> None:
    """Summed over all n + 1 outcomes with their exact probabilities."""
    too_high = sum(
        binom.pmf(right, n, share) for right in range(n + 1) if lower_bound(right, n, error) > share
    )
    assert too_high <= error + 1e-9


@given(n=sizes, error=errors, data=st.data())
def test_the_lower_bound_is_the_largest_that_keeps_this(n: int, error: float, data: st.DataObject) -> None:
    """At the bound itself, so many right ones or more have a probability of exactly the error."""
    right = data.draw(st.integers(1, n))
    assert binom.sf(right - 1, n, lower_bound(right, n, error)) == pytest.approx(error, rel=1e-6)


@given(n=sizes, error=errors, data=st.data())
def test_upper_and_lower_mirror_each_other(n: int, error: float, data: st.DataObject) -> None:
    right = data.draw(st.integers(0, n))
    assert upper_bound(right, n, error) == pytest.approx(1 - lower_bound(n - right, n, error), abs=1e-9)


def test_without_a_check_nothing_is_known() -> None:
    assert (lower_bound(0, 0, 0.05), upper_bound(0, 0, 0.05)) == (0.0, 1.0)


@pytest.mark.parametrize(("wrong", "needed"), [(0, 59), (1, 93), (2, 124)])
def test_the_known_reference_points(wrong: int, needed: int) -> None:
    """At most 5% error at 95%."""
    assert checks_needed(0.95, 0.05, wrong) == needed


@given(precision=st.floats(0.5, 0.99), error=st.floats(0.001, 0.3), wrong=st.integers(0, 5))
def test_so_many_checks_suffice_and_one_fewer_does_not(precision: float, error: float, wrong: int) -> None:
    needed = checks_needed(precision, error, wrong)
    assert lower_bound(needed - wrong, needed, error) >= precision
    if needed - 1 > wrong:
        assert lower_bound(needed - 1 - wrong, needed - 1, error) < precision


@pytest.mark.parametrize(("right", "checked", "error"), [(3, 2, 0.1), (-1, 2, 0.1), (1, 2, 0.0), (1, 2, 1.0)])
def test_nonsense_is_refused(right: int, checked: int, error: float) -> None:
    with pytest.raises(ValueError, match=r"must lie between|cannot be more"):
        lower_bound(right, checked, error)
