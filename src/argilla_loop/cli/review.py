"""``argilla-loop review``: let annotators look at labels that the service has given."""

from __future__ import annotations

from typing import Annotated, List, Optional  # noqa: UP035  see common.Config

import typer

from argilla_loop.cli.common import Config, confirmed, out, read_settings, terminal_log

EXAMPLE = (
    "**Example:** `argilla-loop review -c news.toml --sample 50 --blind` asks annotators about 50 random records that "
    "the service accepted, without showing its labels. Their answers count as checks. `--label Sports` and "
    "`--below 0.93` choose records to look at; answers to these are no checks."
)


def review(
    config: Config = None,
    sample: Annotated[int, typer.Option(min=1, help="Number of records, drawn at random.")] = 50,
    label: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see common.Config
        typer.Option(help="Only records that were given this label. You can repeat the option."),
    ] = None,
    below: Annotated[
        Optional[float],  # noqa: UP045  see common.Config
        typer.Option(min=0.0, max=1.0, help="Only records labelled with a certainty below this value."),
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Do not show the service's label.")] = False,  # noqa: FBT002  a flag
    seed: Annotated[
        Optional[int],  # noqa: UP045  see common.Config
        typer.Option(min=0, help="Seed of the draw. Default: the setting seed."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count the records and change nothing.")] = False,  # noqa: FBT002  a flag
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Put records that the service has labelled back into the annotators' queue, so that they can check its labels.

    The service's answer is withdrawn, and its label stays in the record's metadata. Answers of annotators are never
    changed.
    """
    settings = read_settings(config, quiet=terminal_log())
    out.print("[dim]reading Argilla …[/]")

    from argilla_loop.cli.review_dialog import review as review_records  # noqa: PLC0415  slow to import
    from argilla_loop.policy.validation.revocation import RevocationFilter  # noqa: PLC0415  slow to import

    which = RevocationFilter(labels=frozenset(label or ()), below=below)
    review_records(
        settings,
        which,
        out,
        count=sample,
        blind=blind,
        seed=seed,
        dry_run=dry_run,
        confirm=confirmed(yes=yes),
    )
