"""The axes of the pictures say what the ticks are."""

from __future__ import annotations

import pytest

from argilla_loop.simulate.curve import percent


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.975, "97.5%"), (1.0, "100%"), (0.07, "7%"), (0.95, "95%"), (0.0, "0%"), (0.8250000001, "82.5%")],
)
def test_a_tick_that_is_at_no_whole_percent_is_not_rounded_to_one(share: float, shown: str) -> None:
    assert percent(share) == shown
