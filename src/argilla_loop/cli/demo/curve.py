"""The plot of the learning curve."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from pathlib import Path

from argilla_loop.simulate.curve import percent

Z95 = 1.959964  # quantile of the normal distribution for a two-sided 95 % interval


def draw_curve(path: Path, points: Sequence[tuple[int, float]], *, held_back: int, topics: int) -> None:
    """Plot the accuracy on the held-back texts by number of human labels, with its 95 % interval.

    Args:
        path: PNG file to write.
        points: number of human labels and accuracy (0 to 1) of each model, in order.
        held_back: number of texts on which the accuracy was measured.
        topics: number of labels, for the title.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  in the extra demo only, and slow to import
    from matplotlib.figure import Figure  # noqa: PLC0415  as above

    labels, accuracies = [n for n, _ in points], [share for _, share in points]
    bounds = [wilson(share, held_back) for share in accuracies]
    figure = Figure(figsize=(8, 5), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.fill_between(
        labels, [low for low, _ in bounds], [high for _, high in bounds], color="tab:blue", alpha=0.15,
        linewidth=0, label=f"95 % interval ({held_back} texts)",
    )  # fmt: skip
    axes.plot(labels, accuracies, marker="o", markersize=4, color="tab:blue", label="model of each loop")
    axes.annotate(
        f"{accuracies[-1]:.1%}",
        (labels[-1], accuracies[-1]),
        textcoords="offset points",
        xytext=(0, 8),
        ha="center",
    )
    axes.set_title(f"argilla-loop demo: BBC news, {topics} topics")
    axes.set_xlabel("labels given by people")
    axes.set_ylabel("accuracy on held-back texts")
    axes.set_xlim(left=0)
    axes.set_ylim(min(0.5, *accuracies), 1.0)
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, format="png")


def wilson(share: float, n: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of a share of ``n`` observations (Wilson 1927)."""
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
    return centre - half, centre + half
