"""The scripts of the team's stack: what they start they find again, and they end nothing else."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from team_stack import Ports, StackError
from team_stack.kit import run
from team_stack.layout import Home
from team_stack.process import Part

SLEEP = "import time; time.sleep(600)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); time.sleep(600)"


@pytest.fixture
def part(tmp_path: Path) -> Iterator[Callable[[str], Part]]:
    """Makes a part that runs a line of Python."""
    made: list[Part] = []

    def make(code: str) -> Part:
        made.append(
            Part(
                name="sleeper",
                command=[sys.executable, "-c", code],
                environment={},
                folder=tmp_path,
                log=tmp_path / "sleeper.log",
                memory=tmp_path / "sleeper.json",
                answers=lambda: made[0].process() is not None,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.kill()


def test_a_part_is_found_again_by_who_comes_later_and_is_started_once(part: Callable[[str], Part]) -> None:
    first, later = part(SLEEP), part(SLEEP)
    first.start()
    later.start()
    one, other = first.process(), later.process()
    assert one is not None
    assert one == other
    later.stop()
    assert first.process() is None
    assert not psutil.pid_exists(one.pid)


def test_another_process_that_got_the_number_is_left_alone(part: Callable[[str], Part]) -> None:
    known = part(SLEEP)
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as foreign:
        started = psutil.Process(foreign.pid).create_time()
        known.memory.write_text(json.dumps({"pid": foreign.pid, "started": started - 1}))
        known.stop()
        known.kill()
        assert foreign.poll() is None
        foreign.kill()


def test_a_kill_takes_what_it_started_along(part: Callable[[str], Part]) -> None:
    parent = part(FAMILY)
    parent.start()
    process = parent.process()
    assert process is not None
    while not (children := process.children()):
        pass
    parent.kill()
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)


def test_a_part_that_ends_at_once_is_told_with_its_last_line(part: Callable[[str], Part]) -> None:
    broken = part("import sys; sys.exit('the disk is full')")
    broken.answers = lambda: False
    with pytest.raises(StackError, match=r"^sleeper ended: the disk is full "):
        broken.start()


def test_ports_follow_the_base_or_are_free_and_stay_with_the_home(tmp_path: Path) -> None:
    assert Ports.from_base(28000) == Ports(28000, 28001, 28002, 28003)
    home = Home(tmp_path)
    first = home.ports(None)
    assert len({first.server, first.postgres, first.redis, first.elasticsearch}) == 4
    assert home.ports(None) == first
    assert home.ports(Ports.from_base(30000)) == home.ports(None) == Ports.from_base(30000)


def test_a_secret_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert home.secret("postgres") == home.secret("postgres")
    assert len(home.secret("postgres")) == 32
    assert stat.S_IMODE((tmp_path / "postgres.secret").stat().st_mode) == 0o600


def test_a_command_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"^downloading x failed: no such package$"):
        run(
            [sys.executable, "-c", "import sys; sys.exit('long\\ntrace\\nno such package\\n')"],
            "downloading x",
            cwd=tmp_path,
        )
