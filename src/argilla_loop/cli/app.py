"""The commands; no logic."""

from __future__ import annotations

import sys
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, List, Optional  # noqa: UP035  see Config

import click
import structlog
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from argilla_loop import __version__
from argilla_loop.errors import ArgillaLoopError, OutputError, RetryableError, SettingsError
from argilla_loop.observability.logs import configure_logs, crashes_logged, redacted
from argilla_loop.observability.streams import discard_output, standard_streams
from argilla_loop.settings import (
    CONFIG_ENV,
    Settings,
    load_settings,
    secrets_of_environment,
    unknown_variables,
)

INTERRUPTED = 130  # what a shell says of Ctrl-C
HUNG_UP = 141  # and of a command whose reader had enough, as in `| head`
TRY_AGAIN = 75  # sysexits' EX_TEMPFAIL: what was away may be back later


class Annotator(str, Enum):
    """Who labels in the demo."""

    SIMULATED = "simulated"
    ME = "me"


app = typer.Typer(
    name="argilla-loop",
    help="An active-learning service for Argilla: it learns from what people validate, validates by itself what it is "
    "certain of, and puts the next batch before them.\n\nStart with `argilla-loop check -c FILE`, then `run -c FILE`.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
out = Console()
log = structlog.get_logger(__name__)

# typer 0.9 reads annotations at run time and knows Optional, not "| None", on Python 3.10
Config = Annotated[
    Optional[Path],  # noqa: UP045  see above
    typer.Option(
        "--config", "-c", envvar=CONFIG_ENV, help="TOML file of this dataset; see config/example.toml."
    ),
]


def _settings(config: Path | None, *, quiet: bool = False) -> Settings:
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


@app.command()
def run(config: Config = None) -> None:
    """Run the service until SIGTERM or Ctrl-C; safe to kill and start again at any moment."""
    from argilla_loop.service.service import Service  # noqa: PLC0415  only this command pays for it
    from argilla_loop.service.signals import run_until_signalled  # noqa: PLC0415  as above

    run_until_signalled(Service(_settings(config), reload=lambda: _settings(config)))


@app.command()
def check(config: Config = None) -> None:
    """Try settings, connection, credentials, dataset, pool and model; change nothing; exit 1 if something is wrong."""
    from argilla_loop.cli.findings import check as findings  # noqa: PLC0415

    marks = {True: "[green]right[/]", False: "[red]wrong[/]", None: "[yellow]-[/]"}
    table = Table("what", "is", "which says", title="argilla-loop check", title_justify="left")
    wrong = False
    settings = _settings(config, quiet=True)
    with out.status("checking …") as spinner:
        for finding in findings(settings):
            spinner.update(f"checked {finding.what} …")
            table.add_row(finding.what, marks[finding.ok], escape(finding.said))
            wrong = wrong or not finding.ok
    out.print(table)
    raise typer.Exit(int(wrong))


@app.command()
def status(config: Config = None) -> None:
    """Show batch, examples by label and origin, agreement with people, and what is left of the pool."""
    from argilla_loop.cli.status_tables import status as look  # noqa: PLC0415

    out.print(look(_settings(config, quiet=True)))


@app.command(
    epilog="**Example:** `argilla-loop revoke -c news.toml --label Sports --below 0.93 --dry-run` counts what was "
    "validated as Sports with less certainty than 0.93; without `--dry-run` people are asked about it instead. "
    "Ctrl-C keeps what is done; the same command goes on."
)
def revoke(
    config: Config = None,
    model_version: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see Config
        typer.Option(help="What this model version has validated; may be given several times."),
    ] = None,
    below: Annotated[
        Optional[float],  # noqa: UP045  see Config
        typer.Option(min=0.0, max=1.0, help="What was validated with a lower certainty than this."),
    ] = None,
    label: Annotated[
        Optional[List[str]],  # noqa: UP006, UP045  see Config
        typer.Option(help="What was validated as this label; may be given several times."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was validated.")] = False,  # noqa: FBT002  a flag
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count, and change nothing.")] = False,  # noqa: FBT002  a flag
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,  # noqa: FBT002  a flag
) -> None:
    """Take back what the service has validated: its answers go, and people are asked in its place.

    What holds for all options given is taken back. People's answers stay, whatever they are.
    """
    from argilla_loop.cli.revocation_dialog import revoke as revoke_records  # noqa: PLC0415  as above
    from argilla_loop.policy.validation.revocation import RevocationFilter  # noqa: PLC0415  only this command pays for it

    which = RevocationFilter(frozenset(model_version or ()), frozenset(label or ()), below)
    if everything == (which != RevocationFilter()):
        raise SettingsError("say what to take back: --model-version, --below, --label, or --all by itself")

    def confirm(question: str) -> bool:
        if yes:
            return True
        if not sys.stdin.isatty():
            raise SettingsError("there is no terminal to confirm at: add --yes, or only look with --dry-run")
        return typer.confirm(question)

    settings = _settings(config, quiet=sys.stderr.isatty())  # without a terminal the log shows how far it is
    revoke_records(settings, which, out, dry_run=dry_run, confirm=confirm)


class WebhookAction(str, Enum):
    """What may be done to the webhook."""

    REMOVE = "remove"
    DISABLE = "disable"
    ENABLE = "enable"


@app.command()
def webhook(
    action: Annotated[
        WebhookAction, typer.Argument(help="A running service leaves a disabled one disabled.")
    ],
    config: Config = None,
) -> None:
    """Remove, disable or enable the webhook that the service has registered at Argilla; needs an owner's key."""
    from argilla_loop.cli.webhook_change import change_webhook  # noqa: PLC0415  only this command pays for it

    change_webhook(_settings(config, quiet=True), action.value, out)


@app.command()
def pool(config: Config = None) -> None:
    """Read the pool and show what was found: rows, skipped, duplicates, labels, lengths."""
    from argilla_loop.pool import render  # noqa: PLC0415
    from argilla_loop.service.wiring import connect_with, pool_source  # noqa: PLC0415

    settings = _settings(config)
    connection = connect_with(settings) if settings.pool.source == "argilla" else None
    source = pool_source(settings, tuple(settings.labels), connection)
    source.current()
    if source.report is not None:
        out.print(render(source.report))


@app.command()
def server(
    home: Annotated[Path, typer.Option(help="Folder of database and secrets; made if missing.")] = Path(
        "argilla-home"
    ),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 6900,
) -> None:
    """Run an embedded Argilla with its web UI: for trying out, tests and one person; a team runs Argilla proper."""
    from argilla_embedded.server import serve  # noqa: PLC0415

    configure_logs()
    serve(home, host, port)


@app.command()
def health(
    config: Config = None,
    max_age: Annotated[
        Optional[float],  # noqa: UP045  see above
        typer.Option(
            help="Seconds that the last look at Argilla, or step of long work, may lie back; default: 120, or three "
            "poll intervals where that is longer."
        ),
    ] = None,
) -> None:
    """Say whether the running service does its work; exit 1 if not. Asks its port (`http.port`), never Argilla."""
    from argilla_loop.cli.health_probe import health as ask  # noqa: PLC0415

    healthy, said = ask(load_settings(config), max_age)
    with suppress(OutputError):  # the exit code is what a container's runtime asks for
        out.print(f"{'healthy' if healthy else 'unhealthy'}: {escape(said)}", soft_wrap=True)
    raise typer.Exit(int(not healthy))


@app.command()
def demo(
    loops: Annotated[
        Optional[int],  # noqa: UP045  see Config
        typer.Option(min=1, help="Batches to label; default 25, or no end where you label yourself."),
    ] = None,
    annotator: Annotated[
        Optional[Annotator],  # noqa: UP045  see Config
        typer.Option(
            help="Who labels: default you, in the browser, or `simulated` where no terminal is attached."
        ),
    ] = None,
    keep: Annotated[  # noqa: FBT002  a flag, on the command line
        bool, typer.Option("--keep/--no-keep", help="Leave server and service up at the end, until Ctrl-C.")
    ] = False,
    folder: Annotated[Path, typer.Option("--out", help="Folder of all that the demo makes.")] = Path(
        "demo-out"
    ),
    port: Annotated[int, typer.Option(help="Port of the server; 0 takes a free one.")] = 0,
    texts: Annotated[
        Optional[int],  # noqa: UP045  see Config
        typer.Option(min=1, help="News texts to label; default: all, some 1,700."),
    ] = None,
    held_back: Annotated[int, typer.Option(min=1, help="News texts held back to measure accuracy.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same texts and same models.")] = 42,
) -> None:
    """Show the main job on real news: an embedded Argilla, the service, someone who labels, a learning curve."""
    from argilla_loop.cli.demo.run import SIMULATED_LOOPS, Options, run_demo  # noqa: PLC0415

    attached = sys.stdin.isatty() and sys.stdout.isatty()
    who = annotator or (Annotator.ME if attached else Annotator.SIMULATED)
    if loops is None and who is Annotator.SIMULATED:
        loops = SIMULATED_LOOPS
    run_demo(
        Options(
            annotator=who.value,
            loops=loops,
            keep=keep,
            out=folder,
            port=port,
            texts=texts,
            held_back=held_back,
            seed=seed,
        ),
        out,
    )


class Baseline(str, Enum):
    """What `simulate` compares with."""

    TUTORIAL = "tutorial"
    BY_HAND = "tutorial-by-hand"


class TrainOn(str, Enum):
    """Whose labels `simulate` trains on."""

    HUMAN = "human"
    HUMAN_AND_MODEL = "human+model"


# What the service does unless told otherwise.
DEFAULTS: dict[str, Any] = {name: field.default for name, field in Settings.model_fields.items()}
TRAIN_ON_DEFAULT = TrainOn(DEFAULTS["train_on"])
SIMULATE_EXAMPLE = (
    "**Example:** `argilla-loop simulate --data tickets.csv --text-column body --label-column topic "
    "--strategies mixed,random --baseline tutorial` prints accuracy by labels and the labels needed for the "
    "tutorial's accuracy, and writes a row a turn and the learning curves into simulate-out. Ctrl-C keeps what is "
    "done; the same command goes on."
)


@app.command(epilog=SIMULATE_EXAMPLE)
def simulate(
    data: Annotated[
        Path, typer.Option("--data", help="Labelled file: parquet, CSV, TSV, JSON or JSON lines.")
    ],
    text_column: Annotated[str, typer.Option(help="Column of the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column of the right labels.")] = "label",
    split_column: Annotated[
        Optional[str],  # noqa: UP045  see Config
        typer.Option(
            help="Column that says `train` (to be labelled) or `test` (to measure on); default: `split` if there."
        ),
    ] = None,
    held_back: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Without such a column: share held back to measure on.")
    ] = 0.3,
    most_held_back: Annotated[int, typer.Option(min=1, help="The most texts to measure on.")] = 2000,
    pool_size: Annotated[int, typer.Option(min=10, help="The most texts that may be labelled.")] = 5000,
    budget: Annotated[int, typer.Option(min=1, help="Labels that people give in each run.")] = 200,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each strategy, each in another order.")] = 5,
    strategies: Annotated[
        Optional[str],  # noqa: UP045  see Config
        typer.Option(help="Strategies to compare, with commas; default: the service's, and random."),
    ] = None,
    baseline: Annotated[
        Optional[Baseline],  # noqa: UP045  see Config
        typer.Option(
            help="Compare with the tutorial's own loop and the stock classifier, too; `by-hand`: which is given five "
            "texts of each label to start with."
        ),
    ] = None,
    noise: Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of wrong answers.")] = 0.0,
    slice_size: Annotated[int, typer.Option(min=1, max=500, help="Records a batch.")] = DEFAULTS[
        "slice_size"
    ],
    min_examples_per_label: Annotated[
        int, typer.Option(min=2, help="Examples each label needs before a classifier is trained.")
    ] = DEFAULTS["min_examples_per_label"],
    threshold: Annotated[
        float, typer.Option(min=0.5, max=1.0, help="Certainty threshold; 1: people see every record.")
    ] = DEFAULTS["certainty_threshold"],
    target_precision: Annotated[
        Optional[float],  # noqa: UP045  see Config
        typer.Option(
            min=0.5, max=0.999, help="Precision demanded of what is accepted, in place of a threshold."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Probability with which that is kept.")
    ] = DEFAULTS["confidence"],
    audit_rate: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of what is acceptable that people check blindly.")
    ] = DEFAULTS["audit_rate"],
    min_accept_examples: Annotated[
        int, typer.Option(min=0, help="Human examples of a label before anything is accepted as that label.")
    ] = DEFAULTS["min_accept_examples"],
    train_on: Annotated[TrainOn, typer.Option(help="Whose labels to learn from.")] = TRAIN_ON_DEFAULT,
    model: Annotated[
        str, typer.Option(help="Sentence-embedding model: folder, hub name or package:NAME.")
    ] = DEFAULTS["model"],
    cache_dir: Annotated[
        Optional[Path],  # noqa: UP045  see Config
        typer.Option(help="Embeddings and models; may be deleted; default: the service's."),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Processes; one for each core is about right.")] = 1,
    folder: Annotated[Path, typer.Option("--out", help="Folder of results and of finished runs.")] = Path(
        "simulate-out"
    ),
) -> None:
    """Replay a labelled file through the loop, with somebody who answers by its labels: measure before you believe.

    What would the service reach with 200 labels on your own texts, and what with another strategy or threshold?
    """
    from argilla_loop.simulate.command import Request, run_simulation  # noqa: PLC0415  see demo

    configure_logs()
    finished = run_simulation(
        Request(
            data=data,
            text_column=text_column,
            label_column=label_column,
            split_column=split_column,
            held_back=held_back,
            most_held_back=most_held_back,
            pool_size=pool_size,
            strategies=strategies,
            baseline=baseline.value if baseline is not None else None,
            budget=budget,
            seeds=seeds,
            noise=noise,
            slice_size=slice_size,
            min_examples_per_label=min_examples_per_label,
            threshold=threshold,
            min_accept_examples=min_accept_examples,
            target_precision=target_precision,
            confidence=confidence,
            audit_rate=audit_rate,
            train_on_model=train_on is TrainOn.HUMAN_AND_MODEL,
            model=model,
            cache_dir=cache_dir or Settings.model_fields["cache_dir"].get_default(call_default_factory=True),
            jobs=jobs,
            out=folder,
        ),
        out,
    )
    raise typer.Exit(0 if finished else INTERRUPTED)


@app.command()
def version() -> None:
    """Print the version."""
    out.print(f"argilla-loop {__version__}")


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
    """Take what goes before every command."""


def main() -> int:
    """Run a command; an expected error is one line on standard error and an exit code, never a trace."""
    with standard_streams(), crashes_logged():
        # before anything is read: whatever goes wrong from here on shows no variables, and no secret
        configure_logs(secrets=secrets_of_environment())
        try:
            code = _run_command()
            sys.stdout.flush()
        except OutputError as error:
            code = HUNG_UP if error.reader_is_gone else _say(error)
        except Exception:
            log.exception("unexpected_error", then="please report it: this should have been one clear line")
            code = 1
        discard_output()
    return code


def _run_command() -> int:
    try:
        code = app(standalone_mode=False)  # a command's typer.Exit is returned, not raised
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except OutputError:
        raise
    except ArgillaLoopError as error:
        return _say(error)
    return code if isinstance(code, int) else 0


def _say(error: ArgillaLoopError) -> int:
    Console(stderr=True, soft_wrap=True).print(
        f"[red]error:[/] {escape(redacted(str(error)))}", highlight=False
    )
    return TRY_AGAIN if isinstance(error, RetryableError) else getattr(error, "exit_code", 1)
