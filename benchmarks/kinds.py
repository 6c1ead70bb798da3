"""The page ``kinds.md``: accuracy by kind of text, before and after a change of the heads, beside the baselines.

    python benchmarks/accuracy.py SETS/*.parquet --noise 0 --labels-per-class 2,4,8,16,32,50 --out OUT
    python benchmarks/kinds.py OUT/accuracy.csv --before OLD/accuracy.csv

``kind_sets.py`` writes the sets, ``OLD`` is the same measured with the sources before the change. Cells are added to
``kinds.csv``, where those of the older sources are called ``before``.
"""

from __future__ import annotations

import argparse
import math
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from few_labels.cells import Cell, read_cells
from few_labels.estimates import Cells, average
from shared.rows import write_rows
from shared.tables import or_dash, table

HERE = Path(__file__).parent
KINDS = {
    "topics": ("headlines", "leads", "bbc"),
    "intents": ("snips", "banking77"),
    "sentiment": ("movies", "products", "tweets", "tweets3"),
    "emotions": ("emotions8", "goemotions"),
    "tone": ("subjectivity",),
    "a rare class": ("sms_spam",),
}
METHODS = ("stock", "logistic", "before", "ours")
INTRODUCTION = """# Accuracy on six kinds of text

`benchmarks/accuracy.py` on thirteen sets of six kinds (`benchmarks/kind_sets.py`), with right labels, 5 seeds, paired
draws. *before* is our classifier as it was: four heads, one of them chosen, names as examples below ten a label. *ours*
weighs all scorers, the names' among them, by evidence. Question types are missing: no package that we found has such a
set."""


def main() -> None:
    """Add cells, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="tables of accuracy.py")
    parser.add_argument("--before", type=Path, help="table of the older sources")
    asked = parser.parse_args()
    csv = HERE / "kinds.csv"  # sizes that are not measured on all sets yet are left out of the page
    cells = {cell.key: cell for cell in read_cells(csv)}
    for file in asked.files:
        cells |= {cell.key: cell for cell in read_cells(file)}
    for cell in read_cells(asked.before) if asked.before else []:
        renamed = replace(cell, method="before" if cell.method == "ours" else cell.method)
        cells[renamed.key] = renamed
    write_rows(csv, Cell, [cells[key] for key in sorted(cells)], "w", digits=6)
    measured = Cells(cells.values())
    whole = [
        size
        for size in measured.sizes
        if all(
            len(measured.by_seed(data, "ours", 0.0, size)) == len(measured.seeds) for data in measured.data
        )
    ]
    known = Cells(cells[key] for key in sorted(cells) if key.per_label in whole)
    parts = [INTRODUCTION, _means(known), _certain(known), _falls(known), _sets(known)]
    left_out = HERE / "kinds_left_out.md"
    if left_out.exists():
        parts.insert(2, left_out.read_text(encoding="utf-8").strip())
    (HERE / "kinds.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _measured(cells: Cells, sets: Sequence[str], method: str, size: int) -> list[float]:
    found = [100 * cells.mean(data, method, 0.0, size) for data in sets]
    return [] if any(map(math.isnan, found)) else found


def _means(cells: Cells) -> str:
    rows = []
    for kind, sets in {**KINDS, "**all sets**": tuple(cells.data)}.items():
        for size in cells.sizes:
            means = [_measured(cells, sets, method, size) for method in METHODS]
            gain = average(cells.difference("ours", "before", data, 0.0, size) for data in sets)
            rows.append(
                [
                    kind,
                    str(size),
                    *(f"{statistics.fmean(one):.1f}" if one else "-" for one in means),
                    or_dash(gain),
                ]
            )
    return "## By kind, mean over its sets\n\n" + table(
        ["kind", "labels a class", *METHODS, "ours less before"], rows
    )


def _certain(cells: Cells) -> str:
    rows = []
    for kind, sets in KINDS.items():
        for method in ("before", "ours"):
            row = [kind, method]
            for size in cells.sizes:
                known = [cell for data in sets for cell in cells.by_seed(data, method, 0.0, size).values()]
                above = sum(cell.coverage_certain * cell.test for cell in known)
                right = sum(
                    cell.coverage_certain * cell.test * cell.precision_certain
                    for cell in known
                    if cell.coverage_certain
                )
                share = above / max(sum(cell.test for cell in known), 1)
                row.append(f"{100 * right / above:.1f}% of {100 * share:.0f}%" if above else "-")
            rows.append(row)
    sizes = [f"{size} a class" for size in cells.sizes]
    return (
        "## Certainty\n\nHow many of the answers above 0.9 are right, and which share of all answers these are.\n\n"
        + table(["kind", "", *sizes], rows)
    )


def _falls(cells: Cells) -> str:
    rows = []
    for data in cells.data:
        for few, more in zip(cells.sizes, cells.sizes[1:], strict=False):
            row = [data, f"{few} to {more}"]
            worst = 0.0
            for method in ("before", "ours"):
                first, then = (cells.by_seed(data, method, 0.0, size) for size in (few, more))
                gains = [100 * (then[seed].accuracy - first[seed].accuracy) for seed in first if seed in then]
                if len(gains) > 1:
                    error = statistics.stdev(gains) / len(gains) ** 0.5
                    worst = min(worst, statistics.fmean(gains))
                    row.append(f"{statistics.fmean(gains):+.1f} ± {error:.1f}")
                else:
                    row.append("-")
            if worst < 0:
                rows.append(row)
    return (
        "## Where more labels were worse\n\nPaired draws: the larger one contains the smaller one.\n\n"
        + table(["set", "labels a class", "before", "ours"], rows)
    )


def _sets(cells: Cells) -> str:
    rows = [
        [
            data,
            str(size),
            *(
                "-" if math.isnan(found := 100 * cells.mean(data, method, 0.0, size)) else f"{found:.1f}"
                for method in METHODS
            ),
            *(
                or_dash(cells.difference("ours", other, data, 0.0, size))
                for other in ("before", "stock", "logistic")
            ),
        ]
        for data in cells.data
        for size in cells.sizes
    ]
    columns = ["set", "labels a class", *METHODS, "less before", "less stock", "less logistic"]
    return "## Each set\n\n" + table(columns, rows)


if __name__ == "__main__":
    main()
