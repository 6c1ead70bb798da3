"""What the commands share: the ``--config`` option, the console, reading the settings, and mapping errors."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Optional

import structlog
import typer
from rich.console import Console

from argilla_loop.errors import FatalError, SettingsError
from argilla_loop.observability.logs import configure_logs
from argilla_loop.settings import CONFIG_ENV, Settings, load_settings, unknown_variables

INTERRUPTED = 130  # exit code after Ctrl-C, as in a shell

out = Console()
log = structlog.get_logger(__name__)

# typer 0.9 reads annotations at run time and supports Optional, but not "| None", on Python 3.10
Config = Annotated[
    Optional[Path],  # noqa: UP045  see above
    typer.Option(
        "--config",
        "-c",
        envvar=CONFIG_ENV,
        help="TOML file with the settings of one dataset; see config/example.toml.",
    ),
]


def read_settings(config: Path | None, *, quiet: bool = False) -> Settings:
    """Load the settings, configure the log from them, and warn about unknown environment variables.

    Args:
        config: TOML file; ``None`` to use the environment only.
        quiet: whether to log warnings and errors only, unless the settings ask for debug output.

    Raises:
        SettingsError: a setting is missing or invalid.
    """
    settings = load_settings(config)
    secrets = [
        settings.api_key.get_secret_value(),
        *(v.get_secret_value() for v in settings.headers.values()),
    ]
    level = "warning" if quiet and settings.log_level == "info" else settings.log_level
    configure_logs(level=level, form=settings.log_format, secrets=secrets)
    if unknown := unknown_variables():
        meant = {name: close for name, close in unknown.items() if close is not None}
        log.warning(
            "environment_unknown", variables=sorted(unknown), did_you_mean=meant, then="going on without"
        )
    return settings


def terminal_log() -> bool:
    """Return whether standard error is a terminal: then a bar shows the progress, and the log only warnings."""
    return sys.stderr.isatty()


def confirmed(*, yes: bool) -> Callable[[str], bool]:
    """Return a function that asks a question and returns whether to go on.

    Args:
        yes: whether to go on without asking.

    The function raises ``SettingsError`` if it has to ask and there is no terminal.
    """

    def confirm(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise SettingsError("cannot ask for confirmation without a terminal: add --yes or --dry-run")
        return typer.confirm(question)

    return confirm


@contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM end the command as Ctrl-C does."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def embedded_server_errors() -> Iterator[None]:
    """Turn an error of the embedded server into one of this package.

    Raises:
        FatalError: the embedded server cannot start or cannot be used.
    """
    from argilla_embedded import EmbeddedServerError  # noqa: PLC0415  only two commands use the server

    try:
        yield
    except EmbeddedServerError as error:
        raise FatalError(str(error)) from error
