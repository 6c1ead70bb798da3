"""How much of a slice is audited: little while the model learns, all once only evidence is missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.policy.validation.audits import audits_of_slice

shares = st.floats(0.0, 1.0)
numbers = st.integers(0, 500)


@given(st.integers(0, 50), shares, numbers, numbers, numbers)
def test_it_is_never_more_than_the_slice_and_none_where_nothing_is_missing(
    size: int, above: float, missing: int, human: int, checked: int
) -> None:
    found = audits_of_slice(size, above=above, missing=missing, human=human, checked=checked)
    assert 0 <= found <= size
    if not missing or not above:
        assert found == 0
    elif size:
        assert found > 0


@given(st.integers(1, 50), shares, shares, st.integers(1, 500), numbers, st.integers(1, 500))
def test_the_surer_the_model_the_more_is_audited(
    size: int, one: float, other: float, missing: int, human: int, checked: int
) -> None:
    few, many = (
        audits_of_slice(size, above=above, missing=missing, human=human, checked=checked)
        for above in sorted((one, other))
    )
    assert few <= many


def test_little_is_audited_while_the_model_learns_and_nearly_all_once_only_evidence_is_missing() -> None:
    learning = audits_of_slice(20, above=0.2, missing=74, human=50, checked=10)
    assert learning <= 4
    missing_little = audits_of_slice(20, above=0.7, missing=10, human=200, checked=64)
    assert missing_little >= 19
    assert audits_of_slice(20, above=0.9, missing=74, human=300, checked=0) == 10  # the first ones
