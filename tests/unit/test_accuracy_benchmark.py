"""The accuracy benchmark draws fairly, measures what it says, judges by its numbers, and loses no finished cell."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from argilla_loop.learning.encoders.fake import HashingEncoder
from few_labels.bars import judge
from few_labels.cells import Cell, Key, forget, read_cells
from few_labels.data import Split, draw
from few_labels.estimates import Cells
from few_labels.measures import measure
from few_labels.methods import METHODS, fit_logistic
from few_labels.report import write_report
from few_labels.run import run
from few_labels.stock import fit_stock

WORDS = {
    "fruit": ("apple", "pear", "plum", "fig"),
    "metal": ("iron", "zinc", "tin", "lead"),
    "tool": ("saw", "axe", "awl", "file"),
}


def split(name: str = "things") -> Any:
    """Three labels, 30 train and 10 test texts each."""

    def texts(what: str, count: int) -> dict[str, str]:
        chance = np.random.default_rng(len(what))
        return {
            f"{what} {number} {' '.join(chance.choice(words, 3))} {chance.choice(WORDS['tool'])}": label
            for label, words in WORDS.items()
            for number in range(count)
        }

    return Split(name, texts("train", 30), texts("test", 10))


def cell(method: str, size: int, share: float, *, noise: float = 0.0, seed: int = 0) -> Any:
    """A cell of which only the accuracy matters."""
    return Cell(
        data="things",
        method=method,
        noise=noise,
        per_label=size,
        seed=seed,
        labels=3,
        examples=3 * size,
        pool=9,
        test=30,
        accuracy=share,
        vote_accuracy=math.nan,
        macro_f1=share,
        ece=0.1,
        precision_certain=math.nan,
        coverage_certain=0.0,
        fit_seconds=0.1,
        predict_seconds=0.1,
        head="",
        commit="abc",
    )


def test_a_draw_has_so_many_of_each_label_and_parts_examples_pool_and_test() -> None:
    task = draw(split(), 4, 1, 0.0)
    assert Counter(task.examples.values()) == dict.fromkeys(WORDS, 4)
    assert not set(task.examples) & set(task.pool)
    assert not (set(task.examples) | set(task.pool)) & set(task.test)
    assert len(task.pool) == 90 - 12
    assert task.test == split().test


def test_more_labels_include_the_fewer_and_the_test_texts_stay() -> None:
    few, many = draw(split(), 2, 1, 0.0), draw(split(), 9, 1, 0.0)
    assert few.examples.items() <= many.examples.items()
    assert list(few.test) == list(many.test)
    assert few.examples != draw(split(), 2, 2, 0.0).examples


def test_a_label_with_too_few_texts_gives_what_it_has() -> None:
    assert Counter(draw(split(), 100, 0, 0.0).examples.values()) == dict.fromkeys(WORDS, 30)


def test_noise_gives_exactly_its_share_another_label_and_changes_nothing_else() -> None:
    right, wrong = draw(split(), 10, 3, 0.0), draw(split(), 10, 3, 0.1)
    assert list(right.examples) == list(wrong.examples)
    assert sum(right.examples[text] != wrong.examples[text] for text in right.examples) == 3
    assert set(wrong.examples.values()) <= set(WORDS)
    assert (right.pool, right.test) == (wrong.pool, wrong.test)


def test_measures_by_hand() -> None:
    """Four answers: certain and right, certain and wrong, unsure and right, unsure and wrong."""
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.4, 0.6], [0.4, 0.6]])
    found = measure(["a", "b"], probabilities, ["a", "b", "b", "a"])
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == 0.5
    assert found["precision_certain"] == 0.5
    assert found["coverage_certain"] == 0.5
    # the bin of .95 is right in .5 (gap .45), the bin of .6 as well (gap .1); each holds half
    assert found["ece"] == pytest.approx(0.5 * 0.45 + 0.5 * 0.1)


def test_nothing_certain_has_no_precision_and_an_unknown_gold_label_counts_as_wrong() -> None:
    found = measure(["a", "b"], np.array([[0.6, 0.4], [0.3, 0.7]]), ["a", "never learnt"])
    assert math.isnan(found["precision_certain"])
    assert found["accuracy"] == 0.5


def test_bars_are_judged_by_differences_in_points() -> None:
    shares = {  # stock, logistic, ours at each size
        2: (0.40, 0.50, 0.60),
        5: (0.60, 0.60, 0.64),
        25: (0.80, 0.80, 0.79),
    }
    cells = [
        cell(method, size, share)
        for size, row in shares.items()
        for method, share in zip(("stock", "logistic", "ours"), row, strict=True)
    ]
    cells += [replace(one, noise=0.1, accuracy=one.accuracy - (one.method == "ours") * 0.02) for one in cells]
    verdicts = judge(Cells(cells), "ours")
    met = {bar: (verdict.met, round(verdict.value, 6)) for bar, verdict in verdicts.items() if verdict}
    assert met["nowhere more than 0.5 below stock (the worst cell)"] == (False, -1.0)
    assert met["at 2 a label at least 15 points above stock, mean over sets"] == (True, 20.0)
    assert met["at 5 a label at least 5 points above stock, mean over sets"] == (False, 4.0)
    assert met["at 25 a label above stock, mean over sets"] == (False, -1.0)
    assert met["at 2 a label at least 8 points above logistic, mean over sets"] == (True, 10.0)
    assert met["at 5 a label at least 4 points above logistic, mean over sets"] == (True, 4.0)
    noise = {value for bar, value in met.items() if bar.startswith("with 10%")}
    assert noise == {(False, 2.0)}


def test_differences_are_paired_by_seed() -> None:
    """Draws differ a lot, methods by one point in each: the error is that of the one point."""
    cells = [
        cell(method, 2, base + better, seed=seed)
        for seed, base in enumerate((0.3, 0.6, 0.9))
        for method, better in (("stock", 0.0), ("ours", 0.01))
    ]
    cells.append(cell("ours", 2, 0.1, seed=3))  # stock has no such seed yet
    found = Cells(cells).difference("ours", "stock", "things", 0.0, 2)
    assert found is not None
    assert found.mean == pytest.approx(1.0)
    assert found.error == pytest.approx(0.0, abs=1e-9)


def test_a_run_goes_on_where_it_was_and_measures_anew_only_what_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def method(task: Any, encoder: Any) -> Any:
        asked.append(task.seed)
        return fit_logistic(task, encoder)

    monkeypatch.setitem(METHODS, "spied", method)
    table = tmp_path / "accuracy.csv"
    keys = [Key("things", "spied", 0.0, 5, seed) for seed in range(3)]
    run([split()], keys[:2], HashingEncoder(), table, "abc")
    run([split()], keys, HashingEncoder(), table, "abc")
    assert asked == [0, 1, 2]
    measured = read_cells(table)
    assert [one.key for one in measured] == keys
    assert all(one.accuracy > 0.6 for one in measured)
    forget(table, ["another"])
    assert [one.key for one in read_cells(table)] == keys
    forget(table, ["spied"])
    assert read_cells(table) == []


def test_the_report_tells_every_method_set_and_size(tmp_path: Path) -> None:
    cells = [
        cell(method, size, share, noise=noise)
        for method, share in (("stock", 0.5), ("logistic", 0.61), ("ours", 0.73))
        for size in (2, 5)
        for noise in (0.0, 0.1)
    ]
    write_report(Cells(cells), tmp_path)
    told = (tmp_path / "accuracy.md").read_text(encoding="utf-8")
    assert "at 2 a label at least 15 points above stock, mean over sets | pass (+23.0)" in told
    assert "| 5 | ours | 73.0 | +23.0 | +12.0 |" in told
    assert (tmp_path / "accuracy.png").stat().st_size > 10_000


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore:The least populated class")
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_the_quick_search_finds_the_very_model_of_stocks_whole_search(noise: float) -> None:
    task, encoder = draw(split(), 6, 0, noise), HashingEncoder()
    texts = list(task.test)
    labels, quick = fit_stock(task, encoder).score(texts)
    same_labels, whole = fit_stock(task, encoder, whole_search=True).score(texts)
    assert labels == same_labels
    assert np.array_equal(quick, whole)
