"""The command line: the application with all commands, and the exit codes of their errors."""

from __future__ import annotations

import sys
from typing import Annotated

import click
import structlog
import typer
from rich.console import Console
from rich.markup import escape

from argilla_loop.cli.check import check
from argilla_loop.cli.common import INTERRUPTED
from argilla_loop.cli.demo.command import demo
from argilla_loop.cli.export import EXAMPLE as EXPORT_EXAMPLE
from argilla_loop.cli.export import export
from argilla_loop.cli.finish import EXAMPLE as FINISH_EXAMPLE
from argilla_loop.cli.finish import finish
from argilla_loop.cli.health import health
from argilla_loop.cli.init import EXAMPLE as INIT_EXAMPLE
from argilla_loop.cli.init import init
from argilla_loop.cli.migrate import EXAMPLE as MIGRATE_EXAMPLE
from argilla_loop.cli.migrate import migrate
from argilla_loop.cli.pool import pool
from argilla_loop.cli.predict import EXAMPLE as PREDICT_EXAMPLE
from argilla_loop.cli.predict import predict
from argilla_loop.cli.report import EXAMPLE as REPORT_EXAMPLE
from argilla_loop.cli.report import report
from argilla_loop.cli.review import EXAMPLE as REVIEW_EXAMPLE
from argilla_loop.cli.review import review
from argilla_loop.cli.revoke import EXAMPLE as REVOKE_EXAMPLE
from argilla_loop.cli.revoke import revoke
from argilla_loop.cli.run import run
from argilla_loop.cli.save_model import EXAMPLE as SAVE_MODEL_EXAMPLE
from argilla_loop.cli.save_model import save_model
from argilla_loop.cli.server import server
from argilla_loop.cli.simulate import EXAMPLE as SIMULATE_EXAMPLE
from argilla_loop.cli.simulate import simulate
from argilla_loop.cli.start.command import EXAMPLE as START_EXAMPLE
from argilla_loop.cli.start.command import start
from argilla_loop.cli.status import status
from argilla_loop.cli.suspects import EXAMPLE as SUSPECTS_EXAMPLE
from argilla_loop.cli.suspects import suspects
from argilla_loop.cli.verify import verify
from argilla_loop.cli.version import version
from argilla_loop.cli.webhook import webhook
from argilla_loop.errors import ArgillaLoopError, OutputError, RetryableError
from argilla_loop.observability.logs import configure_logs, crashes_logged, redacted
from argilla_loop.observability.streams import discard_output, standard_streams
from argilla_loop.settings import secrets_of_environment

HUNG_UP = 141  # exit code if the reader of the output is gone, as in `| head`; a shell's code for SIGPIPE
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: something was not available and may be available later

app = typer.Typer(
    name="argilla-loop",
    help="An active-learning service for Argilla. It learns from your annotators' answers, labels the texts it is "
    "sure of, and queues the others for your annotators, with a suggestion.\n\nStart with "
    "`argilla-loop start FILE --labels A,B,C`; with settings of your own, with `argilla-loop check -c FILE`, then "
    "`argilla-loop run -c FILE`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
log = structlog.get_logger(__name__)

# in the order in which the help shows them
app.command(epilog=START_EXAMPLE)(start)
app.command(epilog=INIT_EXAMPLE)(init)
app.command()(run)
app.command()(check)
app.command()(status)
app.command(epilog=REVOKE_EXAMPLE)(revoke)
app.command(epilog=REVIEW_EXAMPLE)(review)
app.command(epilog=SUSPECTS_EXAMPLE)(suspects)
app.command(epilog=FINISH_EXAMPLE)(finish)
app.command(epilog=MIGRATE_EXAMPLE)(migrate)
app.command(epilog=EXPORT_EXAMPLE)(export)
app.command()(verify)
app.command("save-model", epilog=SAVE_MODEL_EXAMPLE)(save_model)
app.command(epilog=PREDICT_EXAMPLE)(predict)
app.command(epilog=REPORT_EXAMPLE)(report)
app.command()(webhook)
app.command()(pool)
app.command()(server)
app.command()(health)
app.command()(demo)
app.command(epilog=SIMULATE_EXAMPLE)(simulate)
app.command()(version)


def _print_version(wanted: bool) -> None:  # noqa: FBT001  typer calls it
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[  # noqa: FBT002  a flag
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Accept the options that precede every command."""


def main() -> int:
    """Run a command and return its exit code. An expected error is printed as one line, without a traceback."""
    with standard_streams(), crashes_logged():
        # before anything else is read, so that no later error shows a secret
        configure_logs(secrets=secrets_of_environment())
        try:
            code = _run_command()
            sys.stdout.flush()
        except OutputError as error:
            code = HUNG_UP if error.reader_is_gone else _print_error(error)
        except Exception:
            log.exception("unexpected_error", then="please report it: this should have been one clear line")
            code = 1
        discard_output()
    return code


def _run_command() -> int:
    try:
        code = app(standalone_mode=False)  # returns the code of a command's typer.Exit instead of raising it
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OutputError:
        raise
    except ArgillaLoopError as error:
        return _print_error(error)
    return code if isinstance(code, int) else 0


def _print_error(error: ArgillaLoopError) -> int:
    """Print the error as one line on standard error and return its exit code."""
    Console(stderr=True, soft_wrap=True).print(
        f"[red]error:[/] {escape(redacted(str(error)))}", highlight=False
    )
    return TRY_AGAIN if isinstance(error, RetryableError) else getattr(error, "exit_code", 1)
