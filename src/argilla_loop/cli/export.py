"""``argilla-loop export``: write the labelled data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from argilla_loop.cli.common import Config, out, read_settings

EXAMPLE = (
    "**Example:** `argilla-loop export -c news.toml news.parquet` writes every text with its label. With "
    "`--only people,service --min-certainty 0.95` it writes the texts that people labelled, and those that the service "
    "labelled with a certainty of at least 0.95."
)


def export(
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT",
            help="File to write, by its ending .parquet, .csv or .jsonl; without an ending, a folder that "
            "`datasets.load_from_disk` reads.",
        ),
    ],
    config: Config = None,
    form: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option("--format", help="parquet, csv, jsonl or datasets, whatever the ending of OUT is."),
    ] = None,
    only: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(help="Only labels from these: people, service, prediction, none; separated by commas."),
    ] = None,
    min_certainty: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Leave out labels of the model with a lower certainty."),
    ] = 0.0,
    no_predictions: Annotated[  # noqa: FBT002  a flag
        bool,
        typer.Option("--no-predictions", help="Leave texts that nobody has labelled without a label."),
    ] = False,
    for_spreadsheets: Annotated[  # noqa: FBT002  a flag
        bool,
        typer.Option(
            "--for-spreadsheets",
            help="CSV only: put an apostrophe before cells that a spreadsheet would run as formulas.",
        ),
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")] = False,  # noqa: FBT002  a flag
    push_to_hub: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(metavar="NAME", help="Push the folder to the Hugging Face hub, as a private data set."),
    ] = None,
    public: Annotated[  # noqa: FBT002  a flag
        bool, typer.Option("--public", help="With --push-to-hub: make a new data set public.")
    ] = False,
) -> None:
    """Write the data set: one row for each text of the pool, with its label and where the label comes from.

    A card and a manifest are written beside it. Nothing in Argilla is changed.
    """
    with out.status("starting …"):
        from argilla_loop.cli import export_dialog  # noqa: PLC0415  slow to import

    options = export_dialog.Options.of(
        target,
        form,
        only,
        min_certainty=min_certainty,
        predictions=not no_predictions,
        for_spreadsheets=for_spreadsheets,
        force=force,
        push_to_hub=push_to_hub,
        public=public,
    )
    export_dialog.export(read_settings(config, quiet=sys.stderr.isatty()), options, out)
