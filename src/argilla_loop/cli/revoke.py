"""``argilla-loop revoke``: revoke labels that the service has given."""

from __future__ import annotations

from typing import Annotated, List, Optional  # noqa: UP035  see common.Config

import typer

from argilla_loop.cli.common import Config, confirmed, out, read_settings, terminal_log
from argilla_loop.errors import SettingsError

EXAMPLE = (
    "**Example:** `argilla-loop revoke -c news.toml --label Sports --below 0.93 --dry-run` counts the records that "
    "the service labelled Sports with a certainty below 0.93. Without `--dry-run`, annotators are asked about them "
    "instead. You can stop with Ctrl-C and continue later with the same command."
)


def revoke(
    config: Config = None,
    model_version: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(help="Records that this model version labelled. You can repeat the option."),
    ] = None,
    below: Annotated[
        Optional[float],  # noqa: UP045  see common.Config
        typer.Option(min=0.0, max=1.0, help="Records labelled with a certainty below this value."),
    ] = None,
    label: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(help="Records that were given this label. You can repeat the option."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All records that the service labelled.")] = False,  # noqa: FBT002  a flag
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the records and change nothing.")] = False,  # noqa: FBT002  a flag
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Revoke labels that the service has given: delete its answers and ask annotators instead.

    A record is revoked if it matches all given options. Answers of annotators are never changed.
    """
    from argilla_loop.cli.revocation_dialog import revoke as revoke_records  # noqa: PLC0415  slow to import
    from argilla_loop.policy.validation.revocation import RevocationFilter  # noqa: PLC0415  slow to import

    which = RevocationFilter(frozenset(model_version or ()), frozenset(label or ()), below)
    if everything == (which != RevocationFilter()):
        raise SettingsError("choose what to revoke: --model-version, --below, --label, or --all alone")

    settings = read_settings(config, quiet=terminal_log())
    revoke_records(settings, which, out, dry_run=dry_run, confirm=confirmed(yes=yes))
