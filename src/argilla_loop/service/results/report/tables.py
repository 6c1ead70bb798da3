"""The rows of a report's tables, from its figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from argilla_loop.policy.progress import BatchProgress
from argilla_loop.policy.report.figures import LabelFigures, Report
from argilla_loop.service.results.report.plots import Kind, cell_bar

PEOPLE, SERVICE = Kind("people", "c-people"), Kind("service", "c-service")
POOL, HELD_BACK = Kind("came with the pool", "c-pool"), Kind("held back", "c-held")
AUDITED, ASKED = Kind("audited", "c-audit"), Kind("asked", "c-people")
DISCARDED, UNDECIDED = Kind("discarded", "c-other"), Kind("undecided", "c-audit")
WAITING, LEFT = Kind("waiting for people", "c-held"), Kind("not asked yet", "c-left")

# A matrix of more labels is not readable. The others keep a page of many labels or batches short. Chosen, not measured.
MOST_IN_MATRIX, MOST_PAIRS, MOST_BATCHES, MOST_PEOPLE = 10, 20, 500, 30
NO_LABEL = "discarded or undecided"


@dataclass(frozen=True, slots=True)
class Confusion:
    """Blind answers as a matrix; columns are numbered, as names would not fit.

    Attributes:
        columns: number and name of each column.
        rows: name of the row, and for each column the count in words and whether it means that both agree.
    """

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[str, Sequence[tuple[str, bool]]]]


def count(value: int) -> str:
    """Write a count."""
    return f"{value:,}"


def share(part: int, whole: int) -> str:
    """Write a share in percent, as ``status`` does."""
    return f"{part / whole:.1%}" if whole else "-"


def share_rows(report: Report) -> list[tuple[Kind, int]]:
    """Return where the texts are; the first and the last two always, what else there is between them."""
    found = report.shares
    between = [
        (POOL, found.pool), (DISCARDED, found.discarded), (UNDECIDED, found.undecided),
    ]  # fmt: skip
    return [
        (PEOPLE, found.people),
        (SERVICE, found.service),
        *((kind, number) for kind, number in between if number),
        (WAITING, found.waiting),
        (LEFT, found.left),
    ]


def label_table(report: Report) -> dict[str, Any]:
    """Return kinds, rows and totals of the table of labels; kinds that no label has are left out."""

    def counts(one: LabelFigures) -> dict[Kind, int]:
        found = {PEOPLE: one.human, HELD_BACK: one.held_back, POOL: one.pool, SERVICE: one.service}
        return {kind: found[kind] for kind in found if kind in kinds}

    kinds = {PEOPLE, SERVICE}
    kinds |= {HELD_BACK} if any(one.held_back for one in report.labels) else set()
    kinds |= {POOL} if any(one.pool for one in report.labels) else set()
    most = max((one.total for one in report.labels), default=0)
    by_label = [(one.label, counts(one), one.total) for one in report.labels]
    shown = [kind for kind in (PEOPLE, HELD_BACK, POOL, SERVICE) if kind in kinds]
    totals = [sum(found[kind] for _, found, _ in by_label) for kind in shown]
    return {
        "label_kinds": shown,
        "label_rows": [
            (
                name,
                [count(number) for number in found.values()],
                count(total),
                cell_bar(list(found.items()), most),
            )
            for name, found, total in by_label
        ],
        "label_totals": [count(number) for number in [*totals, sum(totals)]],
        "held_back": HELD_BACK in kinds,
    }


def confusion(report: Report) -> Confusion | None:
    """Return the blind answers as a matrix; ``None`` without any, or with too many labels for one."""
    names = {name for pair in report.pairs for name in pair if name is not None}
    labels = [one.label for one in report.labels if one.label in names]
    labels += sorted(names - set(labels))
    if not labels or len(labels) > MOST_IN_MATRIX:
        return None
    columns: list[tuple[str, str, str | None]] = [
        (str(place), label, label) for place, label in enumerate(labels, start=1)
    ]
    columns.append(("-", NO_LABEL, None))
    rows = []
    for place, said in enumerate(labels, start=1):
        counts = [(report.pairs[said, meant], said == meant) for *_, meant in columns]
        rows.append(
            (f"{place}. {said}", [(count(number) if number else "", right) for number, right in counts])
        )
    return Confusion([(number, name) for number, name, _ in columns], rows)


def wrong_pairs(report: Report) -> tuple[list[tuple[str, str, int]], int]:
    """Return the most frequent differences between model and people, and how many others there are."""
    task = report.plan.seen.task
    wrong = [
        (said, meant if meant is not None else NO_LABEL, number)
        for (said, meant), number in report.pairs.items()
        if not task.agree(meant, said)
    ]
    wrong.sort(key=lambda one: (-one[2], one[0], one[1]))
    return wrong[:MOST_PAIRS], max(len(wrong) - MOST_PAIRS, 0)


def batch_rows(batches: Sequence[BatchProgress]) -> list[tuple[str, list[str], str]]:
    """Return number, counts and model of the latest batches, the latest first."""
    return [
        (
            str(batch.number),
            [
                f"{batch.done:,}/{batch.size:,}", count(batch.asked), count(batch.held_back), count(batch.accepted),
                count(batch.audited),
                f"{batch.agreed:,}/{batch.answered:,}" if batch.answered else "-",
                f"{batch.right:,}/{batch.checked:,}" if batch.checked else "-",
            ],
            ", ".join(batch.models) or "-",
        )
        for batch in reversed(batches[-MOST_BATCHES:])
    ]  # fmt: skip
