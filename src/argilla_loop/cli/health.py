"""``argilla-loop health``: report whether the running service is healthy."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Optional

import typer
from rich.markup import escape

from argilla_loop.cli.common import Config, out
from argilla_loop.errors import OutputError
from argilla_loop.settings import load_settings


def health(
    config: Config = None,
    max_age: Annotated[
        Optional[float],  # noqa: UP045  see common.Config
        typer.Option(
            help="Seconds since the last heartbeat up to which the service is healthy; default: 120, or three poll "
            "intervals if that is longer."
        ),
    ] = None,
) -> None:
    """Report whether the running service is healthy; exit with code 1 if it is not.

    The command asks the service's port (`http.port`), and never Argilla.
    """
    from argilla_loop.cli.health_probe import health as probe  # noqa: PLC0415  httpx is slow to import

    healthy, reason = probe(load_settings(config), max_age)
    with suppress(OutputError):  # a container runtime reads the exit code only
        out.print(f"{'healthy' if healthy else 'unhealthy'}: {escape(reason)}", soft_wrap=True)
    raise typer.Exit(int(not healthy))
