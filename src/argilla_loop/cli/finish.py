"""``argilla-loop finish``: label what is left."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

from argilla_loop.cli.common import Config, confirmed, out, read_settings, terminal_log
from argilla_loop.errors import SettingsError

EXAMPLE = (
    "**Example:** `argilla-loop finish -c news.toml --dry-run` says what would be accepted, and `argilla-loop finish "
    "-c news.toml --min-certainty 0.8` accepts everything above certainty 0.8. Stop a running service first. You can "
    "stop with Ctrl-C and continue later with the same command."
)


def finish(
    config: Config = None,
    min_certainty: Annotated[
        Optional[float],  # noqa: UP045  see common.Config
        typer.Option(
            min=0.0,
            max=1.0,
            help="Accept everything above this certainty. Default: what the service may accept.",
        ),
    ] = None,
    promise: Annotated[  # noqa: FBT002  a flag
        bool, typer.Option("--promise", help="Accept only what a required precision was granted for.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, change nothing.")] = False,  # noqa: FBT002  a flag
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Accept the rest of the pool at once, as far as the model is certain enough, with a last round of audits.

    The command says what it would accept and at which precision, asks, and then does it. Answers of annotators are
    never changed.
    """
    if promise and min_certainty is not None:
        raise SettingsError("--promise and --min-certainty are both given: keep one")
    settings = read_settings(config, quiet=terminal_log())
    out.print("[dim]reading Argilla and the pool, and training the model …[/]")

    from argilla_loop.cli.finish_dialog import finish as finish_pool  # noqa: PLC0415  slow to import
    from argilla_loop.policy.validation.finish import Wish  # noqa: PLC0415  slow to import

    finish_pool(settings, Wish(min_certainty, promise), out, dry_run=dry_run, confirm=confirmed(yes=yes))
