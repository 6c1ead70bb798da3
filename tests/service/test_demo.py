"""The demo, run as anybody would: the real command, server, service, annotator and texts, only fewer of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from argilla_embedded import load_credentials
from argilla_loop.settings import load_settings

pytestmark = pytest.mark.slow

LOOPS = 4
SMALL = ("demo", "--texts", "200", "--held-back", "40")


def command(out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "argilla_loop", *SMALL, "--out", str(out), *more]


@dataclass
class Ran:
    out: Path
    said: str
    errors: str
    code: int


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A demo without a terminal, to its own end."""
    out = tmp_path_factory.mktemp("demo") / "demo-out"
    done = subprocess.run(
        command(out, "--loops", str(LOOPS)),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    return Ran(out, done.stdout, done.stderr, done.returncode)


def rows(said: str) -> list[list[str]]:
    return [line.split() for line in said.splitlines() if line[:5].strip().isdigit()]


def test_it_ends_by_itself_without_a_terminal_and_without_a_word_of_error(ran: Ran) -> None:
    assert (ran.code, ran.errors) == (0, "")
    assert not (ran.out / "argilla" / "server.json").exists()  # the server is gone


def test_it_shows_a_row_for_each_loop_with_what_people_and_service_did(ran: Ran) -> None:
    shown = rows(ran.said)
    assert [int(row[0]) for row in shown] == list(range(LOOPS))
    human = asked = model = 0
    for row in shown:
        assert int(row[1]) == human
        asked, accepted = int(row[3]), int(row[4])
        human, model = human + asked, model + accepted
        assert int(row[2]) == model
    accuracies = [float(row[7].rstrip("%")) for row in shown if row[7] != "-"]
    assert accuracies
    assert min(accuracies) > 40  # a guess gets 20 of five topics
    assert f"labels by people           │ {human} " in ran.said


def test_it_says_where_its_page_is(ran: Ran) -> None:
    (line,) = [line for line in ran.said.splitlines() if "see how it goes at" in line]
    port = load_settings(ran.out / "news-1" / "settings.toml").http.port
    assert line.endswith(f" http://127.0.0.1:{port}/")


def test_it_ends_with_a_summary_and_a_learning_curve(ran: Ran) -> None:
    assert f"loops                      │ {LOOPS} " in ran.said
    assert "on 40 texts (first model:" in ran.said
    curve = ran.out / "news-1" / "learning-curve.png"
    assert f"learning curve: {curve}" in ran.said
    content = curve.read_bytes()
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 10_000


def test_it_tells_how_to_log_in_and_how_to_open_the_ui_again(ran: Ran) -> None:
    who = load_credentials(ran.out / "argilla")
    assert f"log in as annotator with password {who.annotator.password}" in ran.said
    assert who.owner.password not in ran.said
    assert f"argilla-loop server --home {ran.out / 'argilla'} --port" in ran.said


def test_what_it_leaves_behind_keeps_the_gold_labels_from_the_service(ran: Ran) -> None:
    settings = load_settings(ran.out / "news-1" / "settings.toml")
    assert settings.pool.path is not None
    assert pq.read_schema(settings.pool.path[0]).names == ["id", "text"]
    assert settings.pool.label_column is None
    assert (ran.out / "news-1" / "settings.toml").stat().st_mode & 0o077 == 0
    assert settings.api_key.get_secret_value() not in (ran.out / "news-1" / "service.log").read_text()


@pytest.fixture
def kept(ran: Ran) -> Iterator[subprocess.Popen[str]]:
    """A second demo on the same folder that stays up after its first loop."""
    process = subprocess.Popen(
        command(ran.out, "--loops", "1", "--keep"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    yield process
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_second_run_leaves_the_first_one_alone_and_ctrl_c_ends_all_of_it(
    ran: Ran, kept: subprocess.Popen[str]
) -> None:
    url = ""
    assert kept.stdout is not None
    for line in kept.stdout:
        if line.startswith("Argilla is ready at "):
            url = line.split()[-1]
        if "stay up" in line:
            break
    key = load_credentials(ran.out / "argilla").owner.api_key
    with httpx.Client(base_url=f"{url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=30) as api:
        datasets = {one["name"]: one["id"] for one in api.get("/me/datasets").json()["items"]}
        assert set(datasets) == {"news-1", "news-2"}
        page = {"limit": "500", "include": "responses"}
        records = api.get(f"/datasets/{datasets['news-1']}/records", params=page).json()["items"]
    batches = [record["metadata"]["idx"] for record in records if record["responses"]]
    shown = rows(ran.said)
    assert sum(idx < LOOPS for idx in batches) == sum(int(row[3]) + int(row[4]) for row in shown)

    kept.send_signal(signal.SIGINT)
    said = kept.stdout.read()
    assert kept.wait(timeout=60) == 0
    assert "everything is kept in" in said
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx.get(f"{url}/api/v1/status", timeout=5)
        except httpx.HTTPError:
            break
        time.sleep(0.2)
    else:
        pytest.fail("the server still answers")
