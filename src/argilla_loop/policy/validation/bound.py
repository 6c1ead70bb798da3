"""Exact (Clopper-Pearson) confidence bounds for a proportion."""

from __future__ import annotations

from functools import cache

from scipy.special import betaincinv


def lower_bound(right: int, checked: int, error: float) -> float:
    """Return the one-sided lower bound of a share that was ``right`` in ``checked`` independent draws; 0 without draws.

    The bound of Clopper and Pearson (1934): it exceeds the true share with a probability of at most ``error``.

    Raises:
        ValueError: more right than checked, or an ``error`` that is not between 0 and 1.
    """
    _check(right, checked, error)
    return float(betaincinv(right, checked - right + 1, error)) if right else 0.0


def upper_bound(right: int, checked: int, error: float) -> float:
    """Return the one-sided upper bound, like ``lower_bound``; 1 without draws."""
    _check(right, checked, error)
    return float(betaincinv(right + 1, checked - right, 1 - error)) if right < checked else 1.0


@cache
def checks_needed(precision: float, error: float, wrong: int = 0) -> int:
    """Return the smallest number of checks, ``wrong`` of them wrong, whose lower bound reaches ``precision``.

    A precision of 95% at an error of 5% takes 59, 93 or 124 checks with 0, 1 or 2 wrong ones.
    """
    most = wrong + 1
    while lower_bound(most - wrong, most, error) < precision:
        most *= 2
    least = most // 2
    while most - least > 1:  # the bound grows with every further right check
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
