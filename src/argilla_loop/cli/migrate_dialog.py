"""``argilla-loop migrate``: shows what would be copied, asks for confirmation, copies it, and changes the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argilla_loop.argilla.protocol import Copied, Lease, Target
from argilla_loop.errors import RetryableError, SettingsError
from argilla_loop.policy.migration import Migrated, label_change
from argilla_loop.service.migrate import Proposal, carry_out, propose, rewrite
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.service.writer import only_writer
from argilla_loop.settings import Settings

GOES_ON = "the same command goes on"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options ask for.

    Attributes:
        to: name of the new dataset.
        add: labels to add.
        merge: each ``A,B=C``.
        rename: each ``A=B``.
    """

    to: str
    add: tuple[str, ...] = ()
    merge: tuple[str, ...] = ()
    rename: tuple[str, ...] = ()


def migrate(
    settings: Settings,
    config: Path | None,
    wanted: Wanted,
    out: Console,
    *,
    dry_run: bool,
    confirm: Callable[[str], bool],
) -> None:
    """Make a dataset with other labels.

    Args:
        settings: of the old dataset.
        config: the file that they come from, which is changed at the end; ``None`` without one.
        wanted: the options.
        out: where the proposal and the outcome are printed.
        dry_run: only print the proposal.
        confirm: called with a question before anything is written; returns whether to go on.

    Raises:
        SettingsError: the options cannot be followed.
        SchemaError: there is no working dataset, or the service cannot work on it.
        LeaseLostError: a service runs.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    with snapshot(settings) as now:
        if wanted.to in (settings.dataset, now.info.name):
            if now.found is not None and now.found.migrated_from is not None:
                out.print(escape(f"nothing to do: dataset {wanted.to!r} is made, and the settings name it"))
                return
            raise SettingsError(f"--to {wanted.to!r} is the dataset itself: give another name")
        change = label_change(now.info.labels, add=wanted.add, merge=wanted.merge, rename=wanted.rename)
        right: AbstractContextManager[Lease | None] = nullcontext()
        if not dry_run:
            right = only_writer(settings, now.backend, now.info, on_wait=lambda line: out.print(escape(line)))
        with right as lease:
            proposal = propose(now, wanted.to, change)
            _show(now, proposal, out)
            if lease is None:
                out.print("nothing was changed (--dry-run)")
                return
            question = f"Copy {proposal.records:,} records into dataset {wanted.to!r}?"
            if not confirm("Change the settings?" if proposal.found is Target.COMPLETE else question):
                out.print("nothing was changed")
                return
            _carry_out(now, proposal, lease, out)
    _rewrite(config, settings, proposal.settings, out)


def _carry_out(now: Snapshot, proposal: Proposal, lease: Lease, out: Console) -> None:
    done: list[Copied] = []
    try:
        carry_out(now, proposal, lease, on_copied=done.append)
    except KeyboardInterrupt:
        out.print(f"interrupted; dataset {now.info.name!r} is as it was, and {GOES_ON}", markup=False)
        raise
    except RetryableError as error:
        raise RetryableError(f"{error}; dataset {now.info.name!r} is as it was, and {GOES_ON}") from None
    if gone := sum(one.gone for one in done):
        out.print(f"left out: {gone:,} answers of users whom Argilla does not know any more")
    copied = max((one.records for one in done), default=0)
    _say(
        out,
        f"dataset {proposal.name!r} is complete: {proposal.records:,} records, {copied:,} of them copied now",
    )


def _rewrite(config: Path | None, settings: Settings, changes: Mapping[str, Any], out: Console) -> None:
    left = rewrite(config, changes)
    if len(left) < len(changes):
        _say(out, f"changed in {config}: {', '.join(key for key in changes)}")
    if left:
        _say(
            out,
            "set this yourself, in the settings file or in the environment, before you start the service:",
        )
        for line in left:
            _say(out, f"  {line}")
    _say(
        out,
        f"Tell your annotators to go on in dataset {changes['dataset']!r}: what they answer in {settings.dataset!r} "
        "from now on is not copied. Then start the service again.",
    )


def _show(now: Snapshot, proposal: Proposal, out: Console) -> None:
    does = proposal.does
    table = Table(title="Labels", title_justify="left")
    for column in ("label", "becomes"):
        table.add_column(column)
    for column in ("answers of people", "accepted by the service"):
        table.add_column(column, justify="right")
    for label in does.change.before:
        people, service = does.by_label[label]
        table.add_row(escape(label), escape(does.change.of(label)), f"{people:,}", f"{service:,}")
    for label in does.change.added:
        table.add_row("", f"{escape(label)} (new)", "0", "0")
    out.print(table)
    statuses = ", ".join(f"{does.answers.get(status, 0):,} {words}" for status, words in _STATUSES.items())
    _say(
        out,
        f"to copy from {now.info.name!r} to {proposal.name!r}: {proposal.records:,} records; answers of people: "
        f"{statuses}; {does.accepted:,} labels that the service accepted",
    )
    if proposal.found is Target.HALF_MADE:
        _say(out, f"dataset {proposal.name!r} is half made: what is there already is not copied again")
    if proposal.found is Target.COMPLETE:
        _say(out, f"dataset {proposal.name!r} is complete already: only the settings are left to change")
    for line in _consequences(does):
        _say(out, line)
    for key in proposal.settings:
        _say(out, f"setting to change: {key}")


_STATUSES = {"submitted": "submitted", "discarded": "discarded", "draft": "drafts"}


def _consequences(does: Migrated) -> list[str]:
    """Return what the change means for labels and evidence, in words."""
    lines = []
    if added := does.change.added:
        names = ", ".join(repr(label) for label in added)
        lines.append(
            f"doubtful: {does.doubtful:,} answers of people and {does.accepted:,} labels of the service come from when "
            f"nobody could choose {names}; they are kept. To ask people about the service's: argilla-loop revoke --all"
        )
        if does.accepted:
            lines.append("promise: withdrawn for the labels that the service accepted so far")
    elif does.accepted:
        lines.append("promise: stays for the labels that the service accepted so far")
    lines.append("guidelines: copied as they are; if they name labels that change, correct them in Argilla")
    if does.turned:
        lines.append(
            f"{does.turned:,} checks would change between wrong and right under the new labels, so they may be the "
            "reason for them, and prove nothing about them"
        )
    if does.anew:
        lines.append(
            f"evidence starts anew: {does.blind:,} audits and held-back records become plain questions, and the model "
            "learns from their answers"
        )
    else:
        lines.append(f"evidence is kept: {does.blind:,} audits and held-back records say the same as before")
    return lines


def _say(out: Console, line: str) -> None:
    out.print(escape(line), soft_wrap=True, highlight=False)
