"""The benchmark of the whole loop judges by what its runs did, and counts no run as there that is not."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from argilla_loop.simulate.results import Curve, LabelsNeeded, curves

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "simulate.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("simulate_benchmark", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = load()


def needed(share: float, *, reached: int = 5) -> LabelsNeeded:
    return LabelsNeeded(reached, 5, 200 * share, share)


def run(seed: int, *accuracies: float) -> Curve:
    return Curve("mixed", seed, np.asarray([50.0, 100.0, 200.0]), np.asarray(accuracies))


def rows(
    strategy: str, *accuracies: float, votes: float | None = None, seed: int = 0
) -> list[dict[str, Any]]:
    return [
        {
            "set": "things", "strategy": strategy, "seed": seed, "human_labels": labels, "accuracy": accuracy,
            "accuracy_votes": votes, "finished": True, "labels": 3, "code": "abc", "version_numpy": "2",
        }
        for labels, accuracy in zip((50, 100, 200), accuracies, strict=True)
    ]  # fmt: skip


def played(ours: float, tutorial: float) -> Any:
    found = [
        row
        for seed in range(3)
        for row in (
            *rows("mixed", 0.5, ours, ours, seed=seed),
            *rows("tutorial", 0.1, 0.2, tutorial, votes=0.95, seed=seed),
        )
    ]
    return bench.Played(curves(found), found)


def test_the_bar_is_met_by_the_mean_over_sets_of_runs_that_all_get_there() -> None:
    assert bench.mean_share([needed(0.2), needed(0.8)]) == "**50%** (bar 50%: pass)"
    assert bench.mean_share([needed(0.2), needed(0.9)]) == "**55%** (bar 50%: **FAIL**)"


def test_a_run_that_does_not_get_there_leaves_the_bar_open_or_fails_it() -> None:
    assert "≥ 40%** (bar 50%: open" in bench.mean_share([needed(0.2), needed(0.6, reached=4)])
    assert "≥ 60%** (bar 50%: **FAIL**)" in bench.mean_share([needed(0.2), needed(1.0, reached=0)])


def test_losses_are_paired_by_seed() -> None:
    right = [run(0, 0.5, 0.6, 0.7), run(1, 0.5, 0.8, 0.9), run(2, 0.0, 0.0, 0.0)]
    wrong = [run(1, 0.5, 0.7, 0.8), run(0, 0.5, 0.5, 0.7)]
    assert bench.loss(right, wrong, 100) == pytest.approx((10.0, 0.0))
    assert bench.loss(right, wrong, 200) == pytest.approx((5.0, 10 / math.sqrt(2) / math.sqrt(2)))


def test_the_worst_fall_is_within_a_run_of_ours() -> None:
    told = [
        *rows("mixed", 0.9, 0.8, 0.85),
        *rows("mixed", 0.3, 0.6, 0.35, seed=1),
        *rows("tutorial", 0.9, 0.1, 0.1),
    ]
    fall = bench.worst_fall(told)
    assert (fall.seed, fall.labels) == (1, 200)
    assert fall.points == pytest.approx(25.0)


def test_the_page_and_the_picture_tell_bars_and_losses_of_every_set(tmp_path: Path) -> None:
    right, wrong = played(0.9, 0.8), played(0.7, 0.75)
    told = bench.report({("things", 0.0): right, ("things", 0.1): wrong}, "f00")
    assert "| things (3 labels) | mixed | 50.0 ± 0.0 | 90.0 ± 0.0 | 90.0 ± 0.0 | 100 (50%) for 80.0 |" in told
    assert "that `mixed` needs, mean over the sets: **50%** (bar 50%: pass)" in told
    assert "| things | 200 | +20.0 ± 0.0 | +5.0 ± 0.0 | +0.0 ± 0.0 |" in told
    assert (
        "no more than `tutorial` (its loss less the other's, mean over sets): pass (+0.0) after 50, **FAIL** (+20.0)"
        in told
    )
    bench.picture(tmp_path / "one.png", {"things": right.found})
    assert (tmp_path / "one.png").stat().st_size > 5_000
