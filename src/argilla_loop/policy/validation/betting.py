"""Tests of a precision by betting: valid at every moment, however often they are looked at.

Somebody bets on each check at odds that are fair if exactly the required precision is right. If less is right, the
bets lose on average, so the wealth exceeds 1/x with a probability of at most x at any time (Ville 1939). A wealth of
1/x is therefore evidence for the precision at the error x (a test martingale: Shafer et al. 2011; Waudby-Smith and
Ramdas 2024). There is no schedule of analyses. The model may change between checks: all that the test needs is that,
if the promise is broken, each check is right with less than the required precision, given those before it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

# The bets: each assumes that the share of wrong checks is this multiple of the allowed one; the wealth is their mean.
# With 0 it takes least checks if none is wrong (72 for 95% at 95%, where 59 is the floor), with 0.5 it still wins if
# the model is half as wrong as allowed. By enumeration: granted within 500 checks in 84% of courses if 2% are wrong.
BETS = (0.0, 0.1, 0.25, 0.5)
# The bet against a promise that was granted: that twice the allowed share is wrong. By simulation, with 95% at 95%: it
# takes 90 checks (median) to see a fall to 90% right, 28 to 80%, 9 to 50%, and of 1,000 checks with 98% right it stops
# in 1 of 100 courses.
FALL = 2.0
# Share of the error that is spent first; of the rest the same share is spent after a fall, and so on. Chosen, not
# measured: a first grant is nearly always the last one, and this makes it 2 checks dearer.
FIRST_SHARE = 0.9
STEPS = 60  # of a bisection: exact to the last digit


@dataclass(frozen=True, slots=True)
class Course:
    """What a sequence of checks shows of a precision.

    Attributes:
        granted: whether the precision is shown, and no fall was seen since.
        stopped: whether it was shown and a fall was seen since.
        missing: least number of further right checks until it is shown; 0 if it is.
        wrong: upper bound of the share that is wrong since the last fall, valid at every moment; 1 without checks.
        wrong_ever: the same from the first check on.
    """

    granted: bool
    stopped: bool
    missing: int
    wrong: float
    wrong_ever: float


def wealth(right: int, wrong: int, precision: float) -> float:
    """Return the wealth after bets on so many checks, in any order, starting with 1."""
    return math.exp(min(_log_wealth(right, wrong, 1 - precision), 700.0))


@cache
def right_checks_needed(precision: float, error: float, right: int = 0, wrong: int = 0) -> int:
    """Return how many further right checks make the wealth 1 / ``error``."""
    goal, allowed = -math.log(error), 1 - precision

    def enough(further: int) -> bool:
        return _log_wealth(right + further, wrong, allowed) >= goal

    if enough(0):
        return 0
    most = 1
    while not enough(most):
        most *= 2
    least = most // 2
    while most - least > 1:  # each further right check adds to every bet
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle, most)
    return most


@cache
def wrong_share_bound(right: int, wrong: int, error: float) -> float:
    """Return the upper bound of the share that is wrong: the smallest share that the bets refute at ``error``."""
    goal, low, high = -math.log(error), 0.0, 1.0
    for _ in range(STEPS):  # the larger the share that is bet against, the larger the wealth
        middle = (low + high) / 2
        low, high = (low, middle) if _log_wealth(right, wrong, middle) >= goal else (middle, high)
    return high


def follow(
    right: Sequence[bool], precision: float, error: float, *, fall_at: float, latched: bool = True
) -> Course:
    """Follow checks in the order in which their records were logged.

    After a fall only newer checks count, with what is left of the error. A fall is a rise of the wealth of a bet
    *against* the promise from its lowest point (an e-detector: Shin, Ramdas and Rinaldo 2023). It can only stop
    accepting, so it spends no error.

    Args:
        right: the checks.
        precision: to show.
        error: probability to show it falsely, over all times.
        fall_at: wealth of the bet against the promise at which a fall is seen.
        latched: whether what was shown once is shown until a fall, or only while the wealth is large enough.
    """
    allowed = 1 - precision
    more = min(FALL * allowed, (1 + allowed) / 2)
    lost, won = math.log((1 - more) / (1 - allowed)), math.log(more / allowed)
    fell_at, share = math.log(fall_at), FIRST_SHARE
    granted, stopped, before = False, False, 0.0
    good = bad = 0
    against, bound = 0.0, 1.0
    for one in right:
        if not one:  # the bound is lowest before a wrong check, and at the end
            bound = min(bound, wrong_share_bound(good, bad, error * share))
        good, bad = good + one, bad + (not one)
        against = max(against, 0.0) + (lost if one else won)
        enough = _log_wealth(good, bad, allowed) >= -math.log(error * share)
        if granted and against >= fell_at:
            before = max(before, wrong_share_bound(good, bad, error * share))
            granted, stopped, share = False, True, share * (1 - FIRST_SHARE)
            good = bad = 0
            against, bound = 0.0, 1.0
        elif granted and not enough and not latched:
            granted, stopped = False, True
        elif not granted and enough:
            granted, stopped = True, False
    bound = min(bound, wrong_share_bound(good, bad, error * share))
    missing = 0 if granted else right_checks_needed(precision, error * share, good, bad)
    return Course(granted, stopped, missing, bound, max(before, bound))


def _log_wealth(right: int, wrong: int, allowed: float) -> float:
    if not 0.0 < allowed < 1.0:
        return math.inf if allowed >= 1.0 else -math.inf
    logs = [
        right * math.log((1 - bet * allowed) / (1 - allowed)) + (wrong * math.log(bet) if wrong else 0.0)
        for bet in BETS
        if bet or not wrong
    ]
    top = max(logs)
    return top + math.log(sum(math.exp(one - top) for one in logs) / len(BETS))
