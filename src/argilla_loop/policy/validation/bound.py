"""How right must something be that was right so many times out of so many: exact binomial bounds."""

from __future__ import annotations

from functools import cache

from scipy.special import betaincinv


def lower_bound(right: int, checked: int, error: float) -> float:
    """Lower bound of a share that was ``right`` in ``checked`` independent draws; 0 without any.

    The exact one-sided bound of Clopper and Pearson (1934): whatever the true share, the bound lies above it with a
    probability of at most ``error``.

    Raises:
        ValueError: more right than checked, or an ``error`` that is not between 0 and 1.
    """
    _check(right, checked, error)
    return float(betaincinv(right, checked - right + 1, error)) if right else 0.0


def upper_bound(right: int, checked: int, error: float) -> float:
    """Upper bound, as ``lower_bound``; 1 without any draws."""
    _check(right, checked, error)
    return float(betaincinv(right + 1, checked - right, 1 - error)) if right < checked else 1.0


@cache
def checks_needed(precision: float, error: float, wrong: int = 0) -> int:
    """The fewest checks, ``wrong`` of them not right, whose lower bound reaches ``precision``.

    95% at an error of 5% takes 59, 93 or 124 checks with 0, 1 or 2 wrong ones.
    """
    most = wrong + 1
    while lower_bound(most - wrong, most, error) < precision:
        most *= 2
    least = most // 2
    while most - least > 1:  # the bound grows with every further right one
        middle = (least + most) // 2
        enough = middle > wrong and lower_bound(middle - wrong, middle, error) >= precision
        least, most = (least, middle) if enough else (middle, most)
    return most


def _check(right: int, checked: int, error: float) -> None:
    if not 0 <= right <= checked:
        raise ValueError(
            f"{right} right of {checked} checked: there cannot be more of them, nor fewer than none"
        )
    if not 0 < error < 1:
        raise ValueError(f"error is {error}: it must lie between 0 and 1")
