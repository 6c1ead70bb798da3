"""``argilla-loop suspects``: annotators' answers that look wrong."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from argilla_loop.cli.common import Config, out, read_settings

EXAMPLE = (
    "**Example:** `argilla-loop suspects -c news.toml --top 20` prints the 20 most doubtful answers with links; "
    "`--format csv` prints them for a spreadsheet."
)


class Format(str, Enum):
    """How the list is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def suspects(
    config: Config = None,
    top: Annotated[int, typer.Option(min=1, help="The most answers to print.")] = 50,
    form: Annotated[Format, typer.Option("--format", help="`table`, `csv`, or `json` lines.")] = Format.TABLE,
) -> None:
    """List annotators' answers that a model contradicts which has not seen them, the most doubtful first.

    Nothing is changed: open a link, look, and correct the answer in Argilla if it is wrong.
    """
    settings = read_settings(config, quiet=True)
    typer.echo("reading Argilla and cross-validating the answers …", err=True)

    from argilla_loop.cli.suspects_list import write  # noqa: PLC0415  slow to import

    write(settings, out, top=top, form=form.value)
