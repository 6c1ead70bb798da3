"""Which certainty threshold the audit results allow for accepting, if any.

An *audit result* (or *check*) is the answer of people to a record that the service could have accepted, given without
seeing the model's prediction. The threshold that is granted is a pure function of the checks in the order in which the
records were logged. No state is kept, so a changed answer changes the decision.

The promise: with probability ``confidence``, at all times, the share of accepted records that are right is at least
``precision``, as long as future records are like those that were checked. What could break it is accounted for:

- *repeated analyses*: the checks are bet on (``betting``), and the wealth is evidence at every moment;
- *many thresholds*: the one above which audits are drawn is tested. Looser ones follow only once it is granted, and
  have the same error (a fixed sequence: Angelopoulos et al. 2021, Learn then Test). A stricter one, which follows if
  the checks speak against it, begins anew with a part of the error that is left;
- *many labels*, if each label has its own decision: k of K labels are granted at k/K of the error (e-BH: Wang and
  Ramdas 2022). This bounds the expected share of false grants among the labels that are granted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.betting import FIRST_SHARE, follow, right_checks_needed
from argilla_loop.policy.validation.bound import lower_bound

# What the required precision applies to: all accepted records together, those of each label, or the dataset's labels.
Scope = Literal["overall", "label", "dataset"]
# Thresholds to choose from: few, because each needs dozens of checks of its own. Chosen, not measured.
THRESHOLDS = (0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
# Share of the allowed errors that the model may expect of itself above a threshold for audits to begin there: closer to
# the target it takes hundreds of checks to decide. The second is the share at which a threshold is left. Measured on
# six sets: above the threshold so chosen a model was wrong 0.1 to 3 times as often as it expected.
AIM, LEFT_AT = 0.2, 0.6
# A threshold is futile once it needs this many times as many further checks as one without any. Chosen, not measured.
FUTILITY_FACTOR = 2.0
ROUNDING = 1e-9  # of sums of shares


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
        unseen: the share of accepted records that is wrong is at most this multiple of the share of checks that is
            wrong; more than 1 with second looks (see ``policy.second_looks``).
    """

    thresholds: tuple[float, ...]
    precision: float | None = None
    confidence: float = 0.95
    unseen: float = 1.0

    @property
    def tested(self) -> float:
        """Share of the checks that must be right; 0 if nothing is required."""
        return 0.0 if self.precision is None else 1 - (1 - self.precision) / self.unseen


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
        futile: whether audits should not be drawn above the latest threshold any more.
        wrong: for each threshold that was tested, the upper bound of the share that is wrong above it.
        further: for each threshold, the least number of further right checks until it is granted.
        room: how many records may be accepted until there is more evidence.
        covered: with a promise for the dataset, the number of labels for which it holds now; 0 if it does not.
    """

    threshold: float | None
    checked: int = 0
    right: int = 0
    lower: float = 0.0
    missing: int = 0
    stopped: bool = False
    futile: bool = False
    wrong: Mapping[float, float] = field(default_factory=dict, hash=False)
    further: Mapping[float, int] = field(default_factory=dict, hash=False)
    room: float = math.inf
    covered: int = 0


def decide(
    checks: Sequence[AuditResult], criterion: AcceptanceCriterion, *, share: float = 1.0, latched: bool = True
) -> AcceptanceDecision:
    """Decide from ``checks``, in the order in which the records were logged.

    Args:
        checks: of one label, or of all.
        criterion: what must hold.
        share: of the error that this decision may spend.
        latched: see ``betting.follow``.
    """
    error = (1 - criterion.confidence) * share
    if criterion.precision is None:
        mine = [c.right for c in checks if c.certainty > criterion.thresholds[0]]
        return AcceptanceDecision(
            criterion.thresholds[0], len(mine), sum(mine), lower_bound(sum(mine), len(mine), error)
        )

    tests = _tests(checks, criterion, error, latched=latched)
    latest = next(reversed(tests.values()), None)
    if latest is None:
        latest = _test((), None, criterion, error * _error_share(criterion, 0), latched=latched)
    granted = [one.decision for one in tests.values() if one.decision.threshold is not None]
    found = min(granted, key=lambda one: one.threshold or 0.0) if granted else latest.decision
    fresh = right_checks_needed(criterion.tested, error * _error_share(criterion, 0) * FIRST_SHARE)
    return replace(
        found,
        wrong={threshold: one.wrong for threshold, one in tests.items()},
        further=dict.fromkeys(criterion.thresholds, fresh)
        | {threshold: one.decision.missing for threshold, one in tests.items()},
        futile=latest.decision.futile,
    )


def decide_by_label(
    checks: Sequence[AuditResult],
    criterion: AcceptanceCriterion,
    labels: Sequence[str],
    scope: Scope,
    *,
    labelled: int = 0,
    accepted: Mapping[float, int] | None = None,
    task: Task = SINGLE_LABEL,
) -> Mapping[str, AcceptanceDecision]:
    """Return the decision for every label: its own, or the same one for all.

    For their own, k of K labels are granted if each of them is shown at k/K of the error (e-BH: Wang and Ramdas 2022,
    valid whatever the dependence between labels).

    Args:
        checks: of all labels, in the order in which the records were logged.
        criterion: what must hold.
        labels: all labels of the question.
        scope: what it must hold of.
        labelled: see ``decide_for_dataset``, like ``accepted``.
        accepted: by threshold.
        task: the kind of question.
    """
    if scope == "dataset":
        return dict.fromkeys(labels, decide_for_dataset(checks, criterion, labelled, accepted or {}))
    if scope == "overall":
        return dict.fromkeys(labels, decide(checks, criterion))
    mine = {label: [check for check in checks if label in task.names(check.label)] for label in labels}

    def decisions(count: int) -> dict[str, AcceptanceDecision]:
        share = count / len(labels)
        return {label: decide(mine[label], criterion, share=share, latched=False) for label in labels}

    count, found = len(labels), decisions(len(labels))
    while len(granted := [label for label in labels if found[label].threshold is not None]) < count:
        # a smaller share of the error grants no label more, so no count between the two can be reached
        count = len(granted)
        if not count:
            return decisions(1)
        found = decisions(count)
    # what the others lack is what they lack as one more
    more = decisions(min(count + 1, len(labels)))
    return {label: found[label] if label in granted else more[label] for label in labels}


def decide_for_dataset(
    checks: Sequence[AuditResult],
    criterion: AcceptanceCriterion,
    labelled: int,
    accepted: Mapping[float, int],
) -> AcceptanceDecision:
    """Decide how much may be accepted so that of all labels of the dataset ``criterion.precision`` are right.

    People's labels count as right. With H of them, and A accepted labels of which at most a share U is wrong, the
    dataset keeps the promise if A U <= (1 - precision) (H + A) (PAC labels: Candes, Ilyas and Zrnic 2025). U is the
    bound that the checks show, for each threshold its own; it is valid at every moment.

    Args:
        checks: of all labels, in the order in which the records were logged.
        criterion: what must hold.
        labelled: number of people's labels.
        accepted: number of accepted labels, by the threshold above which they were accepted.
    """
    found = decide(checks, criterion)
    if criterion.precision is None:
        return found
    allowed = 1 - criterion.precision
    # wrong labels that may still come; what was accepted above a threshold that nobody checked may all be wrong
    left = allowed * labelled - sum(
        count * (found.wrong.get(above, 1.0) - allowed) for above, count in accepted.items()
    )
    if left > -ROUNDING:
        found = replace(found, covered=labelled + sum(accepted.values()))
    tested = [check.above for check in checks if check.above in found.wrong]
    if found.threshold is not None or not tested:
        return found
    room = math.floor(max(left, 0.0) / max(found.wrong[tested[-1]] - allowed, ROUNDING))
    return replace(found, threshold=tested[-1], room=room) if room >= 1 else found


def audit_threshold(
    mean_above: Mapping[float, float],
    criterion: AcceptanceCriterion,
    *,
    before: float | None,
    futile: bool = False,
    granted: float | None = None,
) -> float:
    """Return the threshold above which to draw audits: while none is granted, and then below the granted one.

    It is the lowest threshold above which the model expects to be hardly ever wrong. The model may be wrong about
    itself, but then the checks show it. The threshold stays where it was ``before`` as long as that nearly holds,
    because counting starts again when it moves.

    Args:
        mean_above: for each threshold the mean certainty of the pool's texts above it; see ``mean_above``.
        criterion: what must hold.
        before: the threshold above which audits were drawn last.
        futile: whether their results speak against it, so that it becomes stricter.
        granted: the threshold that is granted; nothing stricter is returned.
    """
    if criterion.precision is None or len(criterion.thresholds) == 1:
        return criterion.thresholds[0]
    allowed = 1 - criterion.precision
    least = 0.0
    if before is not None and (granted is None or before < granted):
        if not futile and mean_above.get(before, 0.0) >= 1 - LEFT_AT * allowed:
            return before
        least = before if futile else 0.0
    fit = [t for t in criterion.thresholds if mean_above.get(t, 0.0) >= 1 - AIM * allowed and t > least]
    if granted is not None:
        return min([*fit, granted])
    return min(fit, default=max(mean_above, default=criterion.thresholds[-1]))


@dataclass(frozen=True, slots=True)
class _Test:
    """The test of one threshold.

    Attributes:
        decision: what it allows.
        wrong: upper bound of the share that is wrong above the threshold.
    """

    decision: AcceptanceDecision
    wrong: float


def _tests(
    checks: Sequence[AuditResult], criterion: AcceptanceCriterion, error: float, *, latched: bool
) -> dict[float, _Test]:
    """Test each threshold above which audits were drawn, in this order.

    One that is looser than the one before has the same error if that one was granted by then: it is tested only because
    that was shown (a fixed sequence: Angelopoulos et al. 2021). Any other, after the first, has a part of what is left.
    """
    found: dict[float, _Test] = {}
    before: float | None = None
    number = since = 0
    for threshold, start in _tested(checks, criterion):
        if before is not None:
            share = error * _error_share(criterion, number)
            then = _test(_above(checks[since:start], before), before, criterion, share, latched=latched)
            if threshold > before or then.decision.threshold is None:
                number += 1
        share = error * _error_share(criterion, number)
        mine = _above(checks[start:], threshold)
        found[threshold] = _test(mine, threshold, criterion, share, latched=latched)
        before, since = threshold, start
    return found


def _above(checks: Sequence[AuditResult], threshold: float) -> list[bool]:
    """Return which of the ``checks`` that count for ``threshold`` are right."""
    return [check.right for check in checks if check.certainty > threshold and check.above <= threshold]


def _tested(checks: Sequence[AuditResult], criterion: AcceptanceCriterion) -> list[tuple[float, int]]:
    """Return the thresholds above which audits were drawn, in order, and the index of the first check of each."""
    if len(criterion.thresholds) == 1:
        return [(criterion.thresholds[0], 0)]
    first: dict[float, int] = {}
    for n, check in enumerate(checks):
        if check.above in criterion.thresholds:
            # the first threshold is chosen whatever earlier checks say, so they count; a later one is chosen by them
            first.setdefault(check.above, n if first else 0)
    return list(first.items())


def _error_share(criterion: AcceptanceCriterion, number: int) -> float:
    """Return the share of the error for threshold ``number`` in the order of testing."""
    return 1.0 if len(criterion.thresholds) == 1 else FIRST_SHARE * (1 - FIRST_SHARE) ** number


def _test(
    right: Sequence[bool],
    threshold: float | None,
    criterion: AcceptanceCriterion,
    error: float,
    *,
    latched: bool,
) -> _Test:
    """Test one threshold."""
    precision = criterion.tested
    course = follow(right, precision, error, fall_at=1 / (1 - criterion.confidence), latched=latched)
    decision = AcceptanceDecision(
        threshold if course.granted else None,
        len(right),
        sum(right),
        max(1 - criterion.unseen * course.wrong, 0.0),
        course.missing,
        course.stopped,
        futile=not course.stopped
        and course.missing > FUTILITY_FACTOR * right_checks_needed(precision, error * FIRST_SHARE),
    )
    return _Test(decision, min(criterion.unseen * course.wrong_ever, 1.0))
