"""The picture ``accuracy.png``."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from few_labels.estimates import Cells, estimate

PANELS = 6


def plot(cells: Cells, path: Path) -> None:
    """Draw accuracy by labels per class with right labels, one panel for each of the first ``PANELS`` sets."""
    import matplotlib as mpl  # noqa: PLC0415 - only the plot needs it

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - as above

    shown = cells.data[:PANELS]
    columns = min(len(shown), 2 if len(shown) <= 4 else 3)
    lines = math.ceil(len(shown) / columns)
    figure, axes = plt.subplots(lines, columns, figsize=(4.6 * columns, 3.3 * lines), squeeze=False)
    styles = {
        "stock": ("#c0392b", "o", 2.0),
        "logistic": ("#2471a3", "s", 2.0),
        "ours": ("#1e8449", "D", 2.6),
    }
    others = iter(("#7d8794", "#b7950b", "#8e5ea2", "#48a9a6", "#d08c60", "#5d6d7e"))
    styles |= {
        method: (next(others, "#aaaaaa"), ".", 1.2) for method in cells.methods if method not in styles
    }
    for panel, data in zip(axes.flat, shown, strict=False):
        for method in cells.methods:
            colour, marker, width = styles[method]
            points = [
                (size, one)
                for size in cells.sizes
                if (
                    one := estimate(
                        [cell.accuracy for cell in cells.by_seed(data, method, 0.0, size).values()]
                    )
                )
            ]
            sizes = [size for size, _ in points]
            means = np.array([one.mean for _, one in points])
            errors = np.nan_to_num([one.error for _, one in points])
            panel.plot(sizes, means, color=colour, marker=marker, linewidth=width, markersize=5, label=method)
            panel.fill_between(sizes, means - errors, means + errors, color=colour, alpha=0.18, linewidth=0)
        count = next(cell.labels for cell in cells if cell.data == data)
        panel.set_title(f"{data} ({count} labels)", fontsize=11)
        panel.set_xscale("log")
        panel.set_xticks(cells.sizes, [str(size) for size in cells.sizes])
        panel.minorticks_off()
        panel.set_ylim(0, 101)
        panel.grid(alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes.flat[len(shown) :]:
        panel.set_visible(False)
    figure.supxlabel("human labels a class", fontsize=11)
    figure.supylabel("accuracy on held-back texts, %", fontsize=11)
    handles, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="upper center", ncols=len(names), frameon=False)
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path, dpi=130)
    plt.close(figure)
