"""``argilla-loop pool``: read the pool and report on it."""

from __future__ import annotations

from argilla_loop.cli.common import Config, out, read_settings


def pool(config: Config = None) -> None:
    """Read the pool and report rows, skipped rows, duplicates, labels and text lengths."""
    from argilla_loop.pool import render  # noqa: PLC0415  slow to import
    from argilla_loop.service.wiring import connect_with, pool_source  # noqa: PLC0415  slow to import

    settings = read_settings(config)
    connection = connect_with(settings) if settings.pool.source == "argilla" else None
    source = pool_source(settings, tuple(settings.labels), connection)
    source.current()
    if source.report is not None:
        out.print(render(source.report))
