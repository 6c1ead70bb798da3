"""The bars that a method is held to."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from few_labels.estimates import Cells, average

# The bars are goals: chosen, not measured.
TOLERANCE = 0.5  # points


BARS = (  # baseline, labels a class, points above it on average over the sets; 0 for just above
    ("stock", 2, 15),
    ("stock", 5, 5),
    ("stock", 25, 0),
    ("logistic", 2, 8),
    ("logistic", 5, 4),
)


class Verdict(NamedTuple):
    """Whether a bar is met, and the number that decides it."""

    met: bool
    value: float
    where: str = ""

    def __str__(self) -> str:
        return f"{'pass' if self.met else '**FAIL**'} ({self.value:+.1f}{self.where})"


def judge(cells: Cells, method: str) -> dict[str, Verdict | None]:
    """Judge a method by the bars; None where nothing is measured for a bar."""

    def nowhere_below(other: str) -> Verdict | None:
        found = [
            (one.mean, f" at {data}, {size}")
            for data in cells.data
            for size in cells.sizes
            if (one := cells.difference(method, other, data, 0.0, size))
        ]
        return Verdict(min(found)[0] >= -TOLERANCE, *min(found)) if found else None

    def above(other: str, size: int, bar: float) -> Verdict | None:
        found = average(cells.difference(method, other, data, 0.0, size) for data in cells.data)
        return Verdict(found.mean >= bar if bar else found.mean > 0, found.mean) if found else None

    def loses_more(noise: float, sizes: Sequence[int]) -> Verdict | None:
        pairs = [
            (mine.mean - theirs.mean)
            for data in cells.data
            for size in sizes
            if (mine := cells.loss(method, data, noise, size))
            and (theirs := cells.loss("stock", data, noise, size))
        ]
        return Verdict(statistics.fmean(pairs) <= 0, statistics.fmean(pairs)) if pairs else None

    verdicts = {f"nowhere more than {TOLERANCE} below stock (the worst cell)": nowhere_below("stock")}
    for other, size, bar in BARS:
        wanted = f"at least {bar} points above" if bar else "above"
        verdicts[f"at {size} a label {wanted} {other}, mean over sets"] = above(other, size, bar)
    verdicts[f"nowhere more than {TOLERANCE} below logistic (the worst cell)"] = nowhere_below("logistic")
    for noise in (noise for noise in cells.noises if noise):
        what = f"with {noise:.0%} of labels wrong loses no more than stock (its loss less stock's"
        verdicts[f"{what}, mean over sets and sizes)"] = loses_more(noise, cells.sizes)
        for size in cells.sizes:
            verdicts[f"{what}, at {size} a label)"] = loses_more(noise, [size])
    return verdicts
