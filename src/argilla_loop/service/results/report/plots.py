"""Plots as SVG, from data to a string: for the report, and for any page that has ``style.css``.

A plot has no colours of its own: classes such as ``c-people`` get them from the style sheet, for light and dark. A plot
is 360 units wide, which is about a phone's width, so that its letters stay readable there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH, HEIGHT = 360, 190  # of the drawing, without its legend
LEFT, RIGHT, TOP, BOTTOM = 36, 8, 8, 36
LEGEND_ROW, LETTER, GAP = 16, 5.9, 26  # height of a row, mean width of a letter, room for a key and a gap
MOST_COLUMNS = 60  # a column is then still two pixels wide on a phone


@dataclass(frozen=True, slots=True)
class Text:
    """What a plot is called, for those who see it and those who hear it.

    Attributes:
        key: prefix of its element ids, unique on the page.
        title: its name.
        description: what it shows, in a sentence or two with the main figures.
    """

    key: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class Line:
    """A line of shares.

    Attributes:
        name: for the legend.
        style: class of its colour.
        points: x and y (0 to 1), by ascending x.
        band: x, lower and upper end of an interval.
        is_dashed: whether it is dashed.
        has_marks: whether each point is marked, and each interval drawn as a bar too.
    """

    name: str
    style: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    is_dashed: bool = False
    has_marks: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A part of a column or bar, or a line: its name and the class of its colour."""

    name: str
    style: str
    is_line: bool = False


@dataclass(frozen=True, slots=True)
class _Scale:
    """Maps data to the drawing."""

    x: tuple[float, float]
    y: tuple[float, float]

    def across(self, value: float) -> float:
        low, high = self.x
        return round(LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT), 1)

    def up(self, value: float) -> float:
        low, high = self.y
        return round(HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM), 1)


def line_plot(text: Text, lines: Sequence[Line], *, x_label: str, passed_over: float = 0.0) -> Markup:
    """Draw shares by a number; the axis of shares starts where there is something to see.

    Args:
        text: its name and description.
        lines: at least one, with at least one point.
        x_label: what the number is.
        passed_over: share of the points at the start that may lie below the axis, as they say little yet.
    """
    xs = [x for line in lines for x, _ in line.points]
    low, high = min(xs), max(xs)
    scale = _Scale((low, max(high, low + 1)), (_floor(lines, passed_over), 1.0))
    drawn = [_grid(scale, _shares(scale.y[0]), percent), _ticks(scale, x_label)]
    inside: list[Markup] = []
    for line in lines:
        inside += _band(scale, line)
        inside += _curve(scale, line)
    drawn.append(
        # an inner picture cuts off what lies below the axis
        Markup('<svg aria-hidden="true" x="0" y="0" width="{w}" height="{h}">{inside}</svg>').format(
            w=WIDTH, h=HEIGHT - BOTTOM + 1, inside=Markup().join(inside)
        )
    )
    kinds = [Kind(line.name, _style(line), is_line=True) for line in lines]
    return _picture(text, drawn, kinds, HEIGHT)


def column_plot(
    text: Text, kinds: Sequence[Kind], columns: Sequence[Sequence[int]], *, first: int, x_label: str
) -> Markup:
    """Draw counts as stacked columns; many columns are put together, so that each stays visible.

    Args:
        text: its name and description.
        kinds: what is stacked, from below.
        columns: for each column the counts of all kinds; at least one column.
        first: number of the first column.
        x_label: what a column is.
    """
    each = -(-len(columns) // MOST_COLUMNS)
    stacks = [
        [sum(counts) for counts in zip(*columns[start : start + each], strict=True)]
        for start in range(0, len(columns), each)
    ]
    top = max(*map(sum, stacks), 1)
    scale = _Scale((first - 0.5, first + max(len(stacks), 6) * each - 0.5), (0.0, top))
    drawn = [_grid(scale, _nice(0, top, 4), number)]
    width = (scale.across(first + each) - scale.across(first)) * 0.8
    for place, stack in enumerate(stacks):
        x, below = scale.across(first - 0.4 + place * each), 0
        for kind, count in zip(kinds, stack, strict=True):
            if count:
                y, height = scale.up(below + count), scale.up(below) - scale.up(below + count)
                drawn.append(_rectangle(x, y, width, height, kind.style))
                below += count
    label = x_label if each == 1 else f"{x_label}, {each} in each column"
    drawn.append(_ticks(scale, label, least=first, most=first + len(columns) - 1))
    return _picture(text, drawn, kinds, HEIGHT)


def share_bar(text: Text, parts: Sequence[tuple[Kind, int]]) -> Markup:
    """Draw one bar that is divided in proportion to the counts; empty if there are none."""
    total, start, drawn = max(sum(count for _, count in parts), 1), 0, []
    for kind, count in parts:
        if count:
            x, end = WIDTH * start / total, WIDTH * (start + count) / total
            drawn.append(_rectangle(x, 0, end - x, 22, f"{kind.style} edge"))
            start += count
    return _picture(text, drawn or [_rectangle(0, 0, WIDTH, 22, "c-left")], (), 22)


def cell_bar(parts: Sequence[tuple[Kind, int]], most: int) -> Markup:
    """Draw a small bar for a table's cell; the numbers beside it say the same, so it is hidden from screen readers.

    Args:
        parts: what is put side by side.
        most: count that fills the whole width.
    """
    drawn, start = [], 0
    for kind, count in parts:
        drawn.append(_rectangle(100 * start / max(most, 1), 0, 100 * count / max(most, 1), 10, kind.style))
        start += count
    return Markup(
        '<svg class="cell" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">{}</svg>'
    ).format(Markup().join(drawn))


def key_of(kind: Kind) -> Markup:
    """Draw the key of a kind: a small square in its colour."""
    return Markup('<svg class="key" viewBox="0 0 10 10" aria-hidden="true">{}</svg>').format(
        _rectangle(0, 0, 10, 10, kind.style)
    )


def percent(share: float) -> str:
    """Write a share for an axis."""
    return f"{100 * share:.3g}%"


def number(value: float) -> str:
    """Write a count for an axis."""
    return f"{value:,.0f}"


def _picture(text: Text, drawn: Iterable[Markup], kinds: Sequence[Kind], height: int) -> Markup:
    legend, rows = _legend(kinds, height)
    return Markup(
        '<svg class="plot" viewBox="0 0 {w} {h}" role="img" aria-labelledby="{k}-title {k}-text">'
        '<title id="{k}-title">{title}</title><desc id="{k}-text">{description}</desc>{drawn}{legend}</svg>'
    ).format(
        w=WIDTH, h=height + rows * LEGEND_ROW, k=text.key, title=text.title, description=text.description,
        drawn=Markup().join(drawn), legend=legend,
    )  # fmt: skip


def _legend(kinds: Sequence[Kind], top: int) -> tuple[Markup, int]:
    """Return a legend below the drawing, and the number of its rows."""
    items, x, row = [], float(LEFT), 1
    for kind in kinds:
        width = GAP + LETTER * len(kind.name)
        if x > LEFT and x + width > WIDTH:
            x, row = float(LEFT), row + 1
        y = top + row * LEGEND_ROW - 6
        items.append(
            Markup('<polyline class="{}" points="{},{} {},{}"/>').format(kind.style, x, y - 4, x + 12, y - 4)
            if kind.is_line
            else _rectangle(x, y - 8, 9, 9, kind.style)
        )
        items.append(Markup('<text x="{}" y="{}">{}</text>').format(round(x + 16, 1), y, kind.name))
        x += width
    return Markup().join(items), row if kinds else 0


def _floor(lines: Sequence[Line], passed_over: float) -> float:
    """Return where the axis of shares starts: below all values and the last interval, at a multiple of 10%."""
    values = [y for line in lines for _, y in line.points[int(len(line.points) * passed_over) :]]
    values += [line.band[-1][1] for line in lines if line.band]
    return max(math.floor((min(values) - 0.02) * 10) / 10, 0.0)


def _shares(low: float) -> list[float]:
    step = 0.05 if low >= 0.8 else 0.1 if low >= 0.5 else 0.2 if low >= 0.2 else 0.25  # noqa: PLR2004
    first = math.ceil(round(low / step, 6))
    return [round(n * step, 2) for n in range(first, round(1 / step) + 1)]


def _nice(low: float, high: float, most: int) -> list[int]:
    """Return at most ``most`` + 1 round whole numbers from ``low`` to ``high``."""
    step = 1
    while (high - low) / step > most:
        digits = 10 ** int(math.log10(step))
        step = digits * {1: 2, 2: 5, 5: 10}[step // digits]
    return list(range(math.ceil(low / step) * step, math.floor(high) + 1, step))


def _grid(scale: _Scale, values: Sequence[float], write: Callable[[float], str]) -> Markup:
    return Markup().join(
        Markup(
            '<line class="grid" x1="{l}" y1="{y}" x2="{r}" y2="{y}"/>'
            '<text class="end" x="{t}" y="{b}">{words}</text>'
        ).format(
            l=LEFT, r=WIDTH - RIGHT, y=scale.up(value), t=LEFT - 5, b=round(scale.up(value) + 4, 1),
            words=write(value),
        )
        for value in values
    )  # fmt: skip


def _ticks(scale: _Scale, label: str, *, least: float | None = None, most: float | None = None) -> Markup:
    low, high = scale.x if least is None or most is None else (least, most)
    marks = [
        Markup('<text class="middle" x="{}" y="{}">{}</text>').format(
            min(scale.across(value), WIDTH - RIGHT - LETTER * len(number(value)) / 2),
            HEIGHT - BOTTOM + 14,
            number(value),
        )
        for value in _nice(low, high, 6)
    ]
    middle, bottom = (LEFT + WIDTH - RIGHT) / 2, HEIGHT - BOTTOM + 28
    marks.append(Markup('<text class="middle" x="{}" y="{}">{}</text>').format(middle, bottom, label))
    return Markup().join(marks)


def _band(scale: _Scale, line: Line) -> list[Markup]:
    if not line.band:
        return []
    edge = [(x, high) for x, _, high in line.band] + [(x, low) for x, low, _ in reversed(line.band)]
    drawn = [Markup('<polygon class="band {}" points="{}"/>').format(line.style, _points(scale, edge))]
    if line.has_marks:
        drawn += [
            Markup('<polyline class="bar {}" points="{}"/>').format(
                line.style, _points(scale, [(x, low), (x, high)])
            )
            for x, low, high in line.band
        ]
    return drawn


def _curve(scale: _Scale, line: Line) -> list[Markup]:
    drawn = [Markup('<polyline class="{}" points="{}"/>').format(_style(line), _points(scale, line.points))]
    if line.has_marks or len(line.points) == 1:
        drawn += [
            Markup('<circle class="{}" cx="{}" cy="{}" r="2.6"/>').format(
                line.style, scale.across(x), scale.up(y)
            )
            for x, y in line.points
        ]
    return drawn


def _points(scale: _Scale, points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{scale.across(x)},{scale.up(y)}" for x, y in points)


def _style(line: Line) -> str:
    return f"{line.style} dashed" if line.is_dashed else line.style


def _rectangle(x: float, y: float, width: float, height: float, style: str) -> Markup:
    return Markup('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>').format(
        style, round(x, 2), round(y, 2), round(width, 2), round(height, 2)
    )
