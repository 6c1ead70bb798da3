"""``argilla-loop status``: show what the service has done and what it will do next."""

from __future__ import annotations

from argilla_loop.cli.common import Config, out, read_settings


def status(config: Config = None) -> None:
    """Show the batch, the examples by label and origin, the agreement with annotators, and the rest of the pool."""
    from argilla_loop.cli.status_tables import status as tables  # noqa: PLC0415  slow to import

    out.print(tables(read_settings(config, quiet=True)))
