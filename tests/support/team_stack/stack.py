"""The stack as a whole."""

from __future__ import annotations

import time
from pathlib import Path

from argilla_embedded import Credentials, UserCredentials, load_credentials
from argilla_embedded.credentials import generate_credentials, save_credentials
from argilla_embedded.errors import EmbeddedServerError
from team_stack.index import Index
from team_stack.kit import Kit, Say, run
from team_stack.layout import HOST, Home, Ports
from team_stack.parts import (
    ORDER,
    SERVER,
    argilla_environment,
    create_database,
    make_part,
    prepare_postgres,
    query,
)
from team_stack.process import Part

WORKSPACE = "argilla"


class TeamStack:
    """PostgreSQL, Redis, Elasticsearch's core, Argilla's server and worker, in one folder.

    Args:
        folder: its data; made where it is not there. What an earlier start left is used again.
        kit: the software.
        ports: where it listens; those it had before, or free ones, unless told.
        say: called with a line for people at each step.
    """

    def __init__(
        self, folder: Path, kit: Kit, *, ports: Ports | None = None, say: Say = lambda _: None
    ) -> None:
        self.home = Home(folder.resolve())
        self.home.make()
        self.kit = kit
        self.ports = self.home.ports(ports)
        self.credentials = _credentials(self.home.folder)
        self._say = say
        self._parts: dict[str, Part] = {}

    @property
    def url(self) -> str:
        """Where Argilla's API and UI are."""
        return f"http://{HOST}:{self.ports.server}"

    @property
    def elasticsearch_url(self) -> str:
        """Where the search engine is."""
        return f"http://{HOST}:{self.ports.elasticsearch}"

    def part(self, name: str) -> Part:
        """One part, to be started, stopped or killed by itself."""
        if name not in self._parts:
            self._parts[name] = make_part(self, name)
        return self._parts[name]

    def up(self) -> None:
        """Start what does not run; make the database and the users at the first time.

        Raises:
            StackError: something cannot be had, or does not start.
        """
        self.kit.install(self._say)
        prepare_postgres(self)
        for name in ORDER:
            if name == SERVER:
                self._prepare_argilla()
            part = self.part(name)
            if part.process() is None:
                self._say(f"{name} starts")
            part.start()

    def down(self) -> None:
        """Stop what runs of this stack, and nothing else."""
        for name in reversed(ORDER):
            part = self.part(name)
            if part.process() is not None:
                self._say(f"{name} stops")
                part.stop()

    def wait(self) -> None:
        """Return when a part has ended."""
        while all(self.part(name).process() is not None for name in ORDER):
            time.sleep(1)

    def argilla(self, *arguments: str) -> str:
        """Run a command of Argilla's server, which is ``python -m argilla_server`` in the container; its output."""
        what = f"argilla_server {' '.join(arguments[:3])}"  # what follows may be a secret
        command = [str(self.kit.python), "-m", "argilla_server", *arguments]
        return run(command, what, env=argilla_environment(self), cwd=self.home.folder)

    def query(self, sql: str) -> str:
        """What Argilla's database answers: a line a row, fields separated by ``|``."""
        return query(self, sql)

    def index(self, dataset_id: str) -> Index:
        """The search index of a dataset."""
        return Index(self.elasticsearch_url, dataset_id)

    def _prepare_argilla(self) -> None:
        done = self.home.folder / "argilla" / ".prepared"
        if done.exists():
            return
        self._say("Argilla's tables and users")
        create_database(self)
        self.argilla("database", "migrate")
        made = self.query("select username from users").split()
        known = self.credentials
        roles = {"owner": known.owner, "admin": known.loop, "annotator": known.annotator}
        for role, user in roles.items():
            if user.username not in made:
                self.argilla("database", "users", "create", *_user_options(role, user))
        done.touch()


def _user_options(role: str, user: UserCredentials) -> list[str]:
    options = {
        "username": user.username,
        "first-name": user.username,
        "role": role,
        "workspace": WORKSPACE,
        "password": user.password,
        "api-key": user.api_key,
    }
    return [f"--{key}={value}" for key, value in options.items()]  # a secret may begin with a dash


def _credentials(folder: Path) -> Credentials:
    try:
        return load_credentials(folder)
    except EmbeddedServerError:
        made = generate_credentials()
        save_credentials(folder, made)
        return made
