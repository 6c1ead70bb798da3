"""The report on reading a pool, and its tables for ``argilla-loop pool``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table

PERCENTILES = (0, 25, 50, 75, 95, 100)

REASONS = {
    "null": "no text",
    "blank": "empty or white space",
    "not_text": "not text (a number, a list, bytes)",
    "discarded": "discarded in Argilla 1.x",
    "id_taken": "id of an earlier row with another text",
    "several": "several labels on one text",
    "not_validated": "annotation that nobody validated",
}


@dataclass(frozen=True, slots=True)
class PoolReport:
    """The numbers of a pool: ``rows == taken + duplicates + sum(skipped.values())``."""

    source: str
    rows: int  # read
    taken: int  # texts in the pool
    skipped: Mapping[str, int]  # rows left out, by reason
    duplicates: int  # rows with the text of an earlier row
    conflicts: int  # texts with different labels, which count as unlabelled
    ignored_labels: Mapping[str, int]  # ignored labels, by reason; their rows are in the pool
    mended: int  # texts, ids and labels in which broken characters were replaced
    labelled: int  # texts that came with a label
    labels: Mapping[str, int]  # how many of each
    lengths: Mapping[int, int]  # percentile -> characters
    seconds: float  # to read it


def percentiles(lengths: NDArray[np.int32]) -> dict[int, int]:
    """Return text lengths by percentile, each a length that occurs; empty without texts."""
    if not len(lengths):
        return {}
    values = np.percentile(lengths, PERCENTILES, method="nearest")
    return {percentile: int(value) for percentile, value in zip(PERCENTILES, values, strict=True)}


def render(report: PoolReport) -> RenderableType:
    """Return the report as tables for a terminal."""
    found = Table(title=f"Pool: {escape(report.source)}", show_header=False)
    found.add_column()
    found.add_column(justify="right")
    found.add_row("rows read", f"{report.rows:,}")
    for reason, count in report.skipped.items():
        found.add_row(f"skipped: {REASONS.get(reason, reason)}", f"{count:,}")
    found.add_row("duplicates", f"{report.duplicates:,}")
    found.add_row("texts in the pool", f"{report.taken:,}", style="bold")
    found.add_row("of them labelled", f"{report.labelled:,}")
    for reason, count in report.ignored_labels.items():
        found.add_row(f"labels ignored: {REASONS.get(reason, reason)}", f"{count:,}")
    if report.conflicts:
        found.add_row("texts with conflicting labels", f"{report.conflicts:,}")
    if report.mended:
        found.add_row("texts with broken characters replaced", f"{report.mended:,}")
    found.add_row("seconds", f"{report.seconds:.2f}")

    tables = [found]
    if report.labels:
        balance = Table("label", title="Labels")
        balance.add_column("texts", justify="right")
        balance.add_column("share", justify="right")
        for label, count in sorted(report.labels.items(), key=lambda item: -item[1]):
            balance.add_row(escape(label), f"{count:,}", f"{count / report.labelled:.1%}")
        tables.append(balance)
    if report.lengths:
        lengths = Table(title="Text length in characters")
        for percentile in report.lengths:
            lengths.add_column(
                {0: "shortest", 50: "median", 100: "longest"}.get(percentile, f"{percentile} %"),
                justify="right",
            )
        lengths.add_row(*(f"{length:,}" for length in report.lengths.values()))
        tables.append(lengths)
    return Group(*tables)
