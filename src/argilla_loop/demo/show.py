"""The demo's table: live on a terminal, elsewhere a line a loop as it is finished."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from argilla_loop.demo.rows import COLUMNS, LEGEND, Row, Summary, header, line

ROOM_FOR_REST = 10  # lines of the terminal that are not rows: titles, borders, what is said below


class Display:
    """Shows rows as they come; to be used as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[Row] = []
        self._live: Live | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """Print a line as it is, above the table where there is one."""
        self._console.print(Text(text), soft_wrap=True)

    def finished(self, row: Row) -> None:
        """Show a batch that is done."""
        self._rows.append(row)
        if not self._console.is_terminal:
            if len(self._rows) == 1:
                self.say(LEGEND)
                self.say(header())
            self.say(line(row))
            return
        if self._live is None and row.accuracy is None:
            self.say(f"batch {row.batch} is done: {row.asked} texts chosen to be diverse, no model yet")
            return
        if self._live is None:  # only now: until here the encoder may show a progress bar of its own
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        shown = max(self._console.height - ROOM_FOR_REST, 3)
        self._live.update(_table(self._rows[-shown:]), refresh=True)

    def close(self) -> None:
        """End the live table, leaving the whole of it on the terminal."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        self._console.print(Group(_table(self._rows), Text(LEGEND, style="dim")))


def summary_table(summary: Summary) -> RenderableType:
    """The summary, to be printed."""
    table = Table(title="argilla-loop demo", show_header=False, title_justify="left")
    for name, value in summary.rows():
        table.add_row(name, value)
    return table


def _table(rows: Sequence[Row]) -> Table:
    table = Table(title="Loops", title_justify="left")
    for column in COLUMNS:
        table.add_column(column.title, justify="right")
    for row in rows:
        table.add_row(*(column.cell(row) for column in COLUMNS))
    return table
