"""``argilla-loop server``: run an embedded Argilla server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from argilla_loop.cli.common import embedded_server_errors
from argilla_loop.observability.logs import configure_logs


def server(
    home: Annotated[
        Path, typer.Option(help="Folder for the database and the secrets; created if missing.")
    ] = Path("argilla-home"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")] = 6900,
) -> None:
    """Run an embedded Argilla server with its web UI.

    Use it to try things out, for tests, or for one annotator. A team should run a full Argilla deployment.
    """
    from argilla_embedded.server import serve  # noqa: PLC0415  only this command serves

    configure_logs()
    with embedded_server_errors():
        serve(home, host, port)
