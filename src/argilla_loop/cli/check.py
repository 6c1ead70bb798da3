"""``argilla-loop check``: check what the service needs."""

from __future__ import annotations

import typer
from rich.markup import escape
from rich.table import Table

from argilla_loop.cli.common import Config, out, read_settings

RESULTS = {True: "[green]OK[/]", False: "[red]failed[/]", None: "[yellow]-[/]"}


def check(config: Config = None) -> None:
    """Check settings, connection, credentials, dataset, pool and model.

    Nothing is changed. The exit code is 1 if a check fails.
    """
    from argilla_loop.cli.findings import check as findings  # noqa: PLC0415  slow to import

    table = Table("check", "result", "details", title="argilla-loop check", title_justify="left")
    failed = False
    settings = read_settings(config, quiet=True)
    with out.status("checking …") as spinner:
        for finding in findings(settings):
            spinner.update(f"checked {finding.what} …")
            table.add_row(finding.what, RESULTS[finding.ok], escape(finding.said))
            failed = failed or not finding.ok
    out.print(table)
    raise typer.Exit(int(failed))
