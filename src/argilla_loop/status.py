"""``argilla-loop status``: how the labelling goes, from Argilla alone (the pool is read for what is left)."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table

from argilla_loop.argilla.dataset import ArgillaDataset
from argilla_loop.argilla.schema import find_dataset, find_workspace, labels_of, verify_dataset
from argilla_loop.domain import HeadEvidence, LoggedRecord, Pool
from argilla_loop.errors import SchemaError
from argilla_loop.evidence import known
from argilla_loop.policy.progress import BatchProgress, Progress, progress
from argilla_loop.service import connect_with, pool_source
from argilla_loop.settings import Settings

SHOWN_BATCHES = 10


def status(settings: Settings) -> RenderableType:
    """Look at the working dataset and describe it.

    Raises:
        SchemaError: there is no working dataset yet, or it is another one.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    connection = connect_with(settings)
    existing = find_dataset(connection, find_workspace(connection, settings.workspace), settings.dataset)
    if existing is None or existing["status"] == "draft":
        raise SchemaError(
            f"dataset {settings.dataset!r} does not exist in workspace {settings.workspace!r} yet: "
            "start `argilla-loop run`, which creates it"
        )
    labels = tuple(settings.labels) or labels_of(connection, existing)
    info = verify_dataset(connection, existing, workspace=settings.workspace, labels=labels)
    dataset = ArgillaDataset(connection, info)
    records = list(dataset.scan())
    pool = pool_source(settings, labels, connection).current()
    seen = progress(records, min_submitted=info.min_submitted, daemon_id=dataset.daemon_id)
    return render(
        seen,
        settings=settings,
        labels=labels,
        seeds=_seeds(pool),
        left=_left(pool, records),
        evidence=known(settings),
    )


def render(
    seen: Progress,
    *,
    settings: Settings,
    labels: tuple[str, ...],
    seeds: dict[str, int],
    left: int,
    evidence: tuple[str, tuple[HeadEvidence, ...]] | None = None,
) -> RenderableType:
    """What ``status`` prints.

    Args:
        seen: the progress.
        settings: for names and the minimum of examples.
        labels: all labels there are.
        seeds: labelled examples that came with the pool, by label.
        left: unlabelled pool records that are not logged yet.
        evidence: version of the latest model trained on this machine, and what was found about its heads.
    """
    parts = [
        _headline(seen, settings, left),
        _examples(seen, labels, seeds, settings.min_examples_per_label),
        _batches(seen),
    ]
    scored_by = [model for batch in seen.batches for model in batch.models][-1:]
    if evidence is not None and evidence[1] and evidence[0] in scored_by:
        parts.append(_heads(*evidence))
    return Group(*parts)


def _heads(version: str, evidence: tuple[HeadEvidence, ...]) -> Table:
    table = Table(
        title=f"Heads, cross-validated on {evidence[0].examples} examples of people (model {version})",
        title_justify="left",
        caption="certain: above 0.9. The first was chosen.",
        caption_justify="left",
    )
    table.add_column("head")
    for column in ("accuracy", "log-loss", "calibration error", "certain", "right when certain"):
        table.add_column(column, justify="right")
    for one in evidence:
        table.add_row(
            one.head,
            f"{one.accuracy:.1%}",
            f"{one.log_loss:.3f}",
            f"{one.calibration_error:.3f}",
            f"{one.coverage:.0%}",
            _share(one.precision),
        )
    return table


def _headline(seen: Progress, settings: Settings, left: int) -> Table:
    table = Table(title=f"{settings.workspace} / {settings.dataset}", show_header=False, title_justify="left")
    if seen.batches:
        latest = seen.batches[-1]
        waiting = latest.size - latest.done
        state = f"waiting for people: {waiting} to go" if waiting else "done"
        table.add_row("batch", f"{latest.number}: {latest.done} of {latest.size} done ({state})")
    else:
        table.add_row("batch", "none yet")
    table.add_row("pool left", f"{left:,}" + ("" if left else " (exhausted)"))
    table.add_row("agreement with people", _share(seen.agreement))
    table.add_row("validated by the service", f"{sum(seen.model.values()):,}")
    table.add_row("discarded", f"{seen.discarded:,}")
    if seen.unnumbered:
        table.add_row("logged by others", f"{seen.unnumbered:,}")
    return table


def _examples(seen: Progress, labels: tuple[str, ...], seeds: dict[str, int], minimum: int) -> Table:
    table = Table(title="Examples by label", title_justify="left")
    table.add_column("label")
    for column in ("human", "from the pool", "model", "still missing"):
        table.add_column(column, justify="right")
    for label in labels:
        human, seed = seen.human[label], seeds.get(label, 0)
        missing = max(minimum - human - seed, 0)
        table.add_row(label, str(human), str(seed), str(seen.model[label]), str(missing) if missing else "-")
    return table


def _batches(seen: Progress) -> Table:
    shown = list(seen.batches)[-SHOWN_BATCHES:]
    title = (
        "Batches"
        if len(shown) == len(seen.batches)
        else f"Latest {len(shown)} of {len(seen.batches)} batches"
    )
    table = Table(title=title, title_justify="left")
    for column in ("batch", "done", "accepted", "agreement", "model"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for batch in shown:
        table.add_row(*_row(batch))
    return table


def _row(batch: BatchProgress) -> Iterator[str]:
    yield str(batch.number)
    yield f"{batch.done}/{batch.size}"
    yield str(batch.accepted)
    yield f"{_share(batch.agreement)}" + (f" ({batch.agreed}/{batch.answered})" if batch.answered else "")
    yield ", ".join(batch.models) or "- (cold start)"


def _share(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _seeds(pool: Pool) -> dict[str, int]:
    seeds: dict[str, int] = {}
    for example in pool.examples():
        seeds[example.label] = seeds.get(example.label, 0) + 1
    return seeds


def _left(pool: Pool, records: list[LoggedRecord]) -> int:
    return len(pool.unlabelled(excluding={record.id for record in records}))
