"""The five parts of the stack, as ``docker-compose.yml`` has them: what to run, and how to ask whether it works."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import yaml

from team_stack.errors import StackError
from team_stack.kit import JAVA, program, run
from team_stack.layout import HOST
from team_stack.process import Part

if TYPE_CHECKING:
    from team_stack.stack import TeamStack

POSTGRES, REDIS, ELASTICSEARCH, SERVER, WORKER = "postgres", "redis", "elasticsearch", "server", "worker"
# In the order in which they start; they end in the other.
ORDER = (POSTGRES, REDIS, ELASTICSEARCH, SERVER, WORKER)


def make_part(stack: TeamStack, name: str) -> Part:
    """The part ``name`` of a stack; nothing is started."""
    commands = {
        POSTGRES: _postgres_command,
        REDIS: _redis_command,
        ELASTICSEARCH: _elasticsearch_command,
        SERVER: _server_command,
        WORKER: _worker_command,
    }
    answers = {
        POSTGRES: partial(_postgres_answers, stack),
        REDIS: partial(_redis_answers, stack.ports.redis),
        ELASTICSEARCH: partial(
            _http_answers, f"{stack.elasticsearch_url}/_cluster/health?wait_for_status=yellow&timeout=2s"
        ),
        SERVER: partial(_http_answers, f"{stack.url}/api/v1/status"),
        WORKER: partial(_worker_answers, stack),
    }
    return Part(
        name=name,
        command=commands[name](stack),
        environment=argilla_environment(stack) if name in (SERVER, WORKER) else {},
        folder=stack.home.folder,
        log=stack.home.log(name),
        memory=stack.home.process(name),
        answers=answers[name],
        stop_signal=signal.SIGINT if name == POSTGRES else signal.SIGTERM,  # PostgreSQL's fast shutdown
        user=_postgres_user() if name == POSTGRES else None,
    )


def argilla_environment(stack: TeamStack) -> dict[str, str]:
    """The variables of server and worker in ``docker-compose.yml``, for this stack."""
    ports = stack.ports
    password = stack.home.secret(POSTGRES)
    return {
        "ARGILLA_HOME_PATH": str(stack.home.folder / "argilla"),
        "ARGILLA_DATABASE_URL": f"postgresql+asyncpg://argilla:{password}@{HOST}:{ports.postgres}/argilla",
        "ARGILLA_ELASTICSEARCH": stack.elasticsearch_url,
        "ARGILLA_SEARCH_ENGINE": "opensearch",  # not in the compose file: see SearchCore.java
        "ARGILLA_REDIS_URL": f"redis://{HOST}:{ports.redis}/0",
        "ARGILLA_AUTH_SECRET_KEY": stack.credentials.auth_secret_key,
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }


def prepare_postgres(stack: TeamStack) -> None:
    """Make the database's files where there are none.

    Raises:
        StackError: it can't be made there.
    """
    folder = stack.home.folder / POSTGRES
    if (folder / "data" / "PG_VERSION").exists():
        return
    folder.mkdir(exist_ok=True)
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(stack.home.secret(POSTGRES), encoding="utf-8")
    user = _postgres_user()
    if user:
        for path in (folder, secret):
            shutil.chown(path, user, user)
    initdb = [program("initdb"), "--pgdata", str(folder / "data"), "--username=argilla"]
    initdb += ["--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8", "--locale=C.UTF-8"]
    try:
        run(initdb, f"making a database in {folder}", user=user)
    except PermissionError as error:
        raise StackError(f"user {user} cannot work in {folder}: choose another folder with --home") from error
    finally:
        secret.unlink()


def create_database(stack: TeamStack) -> None:
    """Make the database ``argilla`` unless it is there."""
    if "argilla" not in query(stack, "select datname from pg_database", database="postgres").split():
        query(stack, "create database argilla", database="postgres")


def query(stack: TeamStack, sql: str, *, database: str = "argilla") -> str:
    """What PostgreSQL answers to ``sql``: a line a row, fields separated by ``|``."""
    psql = [program("psql"), "--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--host", HOST]
    psql += [
        "--port",
        str(stack.ports.postgres),
        "--username",
        "argilla",
        "--dbname",
        database,
        "--command",
        sql,
    ]
    return run(psql, "asking PostgreSQL", env={"PGPASSWORD": stack.home.secret(POSTGRES)})


def _postgres_user() -> str | None:
    """PostgreSQL refuses to run as root; Debian's package brings a user for it."""
    return "postgres" if os.geteuid() == 0 else None


def _postgres_command(stack: TeamStack) -> list[str]:
    data = stack.home.folder / POSTGRES / "data"
    settings = {"port": stack.ports.postgres, "listen_addresses": HOST, "unix_socket_directories": ""}
    return [program("postgres"), "-D", str(data), *(f"--{key}={value}" for key, value in settings.items())]


def _redis_command(stack: TeamStack) -> list[str]:
    options = {"port": stack.ports.redis, "bind": HOST, "dir": stack.home.folder / REDIS, "appendonly": "yes"}
    arguments = [text for key, value in options.items() for text in (f"--{key}", str(value))]
    return [program("redis-server"), *arguments]


def _elasticsearch_command(stack: TeamStack) -> list[str]:
    home = stack.home.folder / ELASTICSEARCH
    for name in ("config", "data", "plugins", "modules", "lib"):
        (home / name).mkdir(exist_ok=True)
    logging = f"-Dlog4j.configurationFile={JAVA / 'log4j2.properties'}"
    java = [program("java"), "-Xms512m", "-Xmx512m", logging, "-classpath", stack.kit.classpath]
    environment = compose_service("elasticsearch")["environment"]
    # The core knows no settings of plugins (xpack).
    settings = [
        f"{key}={value}"
        for key, value in environment.items()
        if key.startswith(("action.", "cluster.routing."))
    ]
    return [*java, "SearchCore", str(home), str(stack.ports.elasticsearch), *settings]


def _server_command(stack: TeamStack) -> list[str]:
    uvicorn = [str(stack.kit.python), "-m", "uvicorn", "argilla_server:app"]
    return [*uvicorn, "--host", HOST, "--port", str(stack.ports.server)]


def _worker_command(stack: TeamStack) -> list[str]:
    command: list[str] = compose_service("worker")["command"]
    return [str(stack.kit.python), *command[1:]]


def compose_service(name: str) -> dict[str, Any]:
    """A service of ``docker-compose.yml``, so that the stack is started as it says."""
    file = Path(__file__).parents[3] / "docker-compose.yml"
    service: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["services"][name]
    return service


def _postgres_answers(stack: TeamStack) -> bool:
    command = [program("pg_isready"), "--quiet", "--host", HOST, "--port", str(stack.ports.postgres)]
    return subprocess.run(command, check=False).returncode == 0


def _redis_answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=5) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False


def _http_answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=10, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def _worker_answers(stack: TeamStack) -> bool:
    command: list[str] = compose_service("worker")["command"]
    process = stack.part(WORKER).process()
    return process is not None and len(process.children()) >= int(command[command.index("--num-workers") + 1])
