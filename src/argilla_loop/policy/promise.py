"""What may be validated without people: a threshold that checked records speak for, or nothing.

A *check* is a record whose label the model would have given by itself, and that people answered without seeing it.
From checks alone, in the order they were made, follows which threshold is granted. It is a function of them: nothing
is remembered, and a changed answer changes what follows from it.

The promise: with probability ``confidence``, at all times, accepted records are right at least as often as
``precision`` says, as long as those to come are like those that were checked. Three things could break it, and are
paid for:

- *many looks*: checks are looked at when their number reaches that of a first look that can succeed, times
  ``GROWTH``, and so on; and each look may err with
  half the probability of the one before, so that all of them together stay below 1 - ``confidence`` (alpha spending,
  Lan and DeMets 1983);
- *many thresholds*: at a look all that have enough checks are tried, from the strictest downwards, by the fallback
  procedure (Wiens 2003): three quarters of the look's error belong to the lowest one, the rest to the others alike, and
  what a threshold that passes was given is handed on to the next. Which ones have enough checks depends on certainties,
  never on who was right;
- *many labels*, where each is granted by itself: the error is divided by their number (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from argilla_loop.policy.bound import checks_needed, lower_bound

GROWTH = 1.5
# Thresholds to choose from: coarse, as each needs dozens of checks of its own.
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# Of a look's error, what belongs to the lowest threshold that has enough checks: the one that they were drawn for.
LOWEST_SHARE = 0.75
# Errors that are looked for in place of those that are allowed, so that a hundred checks can tell.
AIM = 0.25


@dataclass(frozen=True, slots=True)
class Check:
    """One answer of people to a record that was acceptable, or held back.

    Attributes:
        label: what the model said.
        certainty: of the model that said it, before it saw the answer.
        right: whether people said the same; a discard is not.
        above: records were drawn for checking from those above this threshold, and all of these alike.
    """

    label: str
    certainty: float
    right: bool
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class Bar:
    """What is demanded before anything is accepted.

    Attributes:
        thresholds: to choose from, ascending.
        precision: share of accepted records that must be right, 0 to 1; None: nothing is demanded, and the lowest
            threshold is always granted.
        confidence: probability with which the promise holds, 0 to 1.
    """

    thresholds: tuple[float, ...]
    precision: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks say.

    Attributes:
        threshold: certainty above which records may be accepted; None: none may.
        checked: checks that count for that threshold; without one, for the threshold that is nearest to be granted.
        right: of these.
        lower: lower bound of the precision, at the confidence demanded, from these checks alone.
        missing: checks to come that it takes at least, all of them right, until a threshold is granted; 0 where one is.
        stopped: whether a threshold had been granted, and a check since took it back.
    """

    threshold: float | None
    checked: int = 0
    right: int = 0
    lower: float = 0.0
    missing: int = 0
    stopped: bool = False


def verdict(checks: Sequence[Check], bar: Bar, *, shares: int = 1) -> Verdict:
    """Look at ``checks``, in the order they were made.

    Args:
        checks: of one label, or of all.
        bar: what is demanded.
        shares: among how many verdicts the error is divided.
    """
    error = (1 - bar.confidence) / shares
    if bar.precision is None:
        right, checked = _count(checks, bar.thresholds[0])
        return Verdict(bar.thresholds[0], checked, right, lower_bound(right, checked, error))

    granted, stopped, looks = _history(checks, bar.thresholds, bar.precision, error)
    if granted is not None:
        right, checked = _count(checks, granted)
        return Verdict(granted, checked, right, lower_bound(right, checked, error))

    more, nearest = min(
        (_missing(checks, threshold, bar.precision, error, looks), threshold) for threshold in bar.thresholds
    )
    right, checked = _count(checks, nearest)
    return Verdict(None, checked, right, lower_bound(right, checked, error), more, stopped)


def verdicts(
    checks: Sequence[Check], bar: Bar, labels: Sequence[str], *, each: bool
) -> Mapping[str, Verdict]:
    """The verdict for every label: the same one for all, or to ``each`` its own."""
    if not each:
        return dict.fromkeys(labels, verdict(checks, bar))
    return {
        label: verdict([check for check in checks if check.label == label], bar, shares=len(labels))
        for label in labels
    }


def worth_checking(mean_above: Mapping[float, float], bar: Bar, *, before: float | None) -> float:
    """The threshold above which to draw records for checking while none is granted.

    The lowest one above which the model takes itself to be wrong no more than ``AIM`` of what is allowed: closer to
    the target it would take hundreds of checks to tell one from the other. It may be wrong about itself, but then the
    checks will say so. It stays where it was ``before`` as long as that holds, as checks count only for thresholds
    that they were drawn above.

    Args:
        mean_above: for each threshold the mean certainty of the pool's texts above it; those that have few left out.
        bar: what is demanded.
        before: where checks were drawn last.
    """
    if bar.precision is None or len(bar.thresholds) == 1:
        return bar.thresholds[0]
    aim = 1 - AIM * (1 - bar.precision)
    fit = [t for t in bar.thresholds if mean_above.get(t, 0.0) >= aim]
    if before in fit:
        return before
    return min(fit, default=max(mean_above, default=bar.thresholds[-1]))


def _history(
    checks: Sequence[Check], thresholds: Sequence[float], precision: float, error: float
) -> tuple[float | None, bool, int]:
    """Go through ``checks`` as they came: the threshold granted by now, whether one was lost, and looks taken."""
    granted: float | None = None
    stopped, looks = False, 0
    for n, latest in enumerate(checks, start=1):
        if granted is not None and not latest.right and latest.certainty > granted:
            right, checked = _count(checks[:n], granted)
            if lower_bound(right, checked, error) < precision:
                granted, stopped = None, True
        if n == _look(looks, precision, error):
            looks += 1
            found = _lowest(checks[:n], thresholds, precision, error / 2**looks)
            if found is not None:
                granted, stopped = found, False
    return granted, stopped, looks


def _lowest(
    checks: Sequence[Check], thresholds: Sequence[float], precision: float, error: float
) -> float | None:
    """The lowest threshold that passes at one look; None where none does."""
    counts = {threshold: _count(checks, threshold) for threshold in thresholds}
    lowest = {checked: t for t, (_, checked) in reversed(counts.items())}  # the same checks are one test
    enough = sorted(t for checked, t in lowest.items() if checked >= checks_needed(precision, error))
    others = len(enough) - 1
    found, handed_on = None, 0.0
    for threshold in reversed(enough):
        own = error if not others else _share(threshold == enough[0], others) * error
        right, checked = counts[threshold]
        if lower_bound(right, checked, own + handed_on) >= precision:
            found, handed_on = threshold, own + handed_on
        else:
            handed_on = 0.0
    return found


def _share(is_lowest: bool, others: int) -> float:  # noqa: FBT001 - private
    return LOWEST_SHARE if is_lowest else (1 - LOWEST_SHARE) / others


def _missing(checks: Sequence[Check], threshold: float, precision: float, error: float, looks: int) -> int:
    """Checks until the first look at which ``threshold`` could pass, if all of them count for it and are right."""
    right, checked = _count(checks, threshold)
    for number in count(looks):
        more = _look(number, precision, error) - len(checks)
        if checked + more >= checks_needed(precision, error / 2 ** (number + 1), checked - right):
            return more
    raise AssertionError  # count() does not end


def _count(checks: Sequence[Check], threshold: float) -> tuple[int, int]:
    """How many checks count for ``threshold``: right ones, and all."""
    mine = [check.right for check in checks if check.certainty > threshold and check.above <= threshold]
    return sum(mine), len(mine)


def _look(number: int, precision: float, error: float) -> int:
    """How many checks there must be for look ``number``, counted from 0."""
    return round(checks_needed(precision, error / 2) * GROWTH**number)
