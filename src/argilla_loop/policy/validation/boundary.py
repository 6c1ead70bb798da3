"""At which level to test when one looks again and again: exact, by counting every course that the looks can take."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from argilla_loop.policy.validation.bound import checks_needed

GROWTH = 1.15  # from one look to the next: more looks cost level, fewer cost time
LOOKS = 24  # the last at twenty-five times the first
STEPS = 30  # of the bisection


@dataclass(frozen=True, slots=True)
class Boundary:
    """When a precision is granted.

    Attributes:
        interim_analyses: how many checks there are at each look, ascending; there is none after the last.
        level: of the lower bound that has to reach the precision at a look.
    """

    interim_analyses: tuple[int, ...]
    level: float


@cache
def boundary(precision: float, error: float) -> Boundary:
    """The looks, and the largest level at which all of them together err with a probability of at most ``error``.

    This is a group-sequential test with a constant nominal level (Pocock 1977; Jennison and Turnbull 2000, with
    binomial data in chapter 12). The error is the exact probability that a share of ``precision`` passes at any look;
    a smaller share passes less often.
    """
    first = checks_needed(precision, error)
    interim_analyses = tuple(sorted({round(first * GROWTH**n) for n in range(LOOKS)}))
    low, high = 0.0, error
    for _ in range(STEPS):
        level = (low + high) / 2
        low, high = (level, high) if passes(precision, interim_analyses, level) <= error else (low, level)
    return Boundary(interim_analyses, low)


def passes(precision: float, interim_analyses: tuple[int, ...], level: float) -> float:
    """Exact probability that checks which are right with ``precision`` each pass at one of ``interim_analyses``."""
    needed = list(
        takewhile(
            lambda n: n <= interim_analyses[-1], (checks_needed(precision, level, wrong) for wrong in count())
        )
    )
    # what is left at each number of wrong ones; with more than that nothing passes any more
    left: NDArray[np.float64] = np.zeros(len(needed) + 1)
    left[0] = 1.0
    passed, before = 0.0, 0
    for look in interim_analyses:
        further = binom.pmf(np.arange(len(left)), look - before, 1 - precision)
        left = np.convolve(left, further)[: len(left)]
        allowed = sum(n <= look for n in needed)  # so many numbers of wrong ones pass, beginning with none
        passed += float(left[:allowed].sum())
        left[:allowed] = 0.0
        before = look
    return passed
