"""Certainty, and above which of it a record is acceptable."""

from __future__ import annotations

import numpy as np
import pytest

from argilla_loop.policy.task import SINGLE_LABEL
from argilla_loop.policy.validation.certainty import levels_of, mean_above
from argilla_loop.policy.validation.promise import AcceptanceDecision

LABELS = ("A", "B", "C", "D")
COLUMNS = np.arange(4)


def test_certainty_is_the_highest_probability_and_its_column() -> None:
    probabilities = np.array([[0.2, 0.8], [0.5, 0.5]], dtype=np.float32)
    labels, columns, certainties = SINGLE_LABEL.predict(probabilities, ("A", "B"))
    assert labels == ["B", "A"]
    assert columns.tolist() == [1, 0]
    np.testing.assert_allclose(certainties, [0.8, 0.5], rtol=1e-6)


def test_a_record_is_acceptable_above_its_labels_threshold_and_audited_above_that_of_audits() -> None:
    """A label with too few examples is audited, and never accepted."""
    found = levels_of(
        LABELS,
        {"A": AcceptanceDecision(0.9), "B": AcceptanceDecision(None), "C": AcceptanceDecision(0.7)},
        closed={"C"},
        audit_threshold=0.8,
    )
    above = np.full(4, 0.95)
    assert found.acceptable(COLUMNS, above).tolist() == [True, False, False, False]
    assert found.audit_eligible(COLUMNS, above).tolist() == [True, True, True, False]
    between = np.full(4, 0.85)
    assert found.acceptable(COLUMNS, between).tolist() == [False] * 4
    assert found.audit_eligible(COLUMNS, between).tolist() == [True, True, True, False]
    assert not found.audit_eligible(COLUMNS, np.full(4, 0.75)).any()


@pytest.mark.parametrize(("certainty", "accepted"), [(0.91, True), (0.9, False), (0.5, False)])
def test_only_above_the_threshold_is_acceptable(certainty: float, *, accepted: bool) -> None:
    found = levels_of(("A",), {"A": AcceptanceDecision(0.9)})
    assert found.acceptable(np.array([0]), np.array([certainty])).tolist() == [accepted]
    # nothing is audited for evidence above a stricter threshold than the granted one
    assert found.audit_eligible(np.array([0]), np.array([certainty])).tolist() == [accepted]


def test_nothing_is_acceptable_where_nothing_may_be_even_with_certainty_one() -> None:
    found = levels_of(LABELS, {})
    assert not found.acceptable(COLUMNS, np.ones(4)).any()
    assert not found.audit_eligible(COLUMNS, np.ones(4)).any()


def test_thresholds_that_hardly_anything_lies_above_are_left_out() -> None:
    assert set(mean_above(np.array([0.65] * 99 + [0.95]), (0.6, 0.9))) == {0.6}


def test_what_a_model_takes_its_precision_for_is_the_mean_above_each_threshold() -> None:
    found = mean_above(np.array([0.5, 0.75, 0.85]), (0.6, 0.8, 0.9))
    assert found == {0.6: pytest.approx(0.8), 0.8: pytest.approx(0.85)}
