"""The heartbeat file: who writes it, who reads it, and what a health check makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from argilla_loop.observability.heartbeat import Heartbeat, age, heartbeat, heartbeat_file
from argilla_loop.observability.progress import progress
from argilla_loop.settings import ENV_PREFIX, Settings, load_settings

Health = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        monkeypatch.delenv(name)
    path = tmp_path / "loop.toml"
    cache = tmp_path / "cache"
    path.write_text(
        f'api_key = "some-key"\ncache_dir = "{cache}"\n[http]\nport = 0\n[pool]\npath = "x.csv"\n',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def health(config: Path) -> Health:
    """Runs ``argilla-loop health`` as a container would."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "argilla_loop", "health", "--config", str(config), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    return run


def beat_of(config: Path, seconds_ago: float) -> Path:
    file = heartbeat_file(load_settings(config))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    os.utime(file, (then := time.time() - seconds_ago, then))
    return file


def test_a_beat_makes_the_file_young_and_the_end_removes_it(tmp_path: Path) -> None:
    file, heart = tmp_path / "sub" / "beat", Heartbeat()
    heart.beat()
    assert age(file) is None
    with heart.kept_in(file):
        heart.beat()
        os.utime(file, (1, 1))
        heart.beat()
        assert (seconds := age(file)) is not None
        assert seconds < 3600
    assert age(file) is None
    heart.beat()
    assert age(file) is None


def test_a_failure_that_ends_the_service_removes_the_file_too(tmp_path: Path) -> None:
    heart = Heartbeat()

    def service() -> None:
        with heart.kept_in(tmp_path / "beat"):
            heart.beat()
            raise KeyError

    with pytest.raises(KeyError):
        service()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(tmp_path: Path) -> None:
    blocked = tmp_path / "a-file" / "beat"
    blocked.parent.write_text("in the way", encoding="utf-8")
    heart = Heartbeat()
    with capture_logs() as logs, heart.kept_in(blocked):
        heart.beat()
        heart.beat()
    assert [entry["event"] for entry in logs] == ["heartbeat_failed"]


def test_every_step_of_long_work_beats(tmp_path: Path) -> None:
    file = tmp_path / "beat"
    with heartbeat.kept_in(file), progress("embedding_texts", 10) as advance:
        assert age(file) is None
        advance(1)
        assert age(file) is not None


def test_services_that_share_a_cache_have_files_of_their_own(config: Path) -> None:
    def file(**overrides: str) -> Path:
        settings: Settings = load_settings(config, **overrides)
        return heartbeat_file(settings)

    files = {file(), file(dataset="other"), file(workspace="other"), file(api_url="http://other:6900")}
    assert len(files) == 4
    assert file() in files


def test_health_is_fine_after_a_fresh_beat(config: Path, health: Health) -> None:
    beat_of(config, 5)
    result = health()
    assert result.returncode == 0
    assert result.stdout.startswith("healthy: last heartbeat")


def test_health_fails_without_a_beat_and_after_an_old_one(config: Path, health: Health) -> None:
    result = health()
    assert (result.returncode, result.stdout.count("\n")) == (1, 1)
    assert "not running" in result.stdout
    beat_of(config, 500)
    assert health().returncode == 1
    assert health("--max-age", "1000").returncode == 0


def test_health_waits_longer_for_a_service_that_looks_seldom(config: Path, health: Health) -> None:
    config.write_text(f"poll_interval = 600\n{config.read_text(encoding='utf-8')}", encoding="utf-8")
    beat_of(config, 500)
    assert health().returncode == 0


def test_health_says_what_is_wrong_with_the_settings(config: Path, health: Health) -> None:
    config.write_text("nonsense = 1\n", encoding="utf-8")
    result = health()
    assert result.returncode == 2
    assert "nonsense is unknown" in result.stderr


def test_health_costs_little_as_it_imports_nothing_heavy(config: Path) -> None:
    script = (
        "import sys; sys.argv[1:] = ['health', '--config', sys.argv[1]]\n"
        "from argilla_loop.cli.app import main\n"
        "main()\n"
        "heavy = {'argilla', 'torch', 'numpy', 'pyarrow', 'datasets', 'onnxruntime', 'transformers'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)\n"
    )
    command = [sys.executable, "-c", script, str(config)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
