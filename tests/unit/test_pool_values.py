"""Columns as strings: what is a string, what is a name, what is neither; from Arrow and from Python alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset, Features, Json

from argilla_loop.pool import load_pool
from argilla_loop.pool.values import join_fields, to_names, to_texts
from argilla_loop.settings import PoolSettings


def as_json_type(values: list[Any]) -> Any:
    """What `datasets` makes of a column of mixed types."""
    return pa.ExtensionArray.from_storage(
        pa.json_(), pa.array([v if v is None else json.dumps(v) for v in values])
    )


@pytest.mark.parametrize("form", [list, as_json_type])
def test_names_of_mixed_values(form: Any) -> None:
    """Strings, numbers, booleans and lists of one are names; blank ones are none; the rest is odd."""
    values = ["x", " ", "", None, 7, 1.5, True, ["y"], [], ["x", "y"], {"a": 1}, [None], [["x"]]]
    strings = to_names(form(values))
    expected = ["x", None, None, None, "7", "1.5", "true", "y", None, None, None, None, None]
    assert strings.values.to_pylist() == expected
    assert [values[i] for i in strings.odd.nonzero()[0]] == [["x", "y"], {"a": 1}, [["x"]]]


@pytest.mark.parametrize("form", [list, as_json_type])
def test_texts_of_mixed_values(form: Any) -> None:
    strings = to_texts(form(["x", "", None, 7, ["y"], {"a": 1}]))
    assert strings.values.to_pylist() == ["x", "", None, None, None, None]
    assert strings.odd.tolist() == [False, False, False, True, True, True]


def test_names_of_arrow_values() -> None:
    """Numbers and booleans are written out as in Python's form; bytes and structs are odd."""
    assert to_names(pa.array([1, None])).values.to_pylist() == ["1", None]
    assert to_names(pa.array([True, False])).values.to_pylist() == ["true", "false"]
    assert to_names(pa.chunked_array([["a"], ["b", " "]])).values.to_pylist() == ["a", "b", None]
    assert to_names(pa.array([[1], [], None, [1, 2]])).values.to_pylist() == ["1", None, None, None]
    assert to_names(pa.array([[], None], pa.list_(pa.string()))).odd.tolist() == [False, False]
    for odd in (pa.array([b"x", None]), pa.array([{"a": 1}, None])):
        assert to_names(odd).odd.tolist() == [True, False]


@pytest.mark.parametrize("form", [list, pa.array, as_json_type])
def test_fields_are_joined_in_order_without_those_that_are_no_text(form: Any) -> None:
    records = [
        {"t": "a", "n": 1, "b": "c"},
        {"t": None, "n": 1, "b": "c"},
        None,
        {"t": None, "n": 1, "b": None},
    ]
    assert join_fields(form(records), "+").to_pylist() == ["a+c", "c", None, None]


def test_fields_of_other_types_give_no_text() -> None:
    assert join_fields(pa.array(["a"]), "+").to_pylist() == [None]
    assert join_fields(["a"], "+").to_pylist() == [None]
    assert join_fields(pa.array([{"n": 1}]), "+").to_pylist() == [None]


def test_a_saved_dataset_of_mixed_types_costs_the_odd_rows_only(tmp_path: Path) -> None:
    """The real `Json` feature of `datasets`, on disk and back."""
    dataset = Dataset.from_list(
        [{"text": "a"}, {"text": 5}, {"text": ["q"]}], features=Features({"text": Json()})
    )
    dataset.save_to_disk(tmp_path / "saved")
    settings = PoolSettings.model_validate({"source": "files", "path": tmp_path / "saved"})
    pool, report = load_pool(settings, labels=None, cache_dir=tmp_path / "cache")
    assert pool.texts(range(len(pool))) == ["a"]
    assert report.skipped == {"not_text": 2}
