"""What is concluded from the rows, and how it is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from argilla_loop.simulate.replay import Row
from argilla_loop.simulate.results import (
    BY_VOTES,
    Curve,
    accuracy_at,
    baselines,
    budgets_up_to,
    curves,
    final_accuracy,
    labels_needed,
    mean_curve,
)
from argilla_loop.simulate.run import Outcome
from argilla_loop.simulate.show import SCHEMA, show_outcome

# As measured: a count of right answers out of so many. Two accuracies apart by less than a rounding error do not exist.
ACCURACIES = st.lists(st.integers(0, 10_000).map(lambda right: right / 10_000), min_size=1, max_size=30)


def curve(accuracy: Sequence[float], *, strategy: str = "random", seed: int = 0) -> Curve:
    labels = np.arange(len(accuracy), dtype=np.float64) * 10
    return Curve(strategy, seed, labels, np.asarray(accuracy, dtype=np.float64))


def rows(strategy: str, seed: int, accuracy: Sequence[float], *, finished: bool = True) -> list[Row]:
    common: Row = {
        "set": "news",
        "labels": 4,
        "pool": 100,
        "held_back": 50,
        "noise": 0.0,
        "finished": finished,
    }
    return [
        {**common, "strategy": strategy, "seed": seed, "turn": n, "human_labels": 10 * n, "accuracy": value}
        for n, value in enumerate(accuracy)
    ]


def test_accuracy_between_two_points_is_the_last_one_measured() -> None:
    run = curve([0.2, 0.5, 0.9])
    assert [run.at(n) for n in (0, 9, 10, 15, 20)] == [0.2, 0.2, 0.5, 0.5, 0.9]
    assert run.at(21) is None


def test_of_several_turns_with_the_same_labels_the_last_one_counts() -> None:
    same = [{**row, "human_labels": 10} for row in rows("random", 0, [0.3, 0.4, 0.5])]
    (run,) = curves(same)["random"]
    assert run.labels.tolist() == [10]
    assert run.accuracy.tolist() == [0.5]


def test_a_lucky_point_does_not_reach_a_level_and_a_late_dip_does_not_lose_it() -> None:
    lucky = curve([0.1, 0.9, 0.1, 0.1, 0.5, 0.9, 0.9])
    assert lucky.reaches(0.85) == 50
    dip = curve([0.1, 0.85, 0.91, 0.92, 0.89, 0.92, 0.92])
    assert dip.reaches(0.9) == 20
    assert dip.reaches(0.95) is None


@given(ACCURACIES, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_accuracy_never_needs_fewer_labels(accuracy: list[float], one: float, other: float) -> None:
    run = curve(accuracy)
    less, more = (run.reaches(level) for level in sorted((one, other)))
    assert more is None or (less is not None and less <= more)


@given(ACCURACIES)
def test_a_curve_that_never_falls_reaches_each_of_its_points_there(accuracy: list[float]) -> None:
    """Smoothing changes nothing where there is nothing to smooth."""
    run = curve(sorted(accuracy))
    for labels, value in zip(run.labels, run.accuracy, strict=True):
        reached = run.reaches(float(value))
        assert reached is not None
        assert reached <= labels
        assert run.at(reached) == pytest.approx(value)


def test_labels_needed_are_a_mean_over_runs_and_a_share_of_the_baselines() -> None:
    baseline = [curve([0.1, 0.4, 0.7, 0.8, 0.8], strategy="tutorial", seed=n) for n in range(2)]
    runs = [curve([0.1, 0.8, 0.9, 0.9, 0.9]), curve([0.1, 0.7, 0.7, 0.9, 0.9], seed=1)]
    needed = labels_needed(runs, baseline)
    assert (needed.labels, needed.share, needed.reached, needed.runs) == (20, 0.5, 2, 2)


def test_a_run_that_never_gets_there_counts_with_all_its_labels() -> None:
    baseline = [curve([0.1, 0.8, 0.9], strategy="tutorial")]
    needed = labels_needed([curve([0.1, 0.2, 0.3]), curve([0.1, 0.9, 0.9])], baseline)
    assert (needed.labels, needed.reached, needed.runs) == (15, 1, 2)


def test_the_band_is_the_mean_with_students_interval_where_all_runs_are() -> None:
    means = mean_curve(
        [curve([0.2, 0.5, 0.6, 0.9]), curve([0.4, 0.5, 0.9], seed=1), curve([0.3, 0.5, 0.6], seed=2)]
    )
    assert means.labels.tolist() == [0, 10, 20]
    assert means.mean.tolist() == pytest.approx([0.3, 0.5, 0.7])
    assert means.half_width.tolist() == pytest.approx([4.302653 * 0.1 / 3**0.5, 0.0, 4.302653 * 0.1])
    assert np.isnan(mean_curve([curve([0.2]), curve([0.4])]).half_width).all()


def test_accuracy_at_leaves_out_runs_that_did_not_get_there() -> None:
    runs = [curve([0.2, 0.5]), curve([0.4, 0.5, 0.9], seed=1)]
    value = accuracy_at(runs, 20)
    assert value is not None
    assert value[0] == 0.9
    assert accuracy_at(runs, 30) is None


def test_budgets_are_round_and_end_with_the_last() -> None:
    assert budgets_up_to(200) == [10, 25, 50, 100, 200]
    assert budgets_up_to(60) == [10, 25, 50, 60]
    assert budgets_up_to(7) == [7]
    assert len(budgets_up_to(4000)) == 6


def test_half_a_run_counts_only_where_there_is_no_whole_one() -> None:
    part = rows("random", 1, [0.1, 0.2], finished=False)
    assert [run.seed for run in curves([*rows("random", 0, [0.1, 0.8]), *part])["random"]] == [0]
    assert [run.seed for run in curves(part)["random"]] == [1]


def test_the_baseline_is_measured_in_both_ways() -> None:
    """By what its classifier shows, and by its votes, which with few examples are something else."""
    measured = rows("tutorial", 0, [0.1, 0.5, 0.1])
    measured[1]["accuracy_votes"], measured[2]["accuracy_votes"] = 0.4, 0.6
    found = curves([*measured, *rows("random", 0, [0.1, 0.6, 0.7])])
    votes = f"tutorial{BY_VOTES}"
    assert list(found) == ["random", "tutorial", votes]
    assert found[votes][0].accuracy.tolist() == [0.1, 0.4, 0.6]
    assert {name: final_accuracy(runs) for name, runs in baselines(found).items()} == {
        "tutorial": 0.1,
        votes: 0.6,
    }
    assert baselines({"random": found["random"]}) == {}


def test_tables_files_and_picture(tmp_path: Path) -> None:
    everything = [
        *rows("random", 0, [0.25, 0.5, 0.9]),
        *rows("random", 1, [0.25, 0.6, 0.9]),
        *rows("tutorial", 0, [0.25, 0.3, 0.5]),
        *rows("tutorial", 1, [0.25, 0.3], finished=False),
    ]
    console = Console(width=80, record=True, file=(tmp_path / "said").open("w"))
    show_outcome(console, Outcome(everything, finished=3, planned=4), tmp_path)
    console.file.close()
    said = console.export_text()
    assert "news: 4 labels, 100 texts to label, 50 held back" in said
    random, tutorial = (
        next(line.split() for line in said.splitlines() if line.strip().startswith(name))
        for name in ("random", "tutorial")
    )
    assert random == ["random", "55.0%", "90.0%"]
    assert tutorial == ["tutorial", "30.0%", "50.0%"]
    needed = said.partition("labels needed for")[2]
    assert needed.split()[:3] == ["50.0%", "50.0%,", "by"]
    assert any(line.split() == ["random", *["10", "=", "50%"] * 2] for line in needed.splitlines())
    assert any(line.split() == ["tutorial", *["20", "=", "100%"] * 2] for line in needed.splitlines())
    assert "stopped with 3 of 4 runs finished" in said
    assert pq.read_table(tmp_path / "turns.parquet").num_rows == len(everything)
    written = pa_csv.read_csv(tmp_path / "turns.csv").to_pylist()
    assert [row["accuracy"] for row in written] == [row["accuracy"] for row in everything]
    assert (tmp_path / "learning-curves.png").read_bytes().startswith(b"\x89PNG")


def test_with_nothing_done_it_says_how_to_go_on(tmp_path: Path) -> None:
    console = Console(width=80, record=True, file=(tmp_path / "said").open("w"))
    show_outcome(console, Outcome([], finished=0, planned=4), tmp_path)
    console.file.close()
    assert "the same command goes on" in " ".join(console.export_text().split())
    assert not (tmp_path / "turns.csv").exists()


def test_the_guide_names_every_column_and_no_other() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "simulate.md").read_text(encoding="utf-8")
    table = guide.partition("## The columns")[2].partition("\n## ")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    named = [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(SCHEMA.names)
