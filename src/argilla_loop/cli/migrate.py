"""``argilla-loop migrate``: go on with other labels, in a new dataset."""

from __future__ import annotations

from typing import Annotated, List, Optional  # noqa: UP035  see common.Config

import typer

from argilla_loop.cli.common import Config, confirmed, out, read_settings, sigterm_as_ctrl_c, terminal_log

EXAMPLE = (
    "**Example:** `argilla-loop migrate -c news.toml --add-label Science --to news-2 --dry-run` says what would be "
    "copied. `--merge Business,Markets=Economy` makes one label of two, and `--rename Sports=Sport` renames one. Stop "
    "a running service first. You can stop with Ctrl-C and continue later with the same command."
)


def migrate(
    to: Annotated[str, typer.Option("--to", metavar="NAME", help="Name of the new dataset.")],
    config: Config = None,
    add_label: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(metavar="X", help="Add a label. You can repeat the option."),
    ] = None,
    merge: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(metavar="A,B=C", help="Make one label of several. You can repeat the option."),
    ] = None,
    rename: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(metavar="A=B", help="Rename a label. You can repeat the option."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would do, change nothing.")] = False,  # noqa: FBT002  a flag
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Change the labels: copy the dataset with all answers into a new one, because Argilla cannot change labels.

    The command says what it would do, asks, copies, and changes the settings file. The old dataset stays as it is.
    """
    settings = read_settings(config, quiet=terminal_log())
    out.print("[dim]reading Argilla …[/]")

    from argilla_loop.cli.migrate_dialog import Wanted  # noqa: PLC0415  slow to import
    from argilla_loop.cli.migrate_dialog import migrate as migrate_dataset  # noqa: PLC0415  as above

    wanted = Wanted(to, tuple(add_label or ()), tuple(merge or ()), tuple(rename or ()))
    with sigterm_as_ctrl_c():
        migrate_dataset(settings, config, wanted, out, dry_run=dry_run, confirm=confirmed(yes=yes))
