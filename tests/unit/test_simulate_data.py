"""A labelled file becomes a pool and a held-back set, whatever it is written in."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from argilla_loop.errors import PoolError
from argilla_loop.simulate.data import SimulatedPool, rare_labels, read_labelled

ROWS: list[dict[str, Any]] = [
    {
        "text": f"text {n}",
        "label": "ab"[n % 2] if n % 10 else "rare",
        "split": "test" if n % 4 == 0 else "train",
    }
    for n in range(200)
]


def write(folder: Path, suffix: str, rows: Sequence[dict[str, Any]] = ROWS) -> Path:
    path = folder / f"set{suffix}"
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_split_column_is_used_without_being_asked_for(tmp_path: Path, suffix: str) -> None:
    data = read_labelled(write(tmp_path, suffix))
    assert {row.text for row in data.pool} == {r["text"] for r in ROWS if r["split"] == "train"}
    assert {row.text for row in data.held_back} == {r["text"] for r in ROWS if r["split"] == "test"}
    assert data.labels == ("a", "b", "rare")
    assert data.name == "set"


def test_without_one_a_share_of_each_label_is_held_back(tmp_path: Path) -> None:
    rows = [{"text": r["text"], "label": r["label"]} for r in ROWS]
    data = read_labelled(write(tmp_path, ".jsonl", rows), held_back=0.25)
    assert Counter(r.label for r in data.held_back) == {"a": 20, "b": 25, "rare": 5}
    assert not {r.id for r in data.pool} & {r.id for r in data.held_back}
    assert len(data.pool) + len(data.held_back) == len(ROWS)


def test_a_column_split_that_says_something_else_is_no_split_column(tmp_path: Path) -> None:
    rows = [{**r, "split": "left"} for r in ROWS]
    data = read_labelled(write(tmp_path, ".parquet", rows))
    assert len(data.held_back) == 60
    with pytest.raises(PoolError, match="does not say which rows are 'train'"):
        read_labelled(tmp_path / "set.parquet", split_column="split")


def test_a_split_column_that_was_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match="has no column 'fold'"):
        read_labelled(write(tmp_path, ".parquet"), split_column="fold")


def test_validation_stands_in_for_a_missing_test_part(tmp_path: Path) -> None:
    rows = [{**r, "split": {"test": "validation"}.get(r["split"], r["split"])} for r in ROWS]
    assert len(read_labelled(write(tmp_path, ".csv", rows)).held_back) == 50


def test_caps_keep_the_labels_shares_and_are_the_same_every_time(tmp_path: Path) -> None:
    path = write(tmp_path, ".parquet")
    data = read_labelled(path, pool_size=75, most_held_back=10)
    assert (len(data.pool), len(data.held_back)) == (75, 10)
    whole = Counter(r.label for r in read_labelled(path).pool)
    assert {
        k: abs(v - whole[k] / 2) < 1 for k, v in Counter(r.label for r in data.pool).items()
    } == dict.fromkeys(whole, True)
    assert read_labelled(path, pool_size=75, most_held_back=10).fingerprint == data.fingerprint
    assert read_labelled(path, pool_size=75, most_held_back=10, seed=1).fingerprint != data.fingerprint


def test_nothing_is_learnt_and_measured_on(tmp_path: Path) -> None:
    """A text in both parts stays where it was first; one under two labels, or without one, is nowhere."""
    odd: list[dict[str, Any]] = [
        {"text": "text 1", "label": "b", "split": "test"},  # text 1 is "b" in train
        {"text": "text 2", "label": "b", "split": "train"},  # text 2 is "a"
        {"text": "no label", "label": None, "split": "train"},
        {"text": " ", "label": "a", "split": "train"},
    ]
    data = read_labelled(write(tmp_path, ".jsonl", [*ROWS, *odd]))
    texts = [r.text for r in (*data.pool, *data.held_back)]
    assert len(set(texts)) == len(texts) == len(ROWS) - 1
    assert "text 1" in {r.text for r in data.pool}
    assert "text 2" not in texts


def test_labels_that_cannot_be_learnt_are_not_measured(tmp_path: Path) -> None:
    rows = [*ROWS, {"text": "unheard of", "label": "new", "split": "test"}]
    data = read_labelled(write(tmp_path, ".jsonl", rows))
    assert "new" not in {r.label for r in data.held_back}


def test_too_little_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"1 labels in .* look at --label-column"):
        read_labelled(write(tmp_path, ".csv", [{**r, "label": "a"} for r in ROWS]))


def test_a_column_of_texts_is_no_label_column(tmp_path: Path) -> None:
    rows = [{"text": f"text {n}", "label": f"label {n}"} for n in range(1200)]
    with pytest.raises(PoolError, match=r"is 'label' \(--label-column\) the one"):
        read_labelled(write(tmp_path, ".csv", rows))


def test_rare_labels_are_named(tmp_path: Path) -> None:
    data = read_labelled(write(tmp_path, ".csv"))
    assert rare_labels(data.pool, 20) == ["rare"]
    assert rare_labels(data.pool, 5) == []


def test_the_pool_gives_no_label_away(tmp_path: Path) -> None:
    rows = read_labelled(write(tmp_path, ".csv")).pool[:4]
    pool = SimulatedPool(rows, "x")
    assert pool.examples() == []
    assert pool.unlabelled(excluding=[rows[1].id]).tolist() == [0, 2, 3]
    assert pool.texts([2, 0]) == [rows[2].text, rows[0].text]
    assert pool.current().revision() == "x"
