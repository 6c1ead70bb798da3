"""``argilla-loop review``: draws accepted records, asks for confirmation, and puts them back into the queue."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argilla_loop.domain import NewRecord
from argilla_loop.errors import RetryableError
from argilla_loop.loop.revoke import requeue_records
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.validation.review import asked_for_review, drawn, reviewable, why_no_check
from argilla_loop.policy.validation.revocation import RevocationFilter
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.settings import Settings


def review(
    settings: Settings,
    which: RevocationFilter,
    out: Console,
    *,
    count: int,
    blind: bool,
    seed: int | None,
    dry_run: bool,
    confirm: Callable[[str], bool],
) -> None:
    """Put accepted records back into the queue.

    Args:
        settings: of the dataset.
        which: the records to draw from.
        out: where counts and the outcome are printed.
        count: number of records.
        blind: whether annotators are asked without the service's label.
        seed: of the draw; ``None``: that of the settings.
        dry_run: only print the counts.
        confirm: called with a question before anything is changed; returns whether to go on.

    Raises:
        SettingsError: ``which`` names a label that the dataset doesn't have.
        SchemaError: there is no working dataset, or the service cannot work on it.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    with snapshot(settings) as now:
        now.refuse_unknown(which.labels)
        found = reviewable(now.records, which)
        if not found:
            others = len(reviewable(now.records, RevocationFilter()))
            out.print(
                f"nothing to review: {others:,} accepted records have no answer of a person, and none of them matches"
            )
            return
        chosen = drawn(found, count, settings.seed if seed is None else seed)
        why = why_no_check(which, now.rules, blind=blind)
        out.print(_counts(chosen, found))
        out.print(
            "what annotators answer counts as a check: the records are drawn at random and asked blind"
            if why is None
            else f"what annotators answer is used for training, but counts as no check: {escape(why)}"
        )
        if dry_run:
            out.print("nothing was changed (--dry-run)")
        elif not confirm(f"Put {len(chosen):,} records back into the queue?"):
            out.print("nothing was changed")
        else:
            _requeue(now, chosen, out, blind=blind, check=why is None)


def _requeue(
    now: Snapshot, chosen: Sequence[AdjudicatedRecord], out: Console, *, blind: bool, check: bool
) -> None:
    def become(chunk: Sequence[AdjudicatedRecord]) -> Mapping[str, NewRecord]:
        return {one.record.id: asked_for_review(one.record, blind=blind, check=check) for one in chunk}

    done: list[int] = []

    def how_to_go_on() -> str:
        left = len(chosen) - sum(done)
        return f"{sum(done):,} of {len(chosen):,} are back in the queue: --sample {left} puts the rest there"

    try:
        requeue_records(
            now.dataset, chosen, become, rule=now.rule, task="returning_records", on_chunk=done.append
        )
    except KeyboardInterrupt:
        out.print(f"interrupted, {how_to_go_on()}")
        raise
    except RetryableError as error:
        raise RetryableError(f"{error}; {how_to_go_on()}") from None
    out.print(f"back in the queue: {len(chosen):,} records")


def _counts(chosen: Sequence[AdjudicatedRecord], found: Sequence[AdjudicatedRecord]) -> Table:
    """Return a table of the drawn records by the service's label."""
    table = Table(title="To be reviewed", title_justify="left", show_footer=True)
    table.add_column("service's label", "all")
    table.add_column("accepted", f"{len(found):,}", justify="right")
    table.add_column("drawn", f"{len(chosen):,}", justify="right")
    drawn_by = Counter(one.record.prediction or "-" for one in chosen)
    for label, number in sorted(Counter(one.record.prediction or "-" for one in found).items()):
        table.add_row(escape(label), f"{number:,}", f"{drawn_by[label]:,}")
    return table
