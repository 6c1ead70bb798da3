"""The results of a simulation: tables on the terminal, rows in files, and the picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from pathlib import Path
from statistics import mean, median

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from argilla_loop.simulate.curve import draw_curves
from argilla_loop.simulate.replay import Row
from argilla_loop.simulate.results import (
    BY_VOTES,
    MIN_RUNS,
    Curve,
    LabelsNeeded,
    accuracy_at,
    baselines,
    budgets_up_to,
    curves,
    final_accuracy,
    is_baseline,
    labels_needed,
)
from argilla_loop.simulate.run import Outcome

SCHEMA = pa.schema(
    [
        ("set", pa.string()),
        ("strategy", pa.string()),
        ("seed", pa.int64()),
        ("turn", pa.int64()),
        ("step", pa.string()),  # what the loop decided
        ("human_labels", pa.int64()),
        ("model_labels", pa.int64()),  # accepted by the service so far
        ("accuracy", pa.float64()),  # on the held-back texts
        ("macro_f1", pa.float64()),
        ("accuracy_votes", pa.float64()),  # of the stock classifier's votes; baseline only
        ("measured", pa.string()),  # how: turn, fit, majority or chance
        ("labels_right", pa.float64()),  # estimated share of right labels, with its interval
        ("labels_right_low", pa.float64()),
        ("labels_right_high", pa.float64()),
        ("can_stop", pa.bool_()),
        ("more_labels", pa.int64()),  # forecast; none once the target is reached
        ("accepted_right", pa.int64()),  # of model_labels
        ("accepted_precision", pa.float64()),
        ("accepted_coverage", pa.float64()),  # share of scored
        ("scored", pa.int64()),  # records logged with a suggestion so far
        ("certain_precision", pa.float64()),  # of the held-back texts above the threshold
        ("certain_coverage", pa.float64()),
        ("head", pa.string()),
        ("model", pa.string()),
        ("human_examples", pa.int64()),
        ("seconds_observe", pa.float64()),
        ("seconds_embed", pa.float64()),
        ("seconds_train", pa.float64()),
        ("seconds_score", pa.float64()),
        ("seconds_choose", pa.float64()),
        ("seconds_decide", pa.float64()),
        ("seconds_log", pa.float64()),
        ("seconds_measure", pa.float64()),
        ("finished", pa.bool_()),  # whether the run is
        ("budget", pa.int64()),
        ("noise", pa.float64()),
        ("slice_size", pa.int64()),
        ("min_examples_per_label", pa.int64()),
        ("certainty_threshold", pa.float64()),
        ("train_on", pa.string()),
        ("pool", pa.int64()),
        ("held_back", pa.int64()),
        ("labels", pa.int64()),
        ("encoder", pa.string()),
        ("version_argilla_loop", pa.string()),
        ("version_classy_classification", pa.string()),
        ("version_scikit_learn", pa.string()),
        ("version_numpy", pa.string()),
        ("code", pa.string()),
    ]
)


def write_rows(folder: Path, rows: Sequence[Row]) -> list[Path]:
    """Write ``turns.parquet`` and ``turns.csv`` with a row for each turn; return their paths."""
    table = pa.Table.from_pylist(list(rows), SCHEMA)
    files = [folder / "turns.parquet", folder / "turns.csv"]
    pq.write_table(table, files[0])
    pa_csv.write_csv(table, files[1])
    return files


def show_outcome(console: Console, outcome: Outcome, folder: Path) -> None:
    """Print the tables, write rows and picture into ``folder``, and print their paths."""
    if outcome.rows:
        found = curves(outcome.rows)
        first = outcome.rows[0]
        title = (
            f"{first['set']}: {first['labels']} labels, {first['pool']} texts to label, "
            f"{first['held_back']} held back"
        )
        if first["noise"]:
            title += f", {first['noise']:.0%} of the answers wrong"
        console.print(tables(found, title=title))
        for line in stopping(outcome.rows):
            _print(console, line)
        files = write_rows(folder, outcome.rows)
        if importlib.util.find_spec("matplotlib") is None:
            _print(console, "no picture: pip install 'argilla-loop[demo]' for matplotlib")
        else:
            files.append(folder / "learning-curves.png")
            draw_curves(files[-1], found, title=title)
        _print(console, "written: " + ", ".join(map(str, files)))
    if outcome.finished < outcome.planned:
        _print(
            console,
            f"stopped with {outcome.finished} of {outcome.planned} runs finished; they are kept in {folder}, "
            "and the same command goes on with the rest",
        )


def stopping(rows: Iterable[Row]) -> Iterator[str]:
    """Yield for each strategy when the service would have said "you can stop", and what that would have cost."""
    runs: dict[str, dict[object, list[Row]]] = {}
    for row in rows:
        runs.setdefault(str(row["strategy"]), {}).setdefault(row["seed"], []).append(row)
    for strategy, by_seed in runs.items():
        stops, given_up = [], []
        for turns in by_seed.values():
            first = next((row for row in turns if row.get("can_stop")), None)
            if first is not None:
                stops.append(float(first["human_labels"] or 0))
                given_up.append(float(turns[-1]["accuracy"] or 0) - float(first["accuracy"] or 0))
        if stops:
            yield (
                f'{strategy}: "you can stop" after {median(stops):.0f} labels in {len(stops)} of {len(by_seed)} runs, '
                f"{100 * mean(given_up):+.1f} points of accuracy before the end"
            )


def tables(found: Mapping[str, Sequence[Curve]], *, title: str) -> RenderableType:
    """Return the tables: accuracy by strategy and labels, and labels needed for the baseline's final accuracy."""
    most = max(float(run.labels[-1]) for runs in found.values() for run in runs)
    columns = budgets_up_to(most)
    accuracy = Table(box=SIMPLE_HEAD, pad_edge=False)
    accuracy.add_column("accuracy after", no_wrap=True)
    for budget in columns:
        accuracy.add_column(f"{budget} labels" if budget == columns[0] else str(budget), justify="right")
    best = {
        budget: max(at[0] for runs in found.values() if (at := accuracy_at(runs, budget)))
        for budget in columns
    }
    for name, runs in found.items():
        cells = [_accuracy(accuracy_at(runs, budget), best[budget]) for budget in columns]
        accuracy.add_row(name, *cells)
    seeds = max(len(runs) for runs in found.values())
    over = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    interval = " ± half its 95 % confidence interval" if seeds >= MIN_RUNS else ""
    note = Text(f"{over}{interval}; best in bold", style="dim")
    shown: list[RenderableType] = [Text(title, style="italic"), accuracy, note]
    return Group(*shown, Text(), _needed(found)) if baselines(found) else Group(*shown)


def _accuracy(value: tuple[float, float] | None, best: float) -> Text:
    if value is None:
        return Text("-")
    middle, half = value
    interval = "" if isnan(half) else f" ±{100 * half:.1f}"
    return Text(f"{middle:.1%}", style="bold" if middle == best else "").append(interval, style="dim")


def _needed(found: Mapping[str, Sequence[Curve]]) -> RenderableType:
    """Return a table with a column for each way to measure the baseline, and a row for each strategy."""
    goals = baselines(found)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("labels needed for", no_wrap=True)
    for name, runs in goals.items():
        table.add_column(
            f"{final_accuracy(runs):.1%}{BY_VOTES if name.endswith(BY_VOTES) else ''}", justify="right"
        )
    for name, runs in found.items():
        if not is_baseline(name):
            table.add_row(name, *(_share(labels_needed(runs, goal)) for goal in goals.values()))
    first = next(iter(goals))
    given = sum(float(run.labels[-1]) for run in goals[first]) / len(goals[first])
    table.add_row(first, *(f"{given:.0f} = 100%" for _ in goals))
    note = (
        "what the baseline has at its end; by each run's isotonic curve, mean over seeds, share of its labels"
    )
    return Group(table, Text(note, style="dim"))


def _share(needed: LabelsNeeded) -> str:
    if needed.reached == needed.runs:
        return f"{needed.labels:.0f} = {needed.share:.0%}"
    return f"≥ {needed.labels:.0f} = {needed.share:.0%} ({needed.reached} of {needed.runs} runs)"


def _print(console: Console, text: str) -> None:
    console.print(Text(text), soft_wrap=True)
