"""``argilla-loop start``: its options."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from argilla_loop.cli.common import embedded_server_errors, out
from argilla_loop.cli.start.options import File, LabelColumn, Labels, Name, TextColumn

EXAMPLE = "argilla-loop start texts.csv --labels positive,negative,neutral"


def start(
    texts: File,
    labels: Labels = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    name: Name = None,
    api_url: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(
            help="Address of your Argilla server, whose key is in ARGILLA_LOOP_API_KEY; default: an embedded server."
        ),
    ] = None,
    workspace: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(help="Workspace of the dataset on your Argilla server; default: `argilla`."),
    ] = None,
    port: Annotated[
        Optional[int],  # noqa: UP045  see common.Config
        typer.Option(min=0, max=65535, help="Port of the embedded server; default: 6900, or a free one."),
    ] = None,
    model: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(
            help="Sentence-embedding model; default: all-MiniLM-L6-v2, from its package if that is installed."
        ),
    ] = None,
    annotators: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(
            help="Users to create on the embedded server, separated by commas, such as `anna,ben`; default: one user."
        ),
    ] = None,
    browser: Annotated[  # noqa: FBT002  a flag
        bool, typer.Option("--browser/--no-browser", help="Open the dataset in your browser.")
    ] = True,
) -> None:
    """Start labelling a file of texts: Argilla, the service, and your browser, with one command.

    Everything is kept in a folder. Ctrl-C stops all of it, and the same command goes on.
    """
    out.print(
        f"reading {texts} ...", markup=False, highlight=False, soft_wrap=True
    )  # before the slow imports
    from argilla_loop.cli.start.annotators import usernames_of  # noqa: PLC0415  slow to import
    from argilla_loop.cli.start.preparation import labels_of  # noqa: PLC0415  slow to import
    from argilla_loop.cli.start.run import Request, run_start  # noqa: PLC0415  slow to import

    request = Request(
        texts=texts,
        labels=labels_of(labels),
        text_column=text_column,
        label_column=label_column,
        name=name,
        api_url=api_url,
        workspace=workspace,
        port=port,
        model=model,
        browser=browser,
        annotators=usernames_of(annotators),
    )
    with embedded_server_errors():
        run_start(request, out)
