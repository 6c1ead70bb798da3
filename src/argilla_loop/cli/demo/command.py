"""``argilla-loop demo``: its options."""

from __future__ import annotations

import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from argilla_loop.cli.common import embedded_server_errors, out


class Annotator(str, Enum):
    """Who labels in the demo."""

    SIMULATED = "simulated"
    ME = "me"


def demo(
    loops: Annotated[
        Optional[int],  # noqa: UP045  see common.Config
        typer.Option(
            min=1, help="Number of batches to label; default: 25, or no limit if you label yourself."
        ),
    ] = None,
    annotator: Annotated[
        Optional[Annotator],  # noqa: UP045  see common.Config
        typer.Option(
            help="Who labels; default: `me`, in the browser, or `simulated` if there is no terminal."
        ),
    ] = None,
    keep: Annotated[  # noqa: FBT002  a flag
        bool,
        typer.Option(
            "--keep/--no-keep", help="Keep the server and the service running at the end until Ctrl-C."
        ),
    ] = False,
    folder: Annotated[Path, typer.Option("--out", help="Folder for all files of the demo.")] = Path(
        "demo-out"
    ),
    port: Annotated[int, typer.Option(help="Port of the server; 0 picks a free one.")] = 0,
    texts: Annotated[
        Optional[int],  # noqa: UP045  see common.Config
        typer.Option(min=1, help="Number of news texts to label; default: all, about 1,700."),
    ] = None,
    held_back: Annotated[
        int, typer.Option(min=1, help="Number of news texts held back to measure the accuracy.")
    ] = 400,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same texts and models.")] = 42,
) -> None:
    """Show the service on real news texts, with an embedded Argilla server, an annotator and a learning curve."""
    from argilla_loop.cli.demo.run import SIMULATED_LOOPS, Options, run_demo  # noqa: PLC0415  slow to import

    attached = sys.stdin.isatty() and sys.stdout.isatty()
    who = annotator or (Annotator.ME if attached else Annotator.SIMULATED)
    if loops is None and who is Annotator.SIMULATED:
        loops = SIMULATED_LOOPS
    options = Options(
        annotator=who.value,
        loops=loops,
        keep=keep,
        out=folder,
        port=port,
        texts=texts,
        held_back=held_back,
        seed=seed,
    )
    with embedded_server_errors():
        run_demo(options, out)
