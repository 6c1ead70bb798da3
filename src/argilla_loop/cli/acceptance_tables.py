"""What the service accepts, on what evidence, and what keeps it from accepting more: tables for ``status``."""

from __future__ import annotations

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.explanation import (
    bar_in_words,
    count_in_words,
    floor_in_words,
    hindrances,
    precision_in_words,
    promise_in_words,
)
from argilla_loop.policy.progress import Blind, Progress
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision

TITLE = "What the service accepts"
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
    table.add_row("required", escape(bar_in_words(now)))
    if words := promise_in_words(seen, now):
        table.add_row("promised", words)
    if words := precision_in_words(now):
        table.add_row("precision", words)
    table.add_row(
        "why it isn't labelling more",
        escape("\n".join(f"- {reason}" for reason in hindrances(now, outlook)) or "-"),
    )
    if seen.held_back.logged or now.rules.evaluation_share:
        table.add_row(
            "held back",
            _held_back(seen.held_back, outlook.held_back if outlook else None),
        )
    table.add_row("to revoke", TAKING_BACK)
    apart = now.rules.promise == "label" and now.rules.criterion is not None
    return [table, _by_label(now)] if apart else [table]


def _validated(seen: Progress) -> str:
    found = seen.validated
    if not found.all:
        return "none"
    people = [f"{found.corrected:,} corrected by people"] if found.corrected else []
    people += [f"{found.confirmed:,} confirmed by people"] if found.confirmed else []
    return f"{count_in_words(found.all, 'record')}, {found.standing:,} standing" + "".join(
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
            floor_in_words(decision.lower) if decision.checked else "-",
            str(decision.missing or "-"),
            str(examples or "-"),
        )
    return table
