"""``argilla-loop version``: print the version."""

from __future__ import annotations

from argilla_loop import __version__
from argilla_loop.cli.common import out


def version() -> None:
    """Print the version."""
    out.print(f"argilla-loop {__version__}")
