"""``argilla-loop report``: write all figures of a dataset to one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argilla_loop.cli.common import Config, out, read_settings

EXAMPLE = (
    "**Example:** `argilla-loop report -c news.toml news.html` writes the report; open the file in a browser."
)


def report(
    target: Annotated[Path, typer.Argument(metavar="OUT.html", help="File to write.")],
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Write a report: how right the labels are, who gave them, and what it took. One HTML file for people to read.

    The file has no text of the dataset and no person's name in it, and it loads nothing from outside.
    """
    with out.status("starting …"):
        from argilla_loop.cli.report_file import refuse_existing, write_report  # noqa: PLC0415  slow to import

    refuse_existing(target, force=force)
    write_report(read_settings(config, quiet=True), target, out)
