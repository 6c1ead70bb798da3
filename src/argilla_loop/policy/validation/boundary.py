"""The level of a test that is repeated: exact, by enumerating all outcomes of the interim analyses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count, takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

from argilla_loop.policy.validation.bound import checks_needed

# Factor from one interim analysis to the next: more of them cost level, fewer cost time. Chosen, not measured.
GROWTH = 1.15
LOOKS = 24  # interim analyses; the last has 25 times as many checks as the first
STEPS = 30  # of the bisection: the level is then exact to nine digits


@dataclass(frozen=True, slots=True)
class Boundary:
    """When a precision is granted.

    Attributes:
        interim_analyses: number of checks at each interim analysis, ascending; there is none after the last.
        level: error of the lower bound that has to reach the precision at an interim analysis.
    """

    interim_analyses: tuple[int, ...]
    level: float


@cache
def boundary(precision: float, error: float) -> Boundary:
    """Return the interim analyses, and the largest level at which all of them together err with at most ``error``.

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
    """Return the exact probability that checks, each right with ``precision``, pass at one of ``interim_analyses``."""
    needed = list(
        takewhile(
            lambda n: n <= interim_analyses[-1], (checks_needed(precision, level, wrong) for wrong in count())
        )
    )
    # probability of each number of wrong checks without having passed; with more wrong checks nothing passes any more
    left: NDArray[np.float64] = np.zeros(len(needed) + 1)
    left[0] = 1.0
    passed, before = 0.0, 0
    for look in interim_analyses:
        further = binom.pmf(np.arange(len(left)), look - before, 1 - precision)
        left = np.convolve(left, further)[: len(left)]
        allowed = sum(n <= look for n in needed)  # the numbers of wrong checks that pass are 0 .. allowed - 1
        passed += float(left[:allowed].sum())
        left[:allowed] = 0.0
        before = look
    return passed
