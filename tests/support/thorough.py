"""How much of a long table a run of the tests goes through: a part of it by default, all of it in ``make thorough``.

The tables have every fault at every request, every kill and every random day. All of them take longer than a change
should wait. The part is the same in every run, spread evenly over the table.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

T = TypeVar("T")

THOROUGH = os.environ.get("ARGILLA_LOOP_THOROUGH") == "1"

only_thorough = pytest.mark.skipif(not THOROUGH, reason="a case that only `make thorough` runs")


def some(cases: Sequence[T], most: int) -> list[T]:
    """Return all cases in a thorough run, else ``most`` of them: the first, the last, and others evenly between."""
    if THOROUGH or len(cases) <= most:
        return list(cases)
    return [cases[round(n * (len(cases) - 1) / (most - 1))] for n in range(most)]


def rarely(case: object) -> object:
    """Mark a case of ``pytest.mark.parametrize`` as one for a thorough run."""
    return pytest.param(case, marks=only_thorough)
