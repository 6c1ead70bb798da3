"""``argilla-loop save-model``: take the model home."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer
from rich.markup import escape

from argilla_loop.cli.common import Config, out, read_settings

EXAMPLE = (
    "**Example:** `argilla-loop save-model -c news.toml news-model` writes the folder `news-model`. "
    "`argilla-loop predict --model news-model more.csv labelled.csv` uses it, and so does the Python in "
    "`news-model/README.md`, without argilla-loop."
)


def save_model(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write; it is made.")],
    config: Config = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a saved model in DIR.")] = False,  # noqa: FBT002  a flag
    push_to_hub: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(metavar="NAME", help="Also upload it to the Hugging Face hub, as a private model."),
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="With --push-to-hub: make a public one.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Write the current model into a folder: one ONNX graph from tokens to probabilities, tokenizer, and a card.

    The model is the one that the service would train now. Nothing in Argilla is changed.
    """
    settings = read_settings(config, quiet=sys.stderr.isatty())
    with out.status("reading the dataset …") as spinner:
        from argilla_loop.learning.saved.publish import push  # noqa: PLC0415  slow to import
        from argilla_loop.learning.saved.write import refuse_folder  # noqa: PLC0415  slow to import
        from argilla_loop.service.save_model import check_target  # noqa: PLC0415  slow to import
        from argilla_loop.service.save_model import save_model as save  # noqa: PLC0415  slow to import
        from argilla_loop.service.snapshot import snapshot  # noqa: PLC0415  slow to import

        check_target(push_to_hub)
        refuse_folder(folder, force=force)
        with snapshot(settings) as now:
            examples = len(now.plan.seen.examples)
            spinner.update(f"training on {examples:,} examples …")
            saved = save(now, folder, force=force)
    out.print(f"saved: {escape(str(folder))}, model {escape(saved.model_version)}, {examples:,} examples")
    silent = [label for label, one in saved.thresholds.items() if one is None]
    if silent:
        out.print(
            f"`argilla-loop predict` abstains from {len(silent)} of {len(saved.labels)} labels, which the service "
            f"would not accept now: {escape(', '.join(silent))}; with --all it does not"
        )
    if push_to_hub is not None:
        with out.status("uploading …"):
            address = push(folder, push_to_hub, private=not public)
        out.print(f"uploaded: {escape(address)}")
