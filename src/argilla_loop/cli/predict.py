"""``argilla-loop predict``: label a file with a saved model."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from argilla_loop.cli.common import out as console
from argilla_loop.errors import PoolError
from argilla_loop.observability.logs import configure_logs

EXAMPLE = (
    "**Example:** `argilla-loop predict --model news-model more.csv labelled.parquet` writes the rows of `more.csv` "
    "with two more columns, label and certainty. You can stop with Ctrl-C and continue later with the same command."
)


def predict(
    file: Annotated[
        Path,
        typer.Argument(
            help="Parquet, CSV, TSV, JSON, JSON lines or text (.gz may follow), or a folder saved by `datasets`."
        ),
    ],
    out: Annotated[Path, typer.Argument(help="File to write: parquet, CSV, TSV or JSON lines, by its name.")],
    model: Annotated[Path, typer.Option(metavar="DIR", help="Folder that `save-model` wrote.")],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    split: Annotated[str, typer.Option(help="Split of a folder saved by `datasets`.")] = "train",
    everything: Annotated[  # noqa: FBT002  a flag
        bool, typer.Option("--all", help="Give every text a label, also below the granted threshold.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Add label and certainty to the rows of FILE with a saved model. It needs no Argilla and no settings.

    The label stays empty where the certainty is not above the threshold that was granted for it when the model was
    saved.
    """
    configure_logs(level="warning" if sys.stderr.isatty() else "info")
    with console.status("reading the model and counting the rows …") as spinner:
        from argilla_loop.learning.saved.load import load_model  # noqa: PLC0415  slow to import
        from argilla_loop.service.prediction.run import predict_file, refuse_output  # noqa: PLC0415  slow to import
        from argilla_loop.settings import PoolSettings  # noqa: PLC0415  slow to import

        refuse_output(out, force=force)
        source = PoolSettings(source="files", path=[file], text_column=text_column, split=split)  # type: ignore[call-arg]  # see settings.model
        loaded = load_model(model)
        rows = 0

        def on_rows(count: int) -> None:
            nonlocal rows
            if not rows:
                spinner.stop()  # the progress bar follows
            rows = count

        try:
            done = predict_file(loaded, source, out, everything=everything, on_rows=on_rows)
        except KeyboardInterrupt:
            console.print(f"interrupted, {rows:,} rows predicted: the same command goes on")
            raise
        except PoolError as error:
            raise PoolError(
                str(error).replace("pool.text_column", "--text-column").replace("pool.path ", "")
            ) from error
    labelled = done.rows - done.without_text - (0 if everything else done.abstained)
    console.print(f"{escape(str(out))}: {done.rows:,} rows, {labelled:,} with a label, by {loaded.version}")
    if done.without_text:
        console.print(f"{done.without_text:,} rows have no text")
    if done.abstained:
        what = (
            "are labelled below the granted threshold"
            if everything
            else "are left without a label: the certainty is not above the granted threshold (--all labels them too)"
        )
        console.print(f"{done.abstained:,} rows {what}")
    if done.columns != ("label", "certainty"):
        console.print(f"the file has such columns, so the new ones are {escape(' and '.join(done.columns))}")
    if done.resumed:
        console.print(f"{done.resumed:,} rows were predicted before")
    fresh = done.rows - done.resumed
    console.print(
        f"{done.seconds:,.1f} s, {fresh / max(done.seconds, 1e-9):,.0f} rows a second, "
        f"{done.model_seconds / max(done.seconds, 1e-9):.0%} of the time in the model"
    )
