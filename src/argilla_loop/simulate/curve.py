"""The picture of the learning curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from argilla_loop.simulate.results import BY_VOTES, MIN_RUNS, Curve, is_baseline, mean_curve

# Okabe and Ito's palette (2008), which colour-blind readers can tell apart, and brown; the baseline is grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8B4513", "#000000")
BASELINE_COLOUR = "#666666"
# The accuracy axis leaves out what lies before this share of the labels, as every curve starts at chance.
# Chosen, not measured.
AXIS_FROM = 0.12


def percent(share: float) -> str:
    """Format a share for an axis: with a decimal where a tick is not at a whole percent."""
    return f"{100 * share:.3g}%"


def draw_curves(path: Path, found: Mapping[str, Sequence[Curve]], *, title: str) -> None:
    """Draw held-back accuracy by human labels: for each strategy the mean over seeds and its 95 % interval.

    Args:
        path: PNG file to write.
        found: the runs by strategy.
        title: title of the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - extra demo; slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415 - as above

    figure = Figure(figsize=(8.5, 5.2), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    seeds = max(len(runs) for runs in found.values())
    bottom, top = 1.0, 0.0
    for number, (name, runs) in enumerate(found.items()):
        means = mean_curve(runs)
        colour = BASELINE_COLOUR if is_baseline(name) else COLOURS[number % len(COLOURS)]
        low, high = (
            np.maximum(means.mean - means.half_width, 0.0),
            np.minimum(means.mean + means.half_width, 1.0),
        )
        axes.fill_between(means.labels, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(
            means.labels, means.mean, color=colour, linewidth=1.8,
            linestyle="-" if not is_baseline(name) else "-." if name.endswith(BY_VOTES) else "--",
            label=f"{name} ({means.mean[-1]:.1%})",
        )  # fmt: skip
        begun = means.labels >= AXIS_FROM * means.labels[-1]
        bottom = min(bottom, float(means.mean[begun].min()))
        top = max(top, float(np.nanmax([means.mean.max(), *high])))
    axes.set_title(title, loc="left")
    axes.set_xlabel("labels given by people")
    axes.set_ylabel("accuracy on held-back texts")
    axes.set_xlim(left=0)
    axes.set_ylim(max(bottom - 0.05, 0.0), min(top + 0.05, 1.0))
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    over = "one seed" if seeds == 1 else f"mean of {seeds} seeds"
    over += ", 95 % interval" if seeds >= MIN_RUNS else ""
    axes.legend(loc="best", framealpha=0.85, edgecolor="none", title=over)
    figure.savefig(path, format="png")
