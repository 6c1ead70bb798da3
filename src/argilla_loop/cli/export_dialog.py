"""``argilla-loop export``: checks the options, writes the data set, and says what was written."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from typing_extensions import Self

from argilla_loop.errors import SettingsError
from argilla_loop.policy.result import Source, Wanted
from argilla_loop.service.results.card import WORDS
from argilla_loop.service.results.export import Exported, refuse_existing
from argilla_loop.service.results.export import export as write
from argilla_loop.service.results.hub import push_to_hub
from argilla_loop.service.results.writers import format_of
from argilla_loop.service.snapshot import snapshot
from argilla_loop.settings import Settings

# as a user says them; "people" is the word of --help, "person" that of the column
SOURCES = {source.value: source for source in Source} | {
    "people": Source.PERSON,
    "predictions": Source.PREDICTION,
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for, checked as far as it can be without Argilla."""

    target: Path
    form: str
    wanted: Wanted
    predictions: bool
    for_spreadsheets: bool
    push_to_hub: str | None
    public: bool

    @classmethod
    def of(
        cls,
        target: Path,
        form: str | None,
        only: str | None,
        *,
        min_certainty: float,
        predictions: bool,
        for_spreadsheets: bool,
        force: bool,
        push_to_hub: str | None,
        public: bool,
    ) -> Self:
        """Check the options of the command line.

        Raises:
            SettingsError: they cannot be followed.
        """
        target = target.expanduser()
        found = format_of(target, form)
        if push_to_hub is not None and found != "datasets":
            raise SettingsError("--push-to-hub pushes a folder: give OUT no ending, or --format datasets")
        if public and push_to_hub is None:
            raise SettingsError("--public goes with --push-to-hub")
        if for_spreadsheets and found != "csv":
            raise SettingsError("--for-spreadsheets is for CSV: end OUT with .csv")
        wanted = Wanted(None if only is None else _sources(only), min_certainty)
        refuse_existing(target, found, force=force)
        return cls(target, found, wanted, predictions, for_spreadsheets, push_to_hub, public)


def export(settings: Settings, options: Options, out: Console) -> None:
    """Write the data set.

    Raises:
        SchemaError: there is no working dataset, or the service cannot work on it.
        ModelError: the model cannot be used.
        RetryableError, FatalError: Argilla or the hub is away or refuses, or OUT cannot be written.
    """
    with ExitStack() as open_:
        with out.status("reading Argilla and the pool …"):
            now = open_.enter_context(snapshot(settings))
            # read here, before a bar takes the terminal
            now.records, now.pool, now.plan  # noqa: B018  cached properties
        try:
            exported = write(
                now,
                options.target,
                options.form,
                options.wanted,
                predictions=options.predictions,
                for_spreadsheets=options.for_spreadsheets,
            )
        except KeyboardInterrupt:
            out.print(
                "interrupted, nothing was written: the same command goes on with the embeddings made so far"
            )
            raise
    _say(exported, options, out)
    if options.push_to_hub is not None:
        out.print(f"pushing to the hub as {escape(options.push_to_hub)} …")
        url = push_to_hub(options.target, options.push_to_hub, exported.card, public=options.public)
        out.print(f"pushed: {escape(url)}", soft_wrap=True)


def _say(exported: Exported, options: Options, out: Console) -> None:
    tally = exported.figures.tally
    counts = ", ".join(f"{tally.of(source):,} {words}" for source, words in WORDS.items())
    out.print(f"{tally.rows:,} texts: {counts}", soft_wrap=True)
    if exported.no_model is not None:
        out.print(
            f"[yellow]there is no model yet ({escape(exported.no_model)}), so there are no predictions[/]"
        )
    if options.form == "csv" and tally.formulas and not options.for_spreadsheets:
        out.print(
            f"[yellow]{tally.formulas:,} rows hold a cell that begins with = + - or @, which a spreadsheet would run "
            "as a formula: do not open the file in one, or export it with --for-spreadsheets[/]",
            soft_wrap=True,
        )
    out.print(f"data: {escape(str(exported.out))}", soft_wrap=True)
    out.print(f"card: {escape(str(exported.card))}", soft_wrap=True)


def _sources(only: str) -> frozenset[Source]:
    names = [name.strip() for name in only.split(",") if name.strip()]
    if unknown := [name for name in names if name not in SOURCES]:
        raise SettingsError(
            f"--only: there is no source {unknown[0]!r}; choose among people, service, prediction, none"
        )
    if not names:
        raise SettingsError("--only is empty: choose among people, service, prediction, none")
    return frozenset(SOURCES[name] for name in names)
