"""Run the demo from start to end: server, texts, service, annotator, table and curve."""

from __future__ import annotations

import contextlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console

from argilla_embedded import EmbeddedServer
from argilla_loop.cli.common import sigterm_as_ctrl_c
from argilla_loop.cli.demo import refuse_without_extra
from argilla_loop.cli.demo.annotator import SimulatedAnnotator
from argilla_loop.cli.demo.prepare import embed_held_back, new_folder, settings_of
from argilla_loop.cli.demo.session import Session
from argilla_loop.cli.demo.show import Display
from argilla_loop.cli.demo.texts import choose, read_articles
from argilla_loop.errors import SettingsError
from argilla_loop.observability.logs import configure_logs
from argilla_loop.service.wiring import backend_at

SIMULATED_LOOPS = 25  # batches; enough to see the curve flatten. Chosen, not measured.


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the demo; see ``argilla-loop demo --help``."""

    annotator: Literal["simulated", "me"]
    loops: int | None  # None: until the pool is exhausted, or Ctrl-C
    keep: bool = False
    out: Path = Path("demo-out")
    port: int = 0
    texts: int | None = None
    held_back: int = 400
    seed: int = 42


def run_demo(options: Options, console: Console) -> None:
    """Run the demo. When it returns or raises, everything that it started has ended.

    Raises:
        FatalError: a package is missing, or the service failed.
        EmbeddedServerError: the server failed.
        KeyboardInterrupt: Ctrl-C or SIGTERM before the end of the demo.
    """
    refuse_without_extra()
    corpus = choose(read_articles(), texts=options.texts, held_back=options.held_back, seed=options.seed)
    home = options.out / "argilla"
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot create the folder {options.out} ({error.strerror}): choose another with --out"
        ) from None
    with sigterm_as_ctrl_c(), Display(console) as display, ExitStack() as stack:
        display.say(f"starting an embedded Argilla (the real server, with its web UI) in {home} ...")
        server = EmbeddedServer(home, port=options.port)
        stack.callback(server.stop)  # before the start, which Ctrl-C may interrupt
        server.start()
        who = server.credentials
        display.say(f"Argilla is ready at {server.url}")
        display.say(f"  log in as {who.annotator.username} with password {who.annotator.password}")
        display.say(f"  the owner's login and all API keys: {home / 'credentials.json'}")

        backend = backend_at(server.url, who.loop.api_key)
        folder = new_folder(options.out, backend, who.workspace)
        stack.callback(_show_what_is_kept, display, server, folder)
        settings = settings_of(
            folder, server, corpus, cache_dir=options.out.absolute() / "cache", seed=options.seed
        )
        log_file = stack.enter_context((folder / "service.log").open("w", encoding="utf-8"))
        stack.callback(configure_logs)  # back to standard error before the file is closed
        configure_logs(form="console", stream=log_file, secrets=[settings.api_key.get_secret_value()])
        display.say(
            f"{len(corpus.pool)} real news texts to label in dataset {settings.dataset!r}, "
            f"{len(corpus.held_back)} held back to measure accuracy; topics: {', '.join(corpus.labels)}"
        )
        embed_held_back(settings, corpus, display)

        annotator = None
        if options.annotator == "simulated":
            annotator = SimulatedAnnotator(
                server.url, who.annotator.api_key, workspace=who.workspace, dataset=settings.dataset,
                gold=corpus.gold, batches=options.loops or len(corpus.pool),
            )  # fmt: skip
            display.say("a simulated annotator answers from the gold labels; you can watch it in the browser")
        else:
            display.say(f"log in and label in dataset {settings.dataset!r}; press Ctrl-C to stop")
        display.say(f"the service's log: {log_file.name}")
        session = Session(settings, corpus, backend=backend, annotator=annotator, display=display)
        stack.callback(session.stop)
        try:
            session.run(loops=options.loops)
        except KeyboardInterrupt:
            if options.loops is not None:  # without a limit, Ctrl-C is the regular end
                raise
        finally:
            display.close()
            session.conclude(console, folder)
        if options.keep:
            display.say(
                f"server and service stay up (--keep): continue labelling at {server.url}; press Ctrl-C to stop"
            )
            with contextlib.suppress(KeyboardInterrupt):
                session.stay_up()


def _show_what_is_kept(display: Display, server: EmbeddedServer, folder: Path) -> None:
    port = server.url.rpartition(":")[2]
    display.say(f"everything is kept in {server.home.parent}; to open the UI again:")
    display.say(f"  argilla-loop server --home {server.home} --port {port}")
    display.say("with the server running, to show the status or to continue labelling:")
    display.say(f"  argilla-loop status -c {folder / 'settings.toml'}")
    display.say(f"  argilla-loop run -c {folder / 'settings.toml'}")
    display.say("to label the rest, and to take the data set, the model and a report home:")
    for command in (
        "finish",
        "export {}/news.parquet",
        "save-model {}/model",
        "report {}/report.html",
        "verify",
    ):
        name, _, out = command.partition(" ")
        display.say(f"  argilla-loop {name} -c {folder / 'settings.toml'} {out.format(folder)}".rstrip())
    display.say(f"  argilla-loop predict --model {folder}/model texts.csv labelled.csv")
