"""``argilla-loop finish``: shows what would be accepted, asks for confirmation, and accepts it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argilla_loop.argilla.protocol import Lease
from argilla_loop.errors import FatalError, RetryableError, TrainingError
from argilla_loop.loop.finish import Proposal, accept, propose
from argilla_loop.policy.plan import Wait
from argilla_loop.policy.validation.finish import LastRound, Wish
from argilla_loop.service.blindness import Blindness
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.service.wiring import dataset_of
from argilla_loop.service.writer import only_writer
from argilla_loop.settings import Settings

GOES_ON = "the same command goes on"


def finish(
    settings: Settings, wish: Wish, out: Console, *, dry_run: bool, confirm: Callable[[str], bool]
) -> None:
    """Accept the rest of the pool.

    Args:
        settings: of the dataset.
        wish: what is to be accepted.
        out: where the proposal and the outcome are printed.
        dry_run: only print the proposal.
        confirm: called with a question before anything is accepted; returns whether to go on.

    Raises:
        SettingsError: nothing of that kind can be accepted.
        SchemaError: there is no working dataset, or the service cannot work on it.
        ModelError: the model cannot be used.
        LeaseLostError: a service runs.
        RetryableError, FatalError: Argilla is away or refuses; there are too few examples for a model.
    """
    with snapshot(settings) as now:
        right: AbstractContextManager[Lease | None] = nullcontext()
        if not dry_run:
            right = only_writer(settings, now.backend, now.info, on_wait=lambda line: out.print(escape(line)))
        with right as lease:
            _finish(now, wish, out, lease, confirm)


def _finish(
    now: Snapshot, wish: Wish, out: Console, lease: Lease | None, confirm: Callable[[str], bool]
) -> None:
    if lease is not None:  # evidence counts only if annotators could not see the predictions
        visibility = now.backend.visibility(now.info.id, before_write=lease.confirm)
        Blindness(visibility, now.dataset, now.rule).restore()
    try:
        proposal = propose(now.plan, now.pool, now.match.left, now.vectors, lambda: now.model, wish)
    except TrainingError as error:
        raise FatalError(f"there is no model yet: {error}") from None
    _show(now, proposal, out)
    if not len(proposal.acceptable):
        out.print("nothing to accept")
        return
    if lease is None:
        out.print("nothing was changed (--dry-run)")
        return
    if not confirm(
        f"Accept {len(proposal.acceptable) - proposal.audits:,} texts and audit {proposal.audits:,}?"
    ):
        out.print("nothing was changed")
        return
    _accept(now, proposal, lease, out)


def _accept(now: Snapshot, proposal: Proposal, lease: Lease, out: Console) -> None:
    dataset = dataset_of(now.settings, now.backend, now.info, before_write=lease.confirm)
    done = [0, 0]

    def count(accepted: int, audited: int) -> None:
        done[0] += accepted
        done[1] += audited

    total = len(proposal.acceptable)
    try:
        accept(
            dataset,
            now.pool,
            now.match,
            proposal,
            first_batch=now.plan.seen.next_number,
            task=now.plan.seen.task,
            on_batch=count,
        )
    except KeyboardInterrupt:
        out.print(f"interrupted, {sum(done):,} of {total:,} logged: {GOES_ON}")
        raise
    except RetryableError as error:
        raise RetryableError(f"{error}; {sum(done):,} of {total:,} logged: {GOES_ON}") from None
    accepted, audited = done
    out.print(f"accepted: {accepted:,} texts; {audited:,} wait for annotators as audits")
    if (missing := total - accepted - audited) > 0:
        out.print(
            f"{missing:,} texts stay open: Argilla refused them, or they are below the threshold when scored anew"
        )
    for line in _verdict(proposal):
        out.print(escape(line))


def _show(now: Snapshot, proposal: Proposal, out: Console) -> None:
    table = Table(title="To be accepted", title_justify="left", show_footer=True)
    table.add_column("label", "all")
    table.add_column("texts", f"{len(proposal.acceptable):,}", justify="right")
    for label, count in sorted(proposal.by_label.items()):
        table.add_row(escape(label), f"{count:,}")
    out.print(table)
    if len(proposal.acceptable):
        out.print(escape(_precision(now, proposal)))
        out.print(escape(_audits(now, proposal)))
    if isinstance(now.plan.step, Wait):
        batch = now.plan.step.batch
        out.print(f"waiting for annotators: {batch.size - batch.done:,} records of batch {batch.number}")
    if proposal.open:
        out.print(f"stay open: {sum(proposal.open.values()):,} texts")
        for reason, count in proposal.open.most_common():
            out.print(escape(f"- {count:,}: {reason}"))


def _precision(now: Snapshot, proposal: Proposal) -> str:
    expected, confidence = proposal.expected, now.rules.confidence
    basis = (
        f"from {expected.results:,} audit results and held-back answers"
        if expected.results
        else "from the model's own certainty alone, as nothing was audited yet"
    )
    return (
        f"estimated precision: {expected.value:.1%} ({expected.low:.1%} to {expected.high:.1%} at {confidence:.0%} "
        f"confidence), {basis}"
    )


def _audits(now: Snapshot, proposal: Proposal) -> str:
    last = proposal.last
    if not last.audits:
        return "audits: none, as audit_rate is 0: nothing will show whether these labels stand"
    before = last.audits - proposal.audits
    drawn = f", {before:,} of them before" if before > 0 else ""
    return (
        f"audits: {last.audits:,} of these texts, drawn at random{drawn} (audit_rate {now.rules.audit_rate:.0%}, and "
        f"enough to show {last.claim:.0%} where that takes less than half of the texts); annotators answer them blind"
    )


def _verdict(proposal: Proposal) -> list[str]:
    """Return what the audits have to say for the accepted labels to stand."""
    last = proposal.last
    if not last.audits:
        return []
    undo = f"argilla-loop revoke -c FILE --model-version {shlex.quote(proposal.model.version)}"
    if last.wrong is None:
        too_few = (
            f"{last.audits:,} audits are too few to show {last.claim:.0%}: if all are right, the precision is at least "
            f"{last.least:.1%} ({last.confidence:.0%} confidence)"
        )
        return [too_few, f"to revoke these labels: {undo}"]
    return [stands_in_words(last), f"if more are wrong: {undo}"]


def stands_in_words(last: LastRound) -> str:
    """Return when the labels stand, for a round that can show its claim."""
    right = last.audits - (last.wrong or 0)
    return (
        f"these labels stand if at least {right:,} of the {last.audits:,} audits are right: then the precision is at "
        f"least {last.claim:.0%} ({last.confidence:.0%} confidence)"
    )
