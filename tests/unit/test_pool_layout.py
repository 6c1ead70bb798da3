"""The layout that Argilla 1.x exports: what is text, what is a label, and that a guess is never one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from argilla_loop.errors import PoolError
from argilla_loop.pool import ArrowPool, PoolReport, load_pool
from argilla_loop.settings import PoolSettings

PREDICTION = pa.list_(pa.struct([("label", pa.string()), ("score", pa.float64())]))
NEWS = pa.schema(  # argilla/news, all of its 13 columns in their order
    [
        ("text", pa.string()),
        ("inputs", pa.struct([("text", pa.string())])),
        ("prediction", PREDICTION),
        ("prediction_agent", pa.string()),
        ("annotation", pa.null()),
        ("annotation_agent", pa.null()),
        ("multi_label", pa.bool_()),
        ("explanation", pa.null()),
        ("id", pa.string()),
        ("metadata", pa.struct([("split", pa.string())])),
        ("status", pa.string()),
        ("event_timestamp", pa.null()),
        ("metrics", pa.struct([("text_length", pa.int64())])),
    ]
)
GUESS = [{"label": "World", "score": 0.99}, {"label": "Sports", "score": 0.01}]


def news_row(number: int, **changed: Any) -> dict[str, Any]:
    text = f"news {number}"
    row = {
        "text": text,
        "inputs": {"text": text},
        "prediction": GUESS,
        "prediction_agent": "distilbert",
        "annotation": None,
        "annotation_agent": None,
        "multi_label": False,
        "explanation": None,
        "id": f"id-{number}",
        "metadata": {"split": "unlabelled"},
        "status": "Default",
        "event_timestamp": None,
        "metrics": {"text_length": len(text)},
    }
    return row | changed


def with_types(**types: pa.DataType) -> pa.Schema:
    return pa.schema([(field.name, types.get(field.name, field.type)) for field in NEWS])


def load(
    folder: Path, rows: list[dict[str, Any]], schema: pa.Schema = NEWS, **changed: Any
) -> tuple[ArrowPool, PoolReport]:
    path = folder / "news.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    settings = PoolSettings.model_validate({"source": "files", "path": path} | changed)
    return load_pool(settings, labels=None, cache_dir=folder)


def test_a_guess_is_never_read_as_truth(tmp_path: Path) -> None:
    """argilla/news has predictions of 0.99 on every row and not one label: everything is unlabelled."""
    pool, report = load(tmp_path, [news_row(i) for i in range(3)])
    assert list(pool.ids()) == ["id-0", "id-1", "id-2"]
    assert pool.texts([0, 1, 2]) == ["news 0", "news 1", "news 2"]
    assert pool.examples() == []
    assert pool.unlabelled().tolist() == [0, 1, 2]
    assert (report.labelled, report.labels, report.ignored_labels) == (0, {}, {})


@pytest.mark.parametrize("column", ["prediction", "prediction_agent"])
def test_a_guess_is_refused_as_label_column(tmp_path: Path, column: str) -> None:
    with pytest.raises(PoolError, match="guess, not a label"):
        load(tmp_path, [news_row(1)], label_column=column)


def test_the_sister_layout_has_labels_and_no_guess(tmp_path: Path) -> None:
    """rubrix/news_test: `annotation` string, `prediction` typed null."""
    schema = with_types(annotation=pa.string(), annotation_agent=pa.string(), prediction=pa.null())
    rows = [
        news_row(i, prediction=None, annotation=label, status="Validated") for i, label in enumerate("ab")
    ]
    pool, report = load(tmp_path, rows, schema)
    assert [(e.id, e.label) for e in pool.examples()] == [("id-0", "a"), ("id-1", "b")]
    assert report.labels == {"a": 1, "b": 1}


def test_only_what_somebody_validated_counts_and_discarded_rows_are_left_out(tmp_path: Path) -> None:
    rows = [
        news_row(0, annotation="Sports", status="Validated"),
        news_row(1, annotation="Sports", status="Default"),
        news_row(2, annotation="Sports", status="Edited"),
        news_row(3, annotation="Sports", status="Discarded"),
        news_row(4, annotation="Sports", status=None),
        news_row(5, annotation="", status="Validated"),
    ]
    pool, report = load(tmp_path, rows, with_types(annotation=pa.string()))
    assert [e.id for e in pool.examples()] == ["id-0", "id-4"]
    assert list(pool.ids()) == ["id-0", "id-1", "id-2", "id-4", "id-5"]
    assert report.skipped == {"discarded": 1}
    assert report.ignored_labels == {"not_validated": 2}


def test_what_argilla_1_29_writes(tmp_path: Path) -> None:
    """`vectors` too, timestamps, a multi-label annotation as a list, several fields with `text` null."""
    fields = pa.struct([("title", pa.string()), ("body", pa.string()), ("likes", pa.int64())])
    schema = with_types(
        inputs=fields,
        annotation=pa.list_(pa.string()),
        event_timestamp=pa.timestamp("us"),
        multi_label=pa.bool_(),
    ).insert(6, pa.field("vectors", pa.null()))
    validated = {"text": None, "status": "Validated", "multi_label": True}
    rows = [
        news_row(0, **validated, inputs={"title": "T", "body": "B", "likes": 3}, annotation=["Sports"]),
        news_row(1, **validated, inputs={"title": "T", "body": None}, annotation=["Sports", "World"]),
        news_row(2, **validated, inputs={"title": None, "body": "only"}, annotation=[]),
        news_row(3, **validated, inputs=None, annotation=None),
        news_row(4, **validated, inputs={"title": None}, annotation=None),
    ]
    pool, report = load(tmp_path, rows, schema)
    assert pool.texts(range(len(pool))) == ["T\n\nB", "T", "only"]
    assert [(e.id, e.label) for e in pool.examples()] == [("id-0", "Sports")]
    assert report.ignored_labels == {"several": 1}
    assert report.skipped == {"null": 2}


def test_all_texts_typed_null_come_from_the_inputs(tmp_path: Path) -> None:
    pool, _ = load(tmp_path, [news_row(1, text=None)], with_types(text=pa.null()))
    assert pool.texts([0]) == ["news 1"]


def test_the_user_may_choose_other_columns(tmp_path: Path) -> None:
    """Own columns win over what the layout says, by the same rules."""
    schema = NEWS.append(pa.field("gold", pa.string())).append(pa.field("key", pa.int64()))
    rows = [news_row(1, gold="Sports", key=7, status="Validated"), news_row(2, gold="World", key=8)]
    pool, report = load(tmp_path, rows, schema, label_column="gold", id_column="key")
    assert [(e.id, e.label) for e in pool.examples()] == [("7", "Sports")]
    assert report.ignored_labels == {"not_validated": 1}


def test_other_data_with_a_column_of_the_same_name_is_not_mistaken(tmp_path: Path) -> None:
    """One or two of the columns do not make the layout: their `annotation` is not a label unless said so."""
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"text": ["a"], "annotation": ["x"], "status": ["Discarded"]}), path)
    settings = PoolSettings.model_validate({"source": "files", "path": path})
    pool, report = load_pool(settings, labels=None, cache_dir=tmp_path)
    assert (len(pool), report.labelled, report.skipped) == (1, 0, {})


def test_the_layout_is_known_in_json_lines_too(tmp_path: Path) -> None:
    """By the same rules: a guess is no label, several labels are none, several fields are joined."""
    rows = [
        news_row(0, text=None, inputs={"title": "T", "body": "B"}),
        news_row(1, annotation=["Sports"], status="Validated"),
        news_row(2, annotation=["Sports", "World"], status="Validated"),
        news_row(3, annotation="World", status="Discarded"),
    ]
    path = tmp_path / "news.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    settings = PoolSettings.model_validate({"source": "files", "path": path})
    pool, report = load_pool(settings, labels=["Sports"], cache_dir=tmp_path)
    assert pool.texts(range(len(pool))) == ["T\n\nB", "news 1", "news 2"]
    assert [(e.id, e.label) for e in pool.examples()] == [("id-1", "Sports")]
    assert (report.skipped, report.ignored_labels) == ({"discarded": 1}, {"several": 1})
