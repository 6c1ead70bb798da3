"""What the plan is, what it is based on and what keeps the service from accepting more, in words for people.

``status``, the report and the page of the running service show the same words. They are plain text: whoever shows them
escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from argilla_loop.policy.answers import count_accepted, count_labelled
from argilla_loop.policy.estimate.outlook import Outlook, headline
from argilla_loop.policy.observation import Observation, waiting_records
from argilla_loop.policy.plan import ColdStart, NextBatch, Plan, Stopped, Wait
from argilla_loop.policy.progress import Progress
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision

SHOWN_LABELS = 4  # in a sentence; the tables have all of them


@dataclass(frozen=True, slots=True)
class Explanation:
    """A plan in words.

    Attributes:
        required: what must hold before anything is accepted.
        precision: what was measured; empty if each label has its own decision.
        state: the next step.
        waiting: what waits for people.
        hindrances: what keeps the service from accepting more.
        headline: how far the work is, in one sentence; empty if that is not known.
    """

    required: str
    precision: str
    state: str
    waiting: str
    hindrances: Sequence[str] = ()
    headline: str = ""


def explain(plan: Plan, outlook: Outlook | None = None) -> Explanation:
    """Return ``plan`` and the estimates (``None``: unknown) in words."""
    now = plan.acceptance
    return Explanation(
        required=bar_in_words(now),
        precision=precision_in_words(now),
        state=step_in_words(plan),
        waiting=waiting_in_words(plan.seen),
        hindrances=list(hindrances(now, outlook)),
        headline="" if outlook is None else headline_now(outlook, plan.seen),
    )


def headline_now(outlook: Outlook, seen: Observation) -> str:
    """Return the headline of the latest model, with the counts of ``seen``: labels have come since it was trained."""
    counted = replace(
        outlook,
        human=count_labelled(seen.records),
        accepted=count_accepted(seen.records).total(),
        left=seen.pool_left + seen.waiting,
    )
    return headline(counted)


def step_in_words(plan: Plan) -> str:
    """Return what happens next."""
    step = plan.step
    if isinstance(step, Wait):
        left = step.batch.size - step.batch.done
        return f"batch {step.batch.number} waits for people, {left:,} of its {step.batch.size:,} texts to go"
    if isinstance(step, ColdStart):
        why = "there are too few examples for a model"
        return f"batch {step.number} comes next, {step.size:,} texts without a model's suggestion: {why}"
    if isinstance(step, NextBatch):
        return f"batch {step.number} comes next, {step.size:,} texts and what the service accepts beside them"
    if isinstance(step, Stopped):
        return f"nothing more is asked: {step.reason}"
    return "every text of the pool has been dealt with"


def waiting_in_words(seen: Observation) -> str:
    """Return what waits for people."""
    waiting = waiting_records(seen.records)
    if not waiting:
        return "nothing waits for people"
    number = len(waiting)
    words = f"{count_in_words(number, 'text')} {'waits' if number == 1 else 'wait'} for people"
    if suggested := sum(one.record.suggestion is not None for one in waiting):
        words += ", with a suggestion" if number == 1 else f", {suggested:,} of them with a suggestion"
    if seen.min_submitted > 1:
        answers = sum(max(seen.min_submitted - len(one.answers), 1) for one in waiting)
        words += f"; each needs {seen.min_submitted} answers, {answers:,} in all are missing"
    return words


def bar_in_words(now: Acceptance) -> str:
    """Return what must hold before anything is accepted, and above which certainty records are accepted."""
    rules, criterion = now.rules, now.rules.criterion
    if criterion is None:
        return "nothing is accepted: people label every record"
    if rules.target_precision is None and criterion.precision is None:
        return f"fixed threshold {rules.certainty_threshold}; no precision is promised"
    if rules.target_precision is None:
        demanded = f"fixed threshold {rules.certainty_threshold}, and precision {criterion.precision:.1%}"
    else:
        demanded = f"target precision {criterion.precision:.1%}"
    if rules.promise == "dataset":
        demanded += " of all labels of the dataset, people's included,"
    demanded += f" promised at {criterion.confidence:.0%} confidence"
    if rules.second_looks:
        demanded += " (second_looks: right is what most of three people say)"
    if rules.promise == "label":
        granted = sum(decision.threshold is not None for decision in now.decisions.values())
        return f"{demanded}, for each label: granted to {granted} of {len(now.decisions)}, see below"
    return f"{demanded}: {_so_far(now)}"


def promise_in_words(seen: Progress, now: Acceptance) -> str:
    """Return what holds of the dataset's labels now; empty without a promise for the dataset."""
    criterion = now.rules.criterion
    if now.rules.promise != "dataset" or criterion is None or criterion.precision is None:
        return ""
    if not seen.validated.standing:
        return ""
    if not now.covered:
        return "not shown now: the checks do not support it for all that was accepted"
    return (
        f"of all {now.covered:,} labels at least {criterion.precision:.1%} are right, at "
        f"{criterion.confidence:.0%} confidence, people's labels taken as right"
    )


def precision_in_words(now: Acceptance) -> str:
    """Return the measured precision of what is accepted; empty if each label has its own decision."""
    rules = now.rules
    if not now.decisions or rules.promise == "label":
        return ""
    decision = _common(now)
    if not decision.checked:
        return "not measured: no check yet"
    return (
        f"{decision.right:,} of {count_in_words(decision.checked, 'check')} right "
        f"({decision.right / decision.checked:.1%}), "
        f"at least {floor_in_words(decision.lower)} at {rules.confidence:.0%} confidence"
    )


def hindrances(now: Acceptance, outlook: Outlook | None = None) -> Iterator[str]:
    """Yield what keeps the service from accepting more, what would change it, and how many texts it holds back.

    Args:
        now: the decision.
        outlook: of the latest turn, for the numbers of texts; ``None`` leaves these out.
    """
    rules = now.rules
    if rules.criterion is None:
        if now.min_submitted > 1:
            yield f"each record needs {now.min_submitted} answers (min_submitted), and the service gives none of them"
        else:
            yield "auto_validate = false: people see every record"
        return
    if now.missing:
        yield (
            f"each label first needs {rules.min_examples_per_label} human examples (min_examples_per_label); missing:"
            f" {_named(now.missing)}"
        )
    elif now.below_accept_minimum:
        yield (
            f"a label is accepted from {rules.min_accept_examples} human examples on (min_accept_examples); missing:"
            f" {_named(now.below_accept_minimum)}"
        )
    yield from _evidence_missing(now)
    yield from _caps(now, outlook)
    if not rules.audit_rate and rules.criterion.precision is not None:
        yield "audit_rate = 0: without audits, only corrections can show that the precision falls"


def _caps(now: Acceptance, outlook: Outlook | None) -> Iterator[str]:
    """Yield the limits in force, with the number of texts that each holds back."""
    rules = now.rules
    if rules.accept_limit == 0:
        yield "accept_limit = 0: only records of the slice are accepted"
    elif rules.accept_limit is not None:
        yield f"accept_limit = {rules.accept_limit} records a batch{_held(outlook, now.limit)}"
    elif now.waits_for_audits:
        yield f"{now.limit} records a batch until more audits are right{_held(outlook, now.limit)}"
    granted = {decision.threshold for decision in now.decisions.values()} - {None}
    if granted and outlook is not None and outlook.acceptable is not None:
        below = outlook.left - outlook.acceptable
        if below:
            yield f"{below:,} of the {outlook.left:,} texts left lie below the certainty threshold"


def _held(outlook: Outlook | None, limit: int) -> str:
    if outlook is None or outlook.acceptable is None:
        return ""
    return f": holds back {max(outlook.acceptable - limit, 0):,} of {outlook.acceptable:,} acceptable texts"


def _evidence_missing(now: Acceptance) -> Iterator[str]:
    waiting = {label: decision for label, decision in now.decisions.items() if decision.threshold is None}
    if now.room < math.inf:
        yield f"the promise allows {count_in_words(int(now.room), 'more record')} now: {now.what_allows_more}"
    if not waiting:
        return
    if now.rules.promise == "label":
        stopped = [label for label, decision in waiting.items() if decision.stopped]
        if stopped:
            yield f"stopped, because checks fell below the requirement: {_listed(stopped)}"
        missing = {label: decision.missing for label, decision in waiting.items()}
        yield f"right checks still needed, at least: {_named(missing)}"
    else:
        decision = _common(now)
        more = f"at least {count_in_words(decision.missing, 'more right check')} needed"
        stop = "stopped, because checks fell below the requirement: " if decision.stopped else "nothing yet: "
        yield stop + more
        if decision.futile and now.rules.target_precision is not None:
            yield "too many of these checks are wrong: the next are drawn above a stricter threshold, if there is one"
    if now.missing:
        return
    yield "until then a part of each slice is audited: the more, the fewer checks are missing"


def _so_far(now: Acceptance) -> str:
    decision = _common(now)
    if decision.threshold is None:
        return "stopped" if decision.stopped else "not granted yet"
    if now.missing:
        return f"granted above certainty {decision.threshold}, but some labels lack examples"
    if now.room < math.inf:
        return f"{count_in_words(int(now.room), 'more record')} above certainty {decision.threshold}"
    return f"accepting above certainty {decision.threshold}"


def _common(now: Acceptance) -> AcceptanceDecision:
    """Return the decision that all labels share."""
    return next(iter(now.decisions.values()), AcceptanceDecision(None))


def _named(counts: Mapping[str, int]) -> str:
    """Return labels with their counts, those that lack least first."""
    ordered = sorted(counts, key=lambda label: (counts[label], label))
    return _listed([f"{label} {counts[label]}" for label in ordered])


def _listed(labels: Sequence[str]) -> str:
    more = len(labels) - SHOWN_LABELS
    if more <= 1:  # "and 1 more" would take as much room
        return ", ".join(labels)
    return ", ".join(labels[:SHOWN_LABELS]) + f" and {more} more labels"


def floor_in_words(share: float) -> str:
    """Return a lower bound in percent, never rounded up."""
    return f"{int(share * 1000) / 10:.1f}%"


def count_in_words(number: int, what: str) -> str:
    """Return ``number`` of ``what``, in the plural where it is not one."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
