"""What `argilla-loop pool` prints."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from rich.console import Console

from argilla_loop.pool import load_pool, render
from argilla_loop.pool.arrow import ArrowPool
from argilla_loop.pool.layout import LabelProblem, Problem
from argilla_loop.pool.report import REASONS, PoolReport, percentiles
from argilla_loop.pool.values import WHITESPACE
from argilla_loop.settings import PoolSettings


def shown(tmp_path: Path, rows: list[tuple[str, str, str | None]]) -> tuple[str, PoolReport]:
    settings = PoolSettings.model_validate({"source": "argilla", "dataset": "[bold]news[/]"})
    _, report = load_pool(settings, labels=None, cache_dir=tmp_path, argilla_rows=lambda: rows)
    console = Console(width=100, record=True, file=(tmp_path / "out").open("w"))
    with console.file:
        console.print(render(report))
    return " ".join(console.export_text().split()), report


def test_rows_skipped_duplicates_labels_and_lengths_are_shown(tmp_path: Path) -> None:
    """Numbers beside their words; markup in names is text."""
    rows = [
        ("1", "four", "[red]x"),
        ("2", "four", "y"),
        ("3", "", None),
        ("4", "sevense", "[red]x"),
        ("5", "b\0", None),
    ]
    text, _ = shown(tmp_path, rows)
    for expected in (
        "Pool: Argilla dataset [bold]news[/]",
        "rows read │ 5",
        "skipped: empty or white space │ 1",
        "duplicates │ 1",
        "texts in the pool │ 3",
        "of them labelled │ 1",
        "texts with conflicting labels │ 1",
        "broken characters replaced │ 1",
        "[red]x │ 1 │ 100.0%",
        "shortest ┃ 25 % ┃ median ┃ 75 % ┃ 95 % ┃ longest",
    ):
        assert expected in text


def test_a_pool_without_labels_has_no_label_table(tmp_path: Path) -> None:
    text, report = shown(tmp_path, [("1", "a", None)])
    assert "Labels" not in text
    assert report.labels == {}


def test_every_reason_has_words() -> None:
    reasons = [*Problem, *LabelProblem]
    assert {reason.name.lower() for reason in reasons} - {"none"} == set(REASONS)


def test_no_lengths_where_there_are_no_texts() -> None:
    assert percentiles(np.array([], np.int32)) == {}


def test_white_space_is_what_python_holds_for_it() -> None:
    """The learner strips texts by Python's rule: what it would find empty must never get into the pool."""
    assert set(WHITESPACE) == {chr(code) for code in range(0x110000) if chr(code).isspace()}


def test_a_pool_is_small_beside_its_texts(tmp_path: Path) -> None:
    """Loading and asking for ids and what is unlabelled makes no object a row."""
    rows = (("", f"text number {i}", None) for i in range(50_000))
    settings = PoolSettings.model_validate({"source": "argilla", "dataset": "many"})
    before = sys.getallocatedblocks()
    pool, _ = load_pool(settings, labels=None, cache_dir=tmp_path, argilla_rows=lambda: rows)
    assert isinstance(pool, ArrowPool)
    assert len(pool.unlabelled(excluding=pool.ids()[:100])) == 49_900
    assert sys.getallocatedblocks() - before < 5_000
