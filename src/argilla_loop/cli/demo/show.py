"""The demo's table: live on a terminal, and one line for each finished batch elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typing_extensions import Self

from argilla_loop.cli.demo.rows import COLUMNS, LEGEND, NARROW, Row, Summary, header, line

WIDE = len(header()) + 1
ROOM_FOR_REST = 8  # lines of the terminal for titles, borders and messages


class Display:
    """Shows rows as they arrive. Use it as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._rows: list[Row] = []
        self._live: Live | None = None
        self._waiting = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def say(self, text: str) -> None:
        """Print a line, above the table if there is one."""
        self._console.print(Text(text), soft_wrap=True)

    def opened(self, row: Row) -> None:
        """Show a batch that waits for answers, on a terminal only."""
        accepted = f", {row.accepted} accepted" if row.accepted else ""
        self._waiting = f"batch {row.batch}: {row.asked} texts wait for answers{accepted}"
        if self._live is not None:
            self._refresh(self._live)
        elif self._console.is_terminal:
            self.say(self._waiting)

    def finished(self, row: Row) -> None:
        """Show a batch that is done."""
        self._rows.append(row)
        if not self._console.is_terminal:
            if len(self._rows) == 1:
                self.say(LEGEND)
                self.say(header())
            self.say(line(row))
            return
        # The encoder may show its own progress bar until the first model exists.
        if self._live is None and row.accuracy is not None:
            self._live = Live(console=self._console, auto_refresh=False, transient=True)
            self._live.start()
        if self._live is not None:
            self._refresh(self._live)

    def close(self) -> None:
        """Stop the live table and print the complete table."""
        if self._live is None:
            return
        self._live.stop()
        self._live = None
        self._console.print(Group(self._table(self._rows), Text(LEGEND, style="dim")))

    def _refresh(self, live: Live) -> None:
        shown = self._rows[-max(self._console.height - ROOM_FOR_REST, 3) :]
        live.update(Group(self._table(shown), Text(self._waiting, style="dim")), refresh=True)

    def _table(self, rows: Sequence[Row]) -> Table:
        wide = self._console.width >= WIDE
        columns = COLUMNS if wide else NARROW
        table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0) if wide else 0, pad_edge=False)
        for column in columns:
            table.add_column(column.title, justify="right", no_wrap=True)
        for row in rows:
            table.add_row(*(column.cell(row) for column in columns))
        return table


def summary_table(summary: Summary) -> RenderableType:
    """Return the summary as a table to print."""
    table = Table(title="argilla-loop demo", show_header=False, title_justify="left")
    for name, value in summary.rows():
        table.add_row(name, value)
    return table
