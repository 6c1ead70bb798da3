"""Start Argilla, the service and the browser, and say what happens until Ctrl-C."""

from __future__ import annotations

import os
import shlex
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import typer
from rich.console import Console

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import Backend
from argilla_loop.cli.common import sigterm_as_ctrl_c
from argilla_loop.cli.ports import free_http_port, is_free
from argilla_loop.cli.service_thread import ServiceThread
from argilla_loop.cli.start.annotators import ensure_annotators
from argilla_loop.cli.start.preparation import (
    Texts,
    default_model,
    labels_of,
    name_of,
    patience,
    prepare,
    refuse_changes,
    say,
    set_api_url,
    write_settings,
)
from argilla_loop.domain import Route
from argilla_loop.errors import FatalError, SettingsError
from argilla_loop.loop.turn import Turn
from argilla_loop.observability.logs import configure_logs
from argilla_loop.policy.estimate.outlook import headline
from argilla_loop.policy.plan import Finished, Stopped, Wait
from argilla_loop.service.wiring import connect_with, dataset_url, existing_dataset
from argilla_loop.settings import Settings, load_settings
from argilla_loop.settings.file import FileValues

PORT = 6900  # if it is free
KEY = "ARGILLA_LOOP_API_KEY"
WAIT_SECONDS = 0.5  # for a turn at a time, so that Ctrl-C is handled


@dataclass(frozen=True, slots=True)
class Request:
    """The options of the command; see ``argilla-loop start --help``."""

    texts: Path
    labels: Sequence[str] = ()
    text_column: str | None = None
    label_column: str | None = None
    name: str | None = None
    api_url: str | None = None
    workspace: str | None = None
    port: int | None = None
    model: str | None = None
    browser: bool = True
    annotators: Sequence[str] = ()


def run_start(request: Request, console: Console) -> None:
    """Start everything, and return after Ctrl-C. When it returns or raises, all that it started has ended.

    Raises:
        FatalError: the file or an option cannot be used, or the service failed.
        EmbeddedServerError: the server failed.
    """
    with sigterm_as_ctrl_c(), ExitStack() as stack:
        started = Start(request, console, stack)
        try:
            started.run()
        except KeyboardInterrupt:
            started.say("stopping ...")
        finally:
            stack.close()
        started.say_how_to_go_on()


class Start:
    """One start.

    Args:
        request: the options.
        console: says what happens.
        stack: ends what was started.
    """

    def __init__(self, request: Request, console: Console, stack: ExitStack) -> None:
        self._request, self._console, self._stack = request, console, stack
        self._folder = Path(request.name or name_of(request.texts))
        self._file = self._folder / "settings.toml"
        self._said_where = False
        self._annotators: Mapping[str, str | None] = {}

    def run(self) -> None:
        """Read the file, start Argilla and the service, and follow its turns until an error or Ctrl-C."""
        configure_logs(level="warning")
        again, texts = self._file.is_file(), None
        self._refuse_another_server(again=again)
        if again:
            self._refuse_changes()
        self._ask_key(again=again)
        if not again:
            texts = self._read()
        server = self._server(again=again)
        settings = self._settings(texts, server)
        if server is not None:
            self._annotators = ensure_annotators(server, self._request.annotators)
        stream = self._stack.enter_context((self._folder / "service.log").open("a", encoding="utf-8"))
        self._stack.callback(configure_logs)  # back to standard error before the file is closed
        configure_logs(form="console", stream=stream, secrets=[settings.api_key.get_secret_value()])
        backend = connect_with(settings)
        self._stack.callback(backend.close)
        service = ServiceThread(settings)
        self._stack.callback(service.stop)
        service.start()
        self._follow(service, backend, settings, server)

    def say(self, text: str) -> None:
        """Print a line."""
        say(self._console, text)

    def say_how_to_go_on(self) -> None:
        """Print what is kept, and what comes next."""
        if not self._said_where:  # Ctrl-C came before there was anything to label
            return
        texts, folder, file = (
            shlex.quote(str(path)) for path in (self._request.texts, self._folder, self._file)
        )
        name = "" if self._folder == Path(name_of(self._request.texts)) else f" --name {folder}"
        self.say(f"stopped; everything is kept in {self._folder}. To go on:")
        self.say(f"  argilla-loop start {texts}{name}")
        self.say("while it runs, from another terminal:")
        for verb, rest in (
            ("status", ""),
            ("finish", ""),
            ("export", f" {folder}/labels.parquet"),
            ("save-model", f" {folder}/model"),
        ):
            self.say(f"  argilla-loop {verb} -c {file}{rest}")

    def _read(self) -> Texts:
        request, labels = self._request, self._request.labels
        if not labels and request.label_column is None and sys.stdin.isatty():
            labels = labels_of(typer.prompt("Labels, separated by commas"))
        return prepare(
            request.texts, labels, request.text_column, request.label_column, self._folder, self._console
        )

    def _refuse_changes(self) -> None:
        """Check that the options go with the settings of an earlier start."""
        request, earlier = self._request, load_settings(self._file, api_key=self._known_key())
        refuse_changes(
            self._file, earlier.pool, earlier.labels, request.texts, request.labels, request.text_column
        )
        self.say(f"going on with {self._file}")

    def _refuse_another_server(self, *, again: bool) -> None:
        """Check that no option of one server meets the other one: the embedded one, or the operator's own.

        Raises:
            SettingsError: one does.
        """
        request, home = self._request, self._folder / "argilla"
        if request.api_url is not None and home.is_dir():
            raise SettingsError(
                f"{self._folder} was begun with an embedded Argilla, which holds its labels: leave --api-url out, or "
                "give another --name to start another dataset"
            )
        if request.annotators and (request.api_url is not None or (again and not home.is_dir())):
            raise SettingsError(
                "--annotators is for the embedded server: on your own Argilla, its owner adds users to the workspace"
            )

    def _known_key(self) -> str:
        """Return the service's key, or a stand-in to read the other settings with."""
        return os.environ.get(KEY, "unknown")

    def _ask_key(self, *, again: bool) -> None:
        """Ask for the key of the operator's own Argilla, which is never written to a file.

        Raises:
            SettingsError: there is no terminal to ask at.
        """
        own = not (self._folder / "argilla").is_dir() if again else self._request.api_url is not None
        if not own or os.environ.get(KEY):
            return
        if not sys.stdin.isatty():
            raise SettingsError(f"no API key: set {KEY} to that of an owner, or of an admin of the workspace")
        os.environ[KEY] = typer.prompt(
            "API key of an owner, or of an admin of the workspace", hide_input=True
        )

    def _server(self, *, again: bool) -> EmbeddedServer | None:
        home = self._folder / "argilla"
        if self._request.api_url is not None or (again and not home.is_dir()):
            return None
        port = self._request.port
        if port is None:
            port = _port_of(self._file) or PORT
            port = port if is_free(port) else 0
        server = EmbeddedServer(home, port=port)
        self._stack.callback(server.stop)  # before the start, which Ctrl-C may interrupt
        with patience(self._console, "starting an embedded Argilla (the real server, with its web UI)"):
            server.start()
        self.say(f"Argilla is ready at {server.url}")
        return server

    def _settings(self, texts: Texts | None, server: EmbeddedServer | None) -> Settings:
        request = self._request
        if texts is not None:
            address = server.url if server is not None else str(request.api_url)
            write_settings(
                self._file, texts, dataset=self._folder.name, api_url=address,
                workspace=server.credentials.workspace if server else request.workspace or "argilla",
                api_key=server.credentials.loop.api_key if server else None,
                model=request.model or default_model(), http_port=free_http_port(),
            )  # fmt: skip
            self.say(f"wrote {self._file}, which you may change")
        elif server is not None or request.api_url is not None:
            set_api_url(self._file, server.url if server is not None else str(request.api_url))
        # the server that was started here is meant, even if the environment names another one
        own = {}
        if server is not None:
            who = server.credentials
            own = {"api_url": server.url, "api_key": who.loop.api_key, "workspace": who.workspace}
        try:
            return load_settings(self._file, **own)
        except SettingsError:
            if texts is not None:  # so that another try begins anew
                self._file.unlink()
            raise

    def _follow(
        self, service: ServiceThread, backend: Backend, settings: Settings, server: EmbeddedServer | None
    ) -> None:
        with patience(self._console, "starting the service and embedding the first texts"):
            turn = _next_turn(service, server)
        self._say_where(backend, settings, server)
        if service.page_url is not None:
            self.say(f"see how it goes at {service.page_url}")
        while True:
            if words := words_of(turn):
                self.say(words)
            turn = _next_turn(service, server)

    def _say_where(self, backend: Backend, settings: Settings, server: EmbeddedServer | None) -> None:
        url = dataset_url(settings, existing_dataset(settings, backend))
        self.say(f"label at {url}")
        self._said_where = True
        if server is not None:
            self._say_logins(server)
            self.say(f"  the owner's login and all API keys: {server.home / 'credentials.json'}")
        self.say(f"the service's log: {self._folder / 'service.log'}; press Ctrl-C to stop")
        if self._request.browser and _has_browser():
            webbrowser.open(url)

    def _say_logins(self, server: EmbeddedServer) -> None:
        own, everybody = server.credentials.annotator, self._annotators
        for name, password in (everybody or {own.username: own.password}).items():
            secret = (
                f"password {password}" if password is not None else "the password that this user had before"
            )
            self.say(f"  log in as {name} with {secret}")


def _next_turn(service: ServiceThread, server: EmbeddedServer | None) -> Turn:
    """Wait for the next turn.

    Raises:
        FatalError: the embedded server has ended, which the service alone would wait out.
    """
    while (turn := service.next_turn(WAIT_SECONDS)) is None:
        if server is not None and not server.is_running:
            log = server.home / "server.log"
            raise FatalError(
                f"Argilla has ended unexpectedly, see {log}: the same command goes on where you were"
            )
    return turn


def words_of(turn: Turn) -> str:
    """Return what a turn did, in one line; empty if it did nothing that anybody waits for."""
    if isinstance(turn.step, Finished):
        return "every text is dealt with; add texts to the file, or press Ctrl-C and take the labels home"
    if isinstance(turn.step, Stopped):
        return f"stopped asking ({turn.step.reason})"
    if isinstance(turn.step, Wait) or not turn.records:
        batch = turn.seen.batch
        if batch is None:
            return ""
        return f"batch {batch.number}: {batch.size - batch.done:,} of {batch.size:,} texts wait for people"
    accepted = sum(record.route is Route.ACCEPT for record in turn.records)
    asked = len(turn.records) - accepted
    words = f"batch {turn.records[0].batch}: {asked:,} texts for people"
    if accepted:
        words += f", {accepted:,} labelled by the service"
    return f"{words}. {headline(turn.outlook)}" if turn.outlook is not None else words


def _port_of(file: Path) -> int | None:
    """Return the port at which the embedded server of an earlier start was."""
    return urlsplit(str(FileValues(file).values.get("api_url"))).port if file.is_file() else None


def _has_browser() -> bool:
    """Return whether there is a screen for a browser."""
    return sys.platform in ("darwin", "win32") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
