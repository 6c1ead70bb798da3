"""``argilla-loop revoke``: shows what would be revoked, asks for confirmation, and revokes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argilla_loop.domain import Model
from argilla_loop.errors import RetryableError
from argilla_loop.loop.revoke import model_of_people, revoke_records
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.validation.revocation import RevocationFilter, revocable
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.settings import Settings


def revoke(
    settings: Settings,
    which: RevocationFilter,
    out: Console,
    *,
    dry_run: bool,
    confirm: Callable[[str], bool],
) -> None:
    """Revoke accepted records.

    Args:
        settings: of the dataset.
        which: the records.
        out: where counts and the outcome are printed.
        dry_run: only print the counts.
        confirm: called with a question before anything is changed; returns whether to go on.

    Raises:
        SettingsError: ``which`` names a label that the dataset doesn't have.
        SchemaError: there is no working dataset, or the service cannot work on it.
        ModelError: the model cannot be used, see ``wiring.learner_of``.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    with snapshot(settings) as now:
        _revoke(now, which, out, dry_run=dry_run, confirm=confirm)


def _revoke(
    now: Snapshot, which: RevocationFilter, out: Console, *, dry_run: bool, confirm: Callable[[str], bool]
) -> None:
    now.refuse_unknown(which.labels)
    chosen = revocable(now.records, which)
    if not chosen:
        others = len(revocable(now.records, RevocationFilter()))
        out.print(f"nothing to revoke: the service has accepted {others:,} records, and none of them matches")
        return
    out.print(_counts(chosen))
    if dry_run:
        out.print("nothing was changed (--dry-run)")
        return
    learner = now.learner  # first, so that a model that cannot be used changes nothing
    if not confirm(f"Revoke {len(chosen):,} records?"):
        out.print("nothing was changed")
        return

    def model() -> Model | None:
        """The model for fresh suggestions: that of a turn that learns from people only."""
        return model_of_people(now.records, now.pool, learner, now.selection.sample(now.pool))

    sizes: list[int] = []
    try:
        revoke_records(now.dataset, chosen, model, rule=now.rule, on_chunk=sizes.append)
    except KeyboardInterrupt:
        out.print(f"interrupted, {sum(sizes):,} of {len(chosen):,} revoked: the same command goes on")
        raise
    except RetryableError as error:
        raise RetryableError(
            f"{error}; {sum(sizes):,} of {len(chosen):,} revoked: the same command goes on"
        ) from None
    out.print(f"revoked: {len(chosen):,} records")


def _counts(records: Sequence[AdjudicatedRecord]) -> Table:
    """Return a table of records by model version and label: all, those also answered by people, those half revoked."""
    table = Table(title="To be revoked", title_justify="left", show_footer=True)
    table.add_column("model", "all")
    table.add_column("label")
    groups: dict[tuple[str, str], list[AdjudicatedRecord]] = {}
    for one in records:
        groups.setdefault((one.record.model or "-", one.record.prediction or "-"), []).append(one)

    def figures(some: Sequence[AdjudicatedRecord]) -> tuple[str, str, str]:
        answered = sum(bool(one.answers) for one in some)
        half = sum(one.is_half_revoked for one in some)
        return f"{len(some):,}", f"{answered:,}", f"{half:,}"

    columns = ("records", "answered by people too", "begun before")
    for column, total in zip(columns, figures(records), strict=True):
        table.add_column(column, total, justify="right")
    for (model, label), some in sorted(groups.items()):
        table.add_row(escape(model), escape(label), *figures(some))
    return table
