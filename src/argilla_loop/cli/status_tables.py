"""``argilla-loop status``: how the labelling goes, from Argilla alone (the pool is read for what is left)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

from argilla_loop.cli.acceptance_tables import section
from argilla_loop.policy.answers import validated_by_others
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.explanation import headline_now
from argilla_loop.policy.matching import Match
from argilla_loop.policy.observation import Observation
from argilla_loop.policy.plan import Plan
from argilla_loop.policy.progress import BatchProgress, Disagreement, Progress, progress
from argilla_loop.policy.task import LabelRule
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.service.observers.evidence import Evidence, known, of_latest_model
from argilla_loop.service.observers.other_users import STAYS, in_words, writer_in_words
from argilla_loop.service.snapshot import snapshot
from argilla_loop.service.wiring import encoder_in_words
from argilla_loop.settings import Settings

SHOWN_BATCHES = 10
SHOWN_PAIRS = 3


def status(settings: Settings) -> RenderableType:
    """Return a description of the working dataset.

    Raises:
        SchemaError: there is no working dataset yet, or it is another one.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    with snapshot(settings) as now:
        return render(
            now.plan,
            settings=settings,
            seeds=Counter(example.label for example in now.pool.examples()),
            match=now.match,
            known_of_model=known(settings),
            writer=writer_in_words(now.backend.writer(now.info.id), now.backend),
            others=in_words(now.backend, now.info.workspace, validated_by_others(now.records)),
            note=now.found.note if now.found else None,
        )


def render(
    decided: Plan,
    *,
    settings: Settings,
    seeds: Mapping[str, int],
    match: Match,
    known_of_model: Evidence | None = None,
    writer: str = "",
    others: str = "",
    note: str | None = None,
) -> RenderableType:
    """What ``status`` prints.

    Args:
        decided: the plan that a turn would act on now.
        settings: for names.
        seeds: labelled examples that came with the pool, by label.
        match: how the pool goes together with what is logged.
        known_of_model: what is known of the latest model trained on this machine.
        writer: the service that holds the lease.
        others: what services of other users validated; empty: nothing.
        note: what is to be said of the dataset's name.
    """
    seen, now = progress(decided.seen.records), decided.acceptance
    current = of_latest_model(known_of_model, decided.seen)
    parts = [
        _headline(
            seen, settings, match, writer, others, note, decided.seen, current.outlook if current else None
        ),
        *section(seen, now, current.outlook if current else None),
        _examples(seen, now, seeds),
        _batches(seen),
    ]
    if current is not None and current.heads:
        parts.append(_heads(current))
    return Group(*parts)


def _heads(known_of_model: Evidence) -> Table:
    examples, version = known_of_model.heads[0].examples, known_of_model.model
    table = Table(
        title=f"Heads, cross-validated on {examples} examples of people (model {version})",
        title_justify="left",
        caption="certain: above 0.9. The first was chosen.",
        caption_justify="left",
    )
    table.add_column("head")
    for column in ("accuracy", "log-loss", "calibration error", "certain", "right when certain"):
        table.add_column(column, justify="right")
    for one in known_of_model.heads:
        table.add_row(
            one.head,
            f"{one.accuracy:.1%}",
            f"{one.log_loss:.3f}",
            f"{one.calibration_error:.3f}",
            f"{one.coverage:.0%}",
            _share(one.precision),
        )
    return table


def _headline(
    seen: Progress,
    settings: Settings,
    match: Match,
    writer: str,
    others: str,
    note: str | None,
    observed: Observation,
    outlook: Outlook | None,
) -> Table:
    name = escape(f"{settings.workspace} / {settings.dataset}")
    table = Table(title=name, show_header=False, title_justify="left")
    if outlook is not None:
        table.add_row("in short", headline_now(outlook, observed))
    if note is not None:
        table.add_row("dataset", escape(note))
    if seen.batches:
        latest = seen.batches[-1]
        waiting = latest.size - latest.done
        state = f"waiting for people: {waiting} to go" if waiting else "done"
        table.add_row("batch", f"{latest.number}: {latest.done} of {latest.size} done ({state})")
    else:
        table.add_row("batch", "none yet")
    left = len(match.left)
    table.add_row("pool left", f"{left:,}" + ("" if left else " (exhausted)"))
    if match.changed or match.moved:
        table.add_row(
            "pool changed",
            f"{match.changed:,} of its ids have another text in Argilla, {match.moved:,} of its texts another id",
        )
    kept = f"{_share(seen.agreement)} ({seen.agreed:,} of {seen.answered:,})" if seen.answered else "-"
    table.add_row("suggestions that people kept", kept)
    if seen.disagreement.several:
        table.add_row("people disagree", _disagreement(seen.disagreement, settings.label_rule))
    table.add_row("discarded", f"{seen.discarded:,}")
    if encoder := encoder_in_words(settings):
        table.add_row("embedding model", escape(encoder))
    table.add_row("writer", escape(writer))
    if others:
        table.add_row("validated by services of other users", escape(f"{others}; {STAYS}"))
    if seen.unnumbered:
        table.add_row("logged by others", f"{seen.unnumbered:,}")
    return table


def _disagreement(found: Disagreement, rule: LabelRule) -> str:
    told = f"on {found.disagreed:,} of {found.several:,} records that several answered (label_rule = {rule})"
    pairs = [
        escape(f"{first or 'discarded'} / {second or 'discarded'} {count}")
        for (first, second), count in found.pairs[:SHOWN_PAIRS]
    ]
    return told + (f"; most often {', '.join(pairs)}" if pairs else "")


def _examples(seen: Progress, now: Acceptance, seeds: Mapping[str, int]) -> Table:
    minimum, accept_minimum = now.rules.min_examples_per_label, now.rules.min_accept_examples
    caption = f"to {minimum}: what is missing before anything is accepted (min_examples_per_label)."
    # two minima, and where nothing is to be accepted the second has no meaning
    twice = now.rules.criterion is not None and accept_minimum > minimum
    if twice:
        caption += f" to {accept_minimum}: before anything is accepted as that label (min_accept_examples)."
    table = Table(title="Examples by label", title_justify="left", caption=caption, caption_justify="left")
    table.add_column("label", overflow="fold")
    columns = ("human", "from the pool", "accepted", f"to {minimum}")
    for column in (*columns, *((f"to {accept_minimum}",) if twice else ())):
        table.add_column(column, justify="right")
    for label in now.labels:
        lacks = [now.missing.get(label, 0), *((now.below_accept_minimum.get(label, 0),) if twice else ())]
        counts = (seen.human[label], seeds.get(label, 0), seen.model[label])
        table.add_row(escape(label), *map(str, counts), *(str(lack or "-") for lack in lacks))
    return table


def _batches(seen: Progress) -> Table:
    shown = list(seen.batches)[-SHOWN_BATCHES:]
    title = (
        "Batches"
        if len(shown) == len(seen.batches)
        else f"Latest {len(shown)} of {len(seen.batches)} batches"
    )
    table = Table(
        title=title,
        title_justify="left",
        caption="kept: suggestions that people kept. right: checks, which are blind, that say what the model said.",
        caption_justify="left",
    )
    for column in ("idx", "done", "ask", "accept", "audit", "kept", "right", "model"):
        table.add_column(column, justify="left" if column == "model" else "right", overflow="fold")
    for batch in shown:
        table.add_row(*_row(batch))
    return table


def _row(batch: BatchProgress) -> Iterator[str]:
    yield str(batch.number)
    yield f"{batch.done}/{batch.size}"
    yield from map(str, (batch.asked, batch.accepted, batch.audited))
    yield f"{batch.agreed}/{batch.answered}" if batch.answered else "-"
    yield f"{batch.right}/{batch.checked}" if batch.checked else "-"
    yield ", ".join(batch.models) or "- (cold start)"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"
