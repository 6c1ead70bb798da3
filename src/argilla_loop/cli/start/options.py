"""Options that ``start`` and ``init`` share: what is said of a file of texts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

FILE_HELP = "File with the texts: parquet, CSV, TSV, JSON, JSON lines or plain text."

File = Annotated[Path, typer.Argument(help=FILE_HELP)]
MaybeFile = Annotated[Optional[Path], typer.Argument(help=FILE_HELP)]  # noqa: UP045  see common.Config
Labels = Annotated[
    Optional[str],  # noqa: UP045  see common.Config
    typer.Option(help="Labels to choose from, separated by commas; default: those of --label-column."),
]
TextColumn = Annotated[
    Optional[str],  # noqa: UP045  see common.Config
    typer.Option(help="Column with the texts; default: `text`, else the column with the longest texts."),
]
LabelColumn = Annotated[
    Optional[str],  # noqa: UP045  see common.Config
    typer.Option(help="Column with labels that people gave before; its rows are the first examples."),
]
Name = Annotated[
    Optional[str],  # noqa: UP045  see common.Config
    typer.Option(
        help="Name of the dataset, and of the folder that keeps its files; default: the file's name."
    ),
]
