"""What may be validated without people: a threshold that checked records speak for, or nothing.

A *check* is a record whose label the model would have given by itself, and that people answered without seeing it.
From checks alone, in the order they were made, follows which threshold is granted. It is a function of them: nothing
is remembered, and a changed answer changes what follows from it.

The promise: with probability ``confidence``, at all times, accepted records are right at least as often as
``precision`` says, as long as those to come are like those that were checked. Three things could break it, and are
paid for:

- *many looks*: the exact lower bound (Clopper and Pearson 1934) of the checks is held against the precision at some
  numbers of checks only, and at a level that keeps all these looks together within the error (``boundary``);
- *many thresholds*: one is tested at a time, the one that checks are drawn above. When it moves, checks begin anew,
  and of the error that is left ``ALPHA_SPENDING_FRACTION`` is spent on the new one (alpha spending, Lan and DeMets
  1983);
- *many labels*, where each is granted by itself: the error is divided by their number (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.bound import lower_bound, upper_bound
from argilla_loop.policy.validation.boundary import boundary

# Thresholds to choose from: coarse, as each needs dozens of checks of its own.
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# Of the error that is left, what the next threshold gets; the first one nearly always is the last.
ALPHA_SPENDING_FRACTION = 0.8
# Of the errors that are allowed, what the model may take itself to make where checks are drawn: closer to the target it
# takes hundreds of them to tell. The second is where a threshold is left again.
AIM, LEFT_AT = 0.25, 0.6
# Latest checks that are looked at by themselves, so that a shift shows before it is averaged away.
RECENT = (20, 40, 80)
# A threshold that is so many times as far from being granted as one without any check is given up.
FUTILITY_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class AuditResult:
    """One answer of people to a record that was acceptable, or held back.

    Attributes:
        label: what the model said.
        certainty: of the model that said it, before it saw the answer.
        right: whether people said the same; a discard is not.
        above: records were drawn for checking from those above this threshold, and all of these alike; 0: from all.
    """

    label: str
    certainty: float
    right: bool
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class AcceptanceCriterion:
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
class AcceptanceDecision:
    """What the checks say.

    Attributes:
        threshold: certainty above which records may be accepted; None: none may.
        checked: checks that count for that threshold, or for the one that is tested.
        right: of these.
        lower: lower bound of the precision, at the confidence demanded, from these checks alone.
        missing: checks to come that it takes at least, all of them right, until a threshold is granted; 0 where one is.
        stopped: whether a threshold had been granted, and a check since took it back.
        futile: whether checks should rather be drawn above a stricter threshold.
    """

    threshold: float | None
    checked: int = 0
    right: int = 0
    lower: float = 0.0
    missing: int = 0
    stopped: bool = False
    futile: bool = False


def decide(
    checks: Sequence[AuditResult], criterion: AcceptanceCriterion, *, shares: int = 1
) -> AcceptanceDecision:
    """Look at ``checks``, in the order they were made.

    Args:
        checks: of one label, or of all.
        criterion: what is demanded.
        shares: among how many verdicts the error is divided.
    """
    error = (1 - criterion.confidence) / shares
    if criterion.precision is None:
        mine = [c.right for c in checks if c.certainty > criterion.thresholds[0]]
        return AcceptanceDecision(
            criterion.thresholds[0], len(mine), sum(mine), lower_bound(sum(mine), len(mine), error)
        )

    found = AcceptanceDecision(
        None, missing=_missing((), criterion.precision, error * _alpha_share(criterion, 0))
    )
    for number, (threshold, start) in enumerate(_tested(checks, criterion)):
        mine = [
            check.right
            for check in checks[start:]
            if check.certainty > threshold and check.above <= threshold
        ]
        tested = _test(mine, threshold, criterion.precision, error * _alpha_share(criterion, number))
        if found.threshold is None or (tested.threshold is not None and threshold < found.threshold):
            found = tested
    return found


def decide_by_label(
    checks: Sequence[AuditResult],
    criterion: AcceptanceCriterion,
    labels: Sequence[str],
    *,
    each: bool,
    task: Task = SINGLE_LABEL,
) -> Mapping[str, AcceptanceDecision]:
    """The verdict for every label: the same one for all, or to ``each`` its own."""
    if not each:
        return dict.fromkeys(labels, decide(checks, criterion))
    return {
        label: decide(
            [check for check in checks if label in task.names(check.label)], criterion, shares=len(labels)
        )
        for label in labels
    }


def audit_threshold(
    mean_above: Mapping[float, float],
    criterion: AcceptanceCriterion,
    *,
    before: float | None,
    futile: bool = False,
) -> float:
    """The threshold above which to draw records for checking while none is granted.

    The lowest one above which the model takes itself to be hardly ever wrong. It may be wrong about itself, but then
    the checks will say so. It stays where it was ``before`` as long as that nearly holds, as checks begin anew when it
    moves.

    Args:
        mean_above: for each threshold the mean certainty of the pool's texts above it; those that have few left out.
        criterion: what is demanded.
        before: where checks were drawn last.
        futile: whether these checks speak against it: then it becomes stricter.
    """
    if criterion.precision is None or len(criterion.thresholds) == 1:
        return criterion.thresholds[0]
    allowed = 1 - criterion.precision
    least = 0.0
    if before is not None:
        if not futile and mean_above.get(before, 0.0) >= 1 - LEFT_AT * allowed:
            return before
        least = before if futile else 0.0
    fit = [t for t in criterion.thresholds if mean_above.get(t, 0.0) >= 1 - AIM * allowed and t > least]
    return min(fit, default=max(mean_above, default=criterion.thresholds[-1]))


def _tested(checks: Sequence[AuditResult], criterion: AcceptanceCriterion) -> list[tuple[float, int]]:
    """The thresholds that checks were drawn above, as they came, and the place of the first check of each."""
    if len(criterion.thresholds) == 1:
        return [(criterion.thresholds[0], 0)]
    first: dict[float, int] = {}
    for n, check in enumerate(checks):
        if check.above in criterion.thresholds:
            first.setdefault(check.above, n)
    return list(first.items())


def _alpha_share(criterion: AcceptanceCriterion, number: int) -> float:
    """Share of the error that belongs to threshold ``number`` in the order they are tested."""
    return (
        1.0
        if len(criterion.thresholds) == 1
        else ALPHA_SPENDING_FRACTION * (1 - ALPHA_SPENDING_FRACTION) ** number
    )


def _test(right: Sequence[bool], threshold: float, precision: float, error: float) -> AcceptanceDecision:
    """Go through the checks of one threshold as they came: granted at looks, taken back by any wrong check.

    While the latest checks alone speak against it nothing is granted either, whatever all of them together say.
    """
    limits = boundary(precision, error)
    interim_analyses = set(limits.interim_analyses)
    granted, stopped, good = False, False, 0
    for n, one in enumerate(right, start=1):
        good += one
        if granted and not one and lower_bound(good, n, error) < precision:
            granted, stopped = False, True
        if n in interim_analyses and lower_bound(good, n, limits.level) >= precision:
            granted, stopped = True, False
    lower = lower_bound(good, len(right), error)
    if granted and (recovery := _recovery(right, precision, error)):
        return AcceptanceDecision(None, len(right), good, lower, recovery, stopped=True)
    if granted:
        return AcceptanceDecision(threshold, len(right), good, lower)
    missing, first = _missing(right, precision, error), _missing((), precision, error)
    return AcceptanceDecision(
        None, len(right), good, lower, missing, stopped, futile=missing > FUTILITY_FACTOR * first
    )


def _recovery(right: Sequence[bool], precision: float, error: float) -> int:
    """How many right checks it takes until none of the latest ``RECENT`` speak against ``precision``; 0 where none do.

    They speak against it where their upper bound lies below it. This only ever stops, so no error is spent on it.
    """
    latest = list(right[-max(RECENT) :])
    for further in range(max(RECENT) + 1):
        windows = [latest[-size:] for size in RECENT if len(latest) >= size]
        if all(upper_bound(sum(one), len(one), error) >= precision for one in windows):
            return further
        latest.append(True)
    raise AssertionError  # so many right ones fill every window


def _missing(right: Sequence[bool], precision: float, error: float) -> int:
    """Checks until the first look that is passed if all of them are right; to the last look where none is."""
    limits = boundary(precision, error)
    wrong = len(right) - sum(right)
    to_come = [look for look in limits.interim_analyses if look > len(right)]
    passing = (look for look in to_come if lower_bound(look - wrong, look, limits.level) >= precision)
    return next(passing, limits.interim_analyses[-1] + 1) - len(right) if to_come else 1
