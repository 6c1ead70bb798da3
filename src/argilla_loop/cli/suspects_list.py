"""``argilla-loop suspects``: the list as a table, CSV or JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Literal

from rich.console import Console
from rich.markup import escape

from argilla_loop.errors import collapse_whitespace, printable
from argilla_loop.policy.figures import is_formula
from argilla_loop.service.doubts import Doubt, doubts
from argilla_loop.service.snapshot import snapshot
from argilla_loop.settings import Settings

SHOWN = 160  # characters of a text in the table; chosen, not measured
COLUMNS = (
    "id",
    "label",
    "suggested",
    "probability_of_label",
    "probability_of_suggested",
    "people",
    "url",
    "text",
)


def write(settings: Settings, out: Console, *, top: int, form: Literal["table", "csv", "json"]) -> None:
    """Print the doubtful answers.

    Args:
        settings: of the dataset.
        out: where to print.
        top: the most answers to print.
        form: ``table``, ``csv``, or ``json`` for one object a line.

    Raises:
        FatalError: there are too few answers to judge any.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    with snapshot(settings) as now:
        found, compared = doubts(now)
    shown = found[:top]
    if form == "csv":
        out.file.write(as_csv(shown))
    elif form == "json":
        out.file.write("".join(json.dumps(_row(one)) + "\n" for one in shown))
    else:
        for number, one in enumerate(shown, start=1):
            out.print(in_words(number, one), soft_wrap=True, highlight=False)
        more = (
            f"; {len(found) - len(shown):,} more with --top {len(found)}" if len(found) > len(shown) else ""
        )
        out.print(f"{len(found):,} of {compared:,} answers are doubtful{more}. Nothing was changed.")
        if shown:
            out.print(
                "A link shows the record to the annotator who answered it. Correct the answer there if it is wrong."
            )


def in_words(number: int, one: Doubt) -> str:
    """Return the lines of one answer, as rich markup; nothing in the text reaches the terminal as a command."""
    return (
        f"[bold]{number}. {escape(printable(one.label))}[/] ({one.given:.0%}), rather "
        f"[bold]{escape(printable(one.suggested))}[/] ({one.other:.0%})\n"
        f"   {escape(shortened(one.one.record.text))}\n   {escape(one.url)}"
    )


def shortened(text: str, most: int = SHOWN) -> str:
    """Return ``text`` on one line, at most ``most`` characters long before what does not print is escaped."""
    start = collapse_whitespace(text[: 4 * most])
    return printable(start if len(start) <= most and len(text) <= 4 * most else start[: most - 1] + "…")


def as_csv(found: Sequence[Doubt]) -> str:
    """Return the answers as CSV, whole texts included; no cell is a formula to a spreadsheet."""
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in found:
        writer.writerow(
            [
                f"'{value}" if isinstance(value, str) and is_formula(value) else value
                for value in _row(one).values()
            ]
        )
    return lines.getvalue()


def _row(one: Doubt) -> dict[str, str | float | int]:
    record = one.one.record
    values = (
        record.id, one.label, one.suggested, round(one.given, 4), round(one.other, 4), len(one.one.answers), one.url,
        record.text,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))
