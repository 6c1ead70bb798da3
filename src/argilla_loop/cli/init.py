"""``argilla-loop init``: write settings for a file of texts, and start nothing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from argilla_loop.cli.common import out
from argilla_loop.cli.start.options import LabelColumn, Labels, MaybeFile, Name, TextColumn
from argilla_loop.errors import SettingsError
from argilla_loop.observability.logs import configure_logs

EXAMPLE = (
    "argilla-loop init texts.csv --labels positive,negative,neutral --api-url https://argilla.example.org"
)
DEFAULT_URL = "http://127.0.0.1:6900"


def init(
    texts: MaybeFile = None,
    labels: Labels = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    name: Name = None,
    api_url: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(help=f"Address of your Argilla server; default: {DEFAULT_URL}."),
    ] = None,
    workspace: Annotated[str, typer.Option(help="Workspace of the dataset.")] = "argilla",
) -> None:
    """Write the settings for labelling a file of texts on your own Argilla. Asks for what you leave out."""
    file = texts or Path(_asked("File with the texts", None, "the file with the texts"))
    out.print(f"reading {file} ...", markup=False, highlight=False, soft_wrap=True)  # before the slow imports
    from argilla_loop.cli.ports import HTTP_PORT  # noqa: PLC0415  slow to import
    from argilla_loop.cli.start.preparation import (  # noqa: PLC0415  slow to import
        default_model,
        labels_of,
        name_of,
        prepare,
        write_settings,
    )

    configure_logs(level="warning")
    folder = Path(name or name_of(file))
    settings = folder / "settings.toml"
    if settings.exists():
        raise SettingsError(f"{settings} is there already: change it, or give another --name")
    if labels is None and label_column is None and sys.stdin.isatty():
        labels = typer.prompt("Labels, separated by commas")
    found = prepare(file, labels_of(labels), text_column, label_column, folder, out)
    address = api_url or (_asked("Address of your Argilla", DEFAULT_URL, "--api-url"))
    write_settings(
        settings, found, dataset=folder.name, workspace=workspace, api_url=address, api_key=None,
        model=default_model(), http_port=HTTP_PORT,
    )  # fmt: skip
    out.print(f"wrote {settings}. Next:", markup=False, highlight=False, soft_wrap=True)
    out.print(
        "  export ARGILLA_LOOP_API_KEY=...   # of an owner, or of an admin of the workspace\n"
        f"  argilla-loop check -c {settings}\n  argilla-loop run -c {settings}",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip


def _asked(what: str, default: str | None, option: str) -> str:
    """Ask at the terminal; without one return ``default``.

    Raises:
        SettingsError: there is neither.
    """
    if sys.stdin.isatty():
        return str(typer.prompt(what, default=default))
    if default is None:
        raise SettingsError(f"cannot ask without a terminal: give {option}")
    return default
