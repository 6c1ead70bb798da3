"""Which certainty threshold the audit results allow for accepting, if any.

An *audit result* (or *check*) is the answer of people to a record that the service could have accepted, given without
seeing the model's prediction. The threshold that is granted is a pure function of the checks in the order in which the
records were logged. No state is kept, so a changed answer changes the decision.

The promise: with probability ``confidence``, at all times, the share of accepted records that are right is at least
``precision``, as long as future records are like those that were checked. Three things could break the promise, and
each is accounted for:

- *repeated analyses*: the exact lower bound (Clopper and Pearson 1934) of the checks is compared with the precision at
  certain numbers of checks only, at a level that keeps all these interim analyses together within the error
  (``boundary``);
- *many thresholds*: one threshold is tested at a time, the one above which audits are drawn. When it moves, counting
  starts again, and of the error that is left ``ALPHA_SPENDING_FRACTION`` is spent on the new one (alpha spending, Lan
  and DeMets 1983);
- *many labels*, if each label has its own decision: the error is divided by their number (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.bound import lower_bound, upper_bound
from argilla_loop.policy.validation.boundary import boundary

# Thresholds to choose from: few, because each needs dozens of checks of its own. Chosen, not measured.
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# Share of the remaining error that the next threshold gets; the first threshold is nearly always the last one. Chosen,
# not measured.
ALPHA_SPENDING_FRACTION = 0.8
# Share of the allowed errors that the model may expect of itself above a threshold for audits to begin there: closer to
# the target it takes hundreds of checks to decide. The second is the share at which a threshold is left. Both chosen,
# not measured.
AIM, LEFT_AT = 0.25, 0.6
# Sizes of the windows of latest checks that are tested separately, so that a shift is not averaged away; see
# docs/trust.md.
RECENT = (20, 40, 80)
# A threshold is futile once it needs this many times as many further checks as one without any. Chosen, not measured.
FUTILITY_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The answer of people to an audited or held-back record.

    Attributes:
        label: the model's prediction.
        certainty: of the model, before it saw the answer.
        right: whether people gave the same label; a discard is not the same.
        above: the record was drawn at random from those above this certainty; 0: from all records.
    """

    label: str
    certainty: float
    right: bool
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class AcceptanceCriterion:
    """What must hold before anything is accepted.

    Attributes:
        thresholds: to choose from, ascending.
        precision: share of accepted records that must be right, 0 to 1; ``None`` always grants the lowest threshold.
        confidence: probability with which the promise holds, 0 to 1.
    """

    thresholds: tuple[float, ...]
    precision: float | None = None
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class AcceptanceDecision:
    """What the checks allow.

    Attributes:
        threshold: certainty above which records may be accepted; ``None`` if none may.
        checked: number of checks that count for that threshold, or for the one that is tested.
        right: how many of them are right.
        lower: lower bound of the precision from these checks, at the required confidence.
        missing: least number of further right checks until a threshold is granted; 0 if one is.
        stopped: whether a threshold was granted and a later check revoked that.
        futile: whether audits should rather be drawn above a stricter threshold.
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
    """Decide from ``checks``, in the order in which the records were logged.

    Args:
        checks: of one label, or of all.
        criterion: what must hold.
        shares: number of decisions that share the error.
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
    """Return the decision for every label: the same one for all, or for ``each`` its own."""
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
    """Return the threshold above which to draw audits while none is granted.

    It is the lowest threshold above which the model expects to be hardly ever wrong. The model may be wrong about
    itself, but then the checks show it. The threshold stays where it was ``before`` as long as that nearly holds,
    because counting starts again when it moves.

    Args:
        mean_above: for each threshold the mean certainty of the pool's texts above it; see ``mean_above``.
        criterion: what must hold.
        before: the threshold above which audits were drawn last.
        futile: whether their results speak against it, so that it becomes stricter.
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
    """Return the thresholds above which audits were drawn, in order, and the index of the first check of each."""
    if len(criterion.thresholds) == 1:
        return [(criterion.thresholds[0], 0)]
    first: dict[float, int] = {}
    for n, check in enumerate(checks):
        if check.above in criterion.thresholds:
            first.setdefault(check.above, n)
    return list(first.items())


def _alpha_share(criterion: AcceptanceCriterion, number: int) -> float:
    """Return the share of the error for threshold ``number`` in the order of testing."""
    return (
        1.0
        if len(criterion.thresholds) == 1
        else ALPHA_SPENDING_FRACTION * (1 - ALPHA_SPENDING_FRACTION) ** number
    )


def _test(right: Sequence[bool], threshold: float, precision: float, error: float) -> AcceptanceDecision:
    """Test one threshold: it is granted at interim analyses, and stopped by any wrong check.

    While a window of the latest checks speaks against it nothing is granted either.
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
    """Return how many right checks it takes until no window of ``RECENT`` checks speaks against ``precision``.

    A window speaks against it if its upper bound lies below it. This can only stop accepting, so it spends no error.
    """
    latest = list(right[-max(RECENT) :])
    for further in range(max(RECENT) + 1):
        windows = [latest[-size:] for size in RECENT if len(latest) >= size]
        if all(upper_bound(sum(one), len(one), error) >= precision for one in windows):
            return further
        latest.append(True)
    raise AssertionError  # that many right checks fill every window


def _missing(right: Sequence[bool], precision: float, error: float) -> int:
    """Return the number of checks until the first interim analysis that passes if all are right, or the last one."""
    limits = boundary(precision, error)
    wrong = len(right) - sum(right)
    to_come = [look for look in limits.interim_analyses if look > len(right)]
    passing = (look for look in to_come if lower_bound(look - wrong, look, limits.level) >= precision)
    return next(passing, limits.interim_analyses[-1] + 1) - len(right) if to_come else 1
