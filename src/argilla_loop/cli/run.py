"""``argilla-loop run``: run the service."""

from __future__ import annotations

from argilla_loop.cli.common import Config, read_settings


def run(config: Config = None) -> None:
    """Run the service until SIGTERM or Ctrl-C. You can stop or kill it at any time and start it again."""
    settings = read_settings(config)  # a wrong setting is reported before the slow imports
    from argilla_loop.service.service import Service  # noqa: PLC0415  slow to import
    from argilla_loop.service.signals import run_until_signalled  # noqa: PLC0415  slow to import

    run_until_signalled(Service(settings, reload=lambda: read_settings(config)))
