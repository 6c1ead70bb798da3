"""What the service accepts, on what evidence, and what keeps it from accepting more: tables for ``status``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.progress import Blind, Progress
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision

TITLE = "What the service accepts"
SHOWN_LABELS = 4  # in a sentence; the tables have all of them
TAKING_BACK = (
    "argilla-loop revoke --all, or --label, --below, --model-version; with --dry-run it only counts. "
    "Answers of people stay. See docs/trust.md"
)


def section(seen: Progress, now: Acceptance, outlook: Outlook | None) -> list[RenderableType]:
    """Return the tables that ``status`` shows.

    Args:
        seen: the progress.
        now: what may be accepted.
        outlook: of the latest turn.
    """
    table = Table(title=TITLE, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("accepted", _validated(seen))
    table.add_row("blind audits", _blind(seen.audited))
    table.add_row("required", bar_in_words(now))
    if words := promise_in_words(seen, now):
        table.add_row("promised", words)
    if words := precision_in_words(now):
        table.add_row("precision", words)
    table.add_row(
        "why it isn't labelling more", "\n".join(f"- {reason}" for reason in hindrances(now, outlook)) or "-"
    )
    if seen.held_back.logged or now.rules.evaluation_share:
        table.add_row(
            "held back",
            _held_back(seen.held_back, outlook.held_back if outlook else None),
        )
    table.add_row("to revoke", TAKING_BACK)
    apart = now.rules.promise == "label" and now.rules.criterion is not None
    return [table, _by_label(now)] if apart else [table]


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


def _so_far(now: Acceptance) -> str:
    decision = _common(now)
    if decision.threshold is None:
        return "stopped" if decision.stopped else "not granted yet"
    if now.missing:
        return f"granted above certainty {decision.threshold}, but some labels lack examples"
    if now.room < math.inf:
        return f"{_count(int(now.room), 'more record')} above certainty {decision.threshold}"
    return f"accepting above certainty {decision.threshold}"


def precision_in_words(now: Acceptance) -> str:
    """Return the measured precision of what is accepted; empty if each label has its own decision."""
    rules = now.rules
    if not now.decisions or rules.promise == "label":
        return ""
    decision = _common(now)
    if not decision.checked:
        return "not measured: no check yet"
    return (
        f"{decision.right:,} of {_count(decision.checked, 'check')} right ({decision.right / decision.checked:.1%}), "
        f"at least {_floor(decision.lower)} at {rules.confidence:.0%} confidence"
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
        yield f"the promise allows {_count(int(now.room), 'more record')} now: {now.what_allows_more}"
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
        more = f"at least {_count(decision.missing, 'more right check')} needed"
        stop = "stopped, because checks fell below the requirement: " if decision.stopped else "nothing yet: "
        yield stop + more
        if decision.futile and now.rules.target_precision is not None:
            yield "too many of these checks are wrong: the next are drawn above a stricter threshold, if there is one"
    if now.missing:
        return
    yield "until then a part of each slice is audited: the more, the fewer checks are missing"


def _validated(seen: Progress) -> str:
    found = seen.validated
    if not found.all:
        return "none"
    people = [f"{found.corrected:,} corrected by people"] if found.corrected else []
    people += [f"{found.confirmed:,} confirmed by people"] if found.confirmed else []
    return f"{_count(found.all, 'record')}, {found.standing:,} standing" + "".join(
        f", {one}" for one in people
    )


def _blind(found: Blind) -> str:
    if not found.logged:
        return "none drawn"
    waiting = found.logged - found.answered
    right = f"{found.right:,} of {found.answered:,} right" if found.answered else "none answered"
    return right + (f", {waiting:,} waiting for people" if waiting else "")


def _held_back(found: Blind, measured: tuple[int, int] | None) -> str:
    answered = f"{found.answered:,} of {found.logged:,} answered"
    if measured is None or not measured[1]:
        return answered
    right, everything = measured
    return f"{answered}; the current model is right on {right:,} of {everything:,}, mostly doubtful texts"


def _by_label(now: Acceptance) -> Table:
    table = Table(
        title="Label by label",
        title_justify="left",
        caption=f"All of it together at {now.rules.confidence:.0%} confidence.",
        caption_justify="left",
    )
    table.add_column("label", overflow="fold")
    for column in ("accepted above", "right checks", "at least", "more checks", "more examples"):
        table.add_column(column, justify="right")
    for label in now.labels:
        decision = now.decisions.get(label, AcceptanceDecision(None))
        examples = max(now.missing.get(label, 0), now.below_accept_minimum.get(label, 0))
        table.add_row(
            escape(label),
            ("stopped" if decision.stopped else "-")
            if decision.threshold is None
            else f"{decision.threshold}",
            f"{decision.right}/{decision.checked}" if decision.checked else "-",
            _floor(decision.lower) if decision.checked else "-",
            str(decision.missing or "-"),
            str(examples or "-"),
        )
    return table


def _common(now: Acceptance) -> AcceptanceDecision:
    """Return the decision that all labels share."""
    return next(iter(now.decisions.values()), AcceptanceDecision(None))


def _named(counts: Mapping[str, int]) -> str:
    """Return labels with their counts, those that lack least first."""
    ordered = sorted(counts, key=lambda label: (counts[label], label))
    return _listed([f"{label} {counts[label]}" for label in ordered])


def _listed(labels: Sequence[str]) -> str:
    labels = [escape(label) for label in labels]
    more = len(labels) - SHOWN_LABELS
    if more <= 1:  # "and 1 more" would take as much room
        return ", ".join(labels)
    return ", ".join(labels[:SHOWN_LABELS]) + f" and {more} more labels"


def _floor(share: float) -> str:
    """Return a lower bound in percent, never rounded up."""
    return f"{int(share * 1000) / 10:.1f}%"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
