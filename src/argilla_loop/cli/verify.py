"""``argilla-loop verify``: derive again from Argilla what must hold of the dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape

from argilla_loop.cli.common import Config, out, read_settings


def verify(
    config: Config = None,
    against: Annotated[
        Optional[Path],  # noqa: UP045  see common.Config
        typer.Option(
            metavar="OUT",
            help="An earlier export: also find records that are gone and answers that were changed since.",
        ),
    ] = None,
) -> None:
    """Check what must hold of the dataset, and print one line for each thing that does not.

    No text may be there twice, no batch be missing, every accepted record must be explained by its model, threshold and
    promise, audits must be blind. Nothing is changed. The exit code is 1 if something does not hold.
    """
    settings = read_settings(config, quiet=True)
    with out.status("reading Argilla …"):
        from argilla_loop.service.results.verify import verify as findings  # noqa: PLC0415  slow to import

        found = findings(settings, against.expanduser() if against is not None else None)
    for line in found.lines:
        out.print(f"[red]does not hold:[/] {escape(line)}", soft_wrap=True, highlight=False)
    if found.lines:
        raise typer.Exit(1)
    out.print(found.summary, soft_wrap=True, highlight=False)
