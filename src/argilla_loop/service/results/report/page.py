"""The report as one HTML file that loads nothing: no script, font or picture, under a strict content policy."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from argilla_loop.policy.explanation import Explanation
from argilla_loop.policy.report.effort import PAUSE
from argilla_loop.policy.report.figures import Report
from argilla_loop.service.results.report.about import About
from argilla_loop.service.results.report.plots import (
    Kind,
    Line,
    Text,
    column_plot,
    key_of,
    line_plot,
    share_bar,
)
from argilla_loop.service.results.report.tables import (
    ASKED,
    AUDITED,
    HELD_BACK,
    MOST_BATCHES,
    MOST_PEOPLE,
    SERVICE,
    batch_rows,
    confusion,
    count,
    label_table,
    share,
    share_rows,
    wrong_pairs,
)

FOLDER = Path(__file__).parent
# Share of the audit results after which the lower bound says something; the axis starts there. Chosen, not measured.
EARLY = 0.2
ACCEPTED = Kind("accepted", SERVICE.style)


@dataclass(frozen=True, slots=True)
class Section:
    """A section that another command fills: sentences and a table. It must hold no text and no person's name.

    Attributes:
        title: its heading.
        sentences: paragraphs.
        caption: of the table.
        columns: headings of the table.
        rows: of the table; the first cell is its heading.
    """

    title: str
    sentences: Sequence[str] = ()
    caption: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()


def render(report: Report, words: Explanation, about: About, extra: Sequence[Section] = ()) -> str:
    """Return the page; the same arguments give the same page.

    Args:
        report: the figures.
        words: what the plan says.
        about: how it was made.
        extra: further sections.
    """
    wrong, more = wrong_pairs(report)
    return (
        environment(FOLDER)
        .get_template("page.html")
        .render(
            **sections(report, words),
            about=about,
            extra=extra,
            policy=_policy(),
            confusion=confusion(report),
            wrong_rows=wrong,
            wrong_more=more,
            batch_rows=batch_rows(report.seen.batches),
            batch_more=len(report.seen.batches) > MOST_BATCHES,
            shown_people=MOST_PEOPLE,
        )
    )


def environment(*folders: Path) -> Environment:
    """Return what renders the templates in ``folders``; everything is escaped."""
    return Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )


def sections(report: Report, words: Explanation) -> dict[str, Any]:
    """Return what the templates in ``sections/`` need, which the page of the running service has too."""
    return {
        "report": report,
        "words": words,
        "tiles": _tiles(report),
        "plots": _plots(report),
        "captions": _captions(report),
        "share_rows": share_rows(report),
        "key_of": key_of,
        "n": count,
        "p": share,
        **label_table(report),
    }


def digest(source: str) -> str:
    """Return how a content security policy names ``source``, a style sheet or script in the page."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"


def _policy() -> str:
    """Return a content security policy that allows nothing but our own style sheet, by its digest."""
    style = (FOLDER / "style.css").read_text(encoding="utf-8")
    return f"default-src 'none'; style-src {digest(style)}; base-uri 'none'; form-action 'none'"


def _tiles(report: Report) -> list[tuple[str, str]]:
    """Return the figures that most people look for: value and what it is."""
    shares = report.shares
    tiles = [
        (share(shares.labelled, shares.total), f"labelled: {shares.labelled:,} of {shares.total:,} texts"),
        (count(shares.people), "labelled by people"),
        (count(shares.service), "labelled by the service"),
    ]
    if (now := report.accuracy) is not None:
        of = f"right on the latest {now.answers:,} random texts ({now.low:.1%} to {now.high:.1%})"
        tiles.append((f"{now.share:.1%}", of))
    blind = sum(report.pairs.values())
    if blind:
        right = blind - sum(
            number
            for (said, meant), number in report.pairs.items()
            if not report.plan.seen.task.agree(meant, said)
        )
        tiles.append((f"{right:,}/{blind:,}", "blind answers that agree with the model"))
    if report.effort.median_seconds is not None:
        tiles.append((_duration(report.effort.hours), "people spent"))
    if report.saved_hours:
        tiles.append((_duration(report.saved_hours), "saved by the service"))
    return tiles


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def _plots(report: Report) -> dict[str, Markup | None]:
    rules, shares = report.plan.acceptance.rules, report.shares
    routes = [
        (batch.asked - batch.held_back, batch.held_back, batch.audited, batch.accepted)
        for batch in report.seen.batches
    ]
    names = ", ".join(f"{kind.name} {number:,}" for kind, number in share_rows(report))
    return {
        "share": share_bar(
            Text("plot-share", "Who labelled the texts", f"{names}; {shares.total:,} texts in all."),
            share_rows(report),
        ),
        "learning": _learning(report),
        "precision": _precision(report, rules.criterion.precision if rules.criterion else None),
        "routes": column_plot(
            Text(
                "plot-routes",
                "What became of each batch",
                f"{len(routes):,} batches. In all: "
                + ", ".join(
                    f"{kind.name} {sum(one[place] for one in routes):,}"
                    for place, kind in enumerate((ASKED, HELD_BACK, AUDITED, ACCEPTED))
                )
                + ".",
            ),
            (ASKED, HELD_BACK, AUDITED, ACCEPTED),
            routes,
            first=report.seen.batches[0].number,
            x_label="batch",
        )
        if routes
        else None,
    }


def _learning(report: Report) -> Markup | None:
    lines = []
    if report.learning:
        lines.append(
            Line(
                "random texts",
                "c-people",
                [(point.labels, point.share) for point in report.learning],
                [(point.labels, point.low, point.high) for point in report.learning],
                has_marks=True,
            )
        )
    if report.kept:
        points = [(point.labels, point.share) for point in report.kept]
        lines.append(Line("suggestions kept (doubtful texts)", "c-other", points, is_dashed=True))
    if not lines:
        return None
    text = Text(
        "plot-learning",
        "How right the model is",
        "Share of answers that agree with the model. " + _latest(report),
    )
    return line_plot(text, lines, x_label="labels of people before the batch")


def _precision(report: Report, required: float | None) -> Markup | None:
    if not report.precision:
        return None
    points, last = report.precision, report.precision[-1]
    lines = [
        Line(
            "right so far",
            "c-service",
            [(one.results, one.share) for one in points],
            [(one.results, one.low, one.share) for one in points],
        ),
        Line("lower bound", "c-service", [(one.results, one.low) for one in points], is_dashed=True),
    ]
    if required is not None and last.results > points[0].results:
        ends = [(points[0].results, required), (last.results, required)]
        lines.append(Line(f"required {required:.1%}", "c-other", ends))
    text = Text(
        "plot-precision",
        "How right the accepted labels are",
        f"After {last.results:,} audit results, {last.right:,} of the {last.checked:,} that count are right.",
    )
    return line_plot(text, lines, x_label="audit results", passed_over=EARLY)


def _latest(report: Report) -> str:
    if (now := report.accuracy) is None:
        return ""
    batches = f"batch {now.first}" if now.first == now.last else f"batches {now.first} to {now.last}"
    confidence = report.plan.acceptance.rules.confidence
    return (
        f"Latest {now.answers:,} answers ({batches}): {now.right:,} right, "
        f"by weight {now.share:.1%}, {now.low:.1%} to {now.high:.1%} at {confidence:.0%} confidence."
    )


def _captions(report: Report) -> dict[str, Any]:
    rules, seen = report.plan.acceptance.rules, report.seen
    kept = (
        " Dashed: suggestions that people kept. These texts were chosen because the model doubts them, so the line "
        "says little about the other texts."
    )
    if report.learning:
        learning = (
            "Answers to texts that were drawn at random and shown without a suggestion. Each point has some batches "
            f"in a row, with its own {rules.confidence:.0%} interval. {_latest(report)}"
        )
    elif seen.held_back.logged:
        learning = "No held-back text has been answered yet, so nothing is known about the whole pool."
    else:
        learning = (
            "No text was held back at random (evaluation_share), so nothing is known about the whole pool."
        )
    each = " All labels together; the promise is made for each label." if rules.promise == "label" else ""
    audits, held = seen.audited, seen.held_back
    return {
        "learning": learning + (kept if report.kept else ""),
        "no_learning": learning,
        "precision": (
            "Audit results in the order in which the texts were logged: the share that is right, and its lower "
            f"bound at {rules.confidence:.0%} confidence in a single analysis. Counting starts again when the "
            f"certainty threshold moves.{each}"
        ),
        "no_precision": (
            "Nothing is accepted, so there is nothing to check."
            if rules.criterion is None
            else "There is no audit result yet."
        ),
        "routes": "Asked: with a suggestion once there is a model. Audited and held back: without one.",
        "audits": (
            f"Audits: {audits.right:,} of {audits.answered:,} right, {audits.logged:,} drawn. "
            f"Held back: {held.right:,} of {held.answered:,} right, {held.logged:,} drawn."
        ),
        "batches": (
            f"Batches: {len(seen.batches):,}. People kept {seen.agreed:,} of {seen.answered:,} suggestions "
            f"({share(seen.agreed, seen.answered)}). Discarded texts: {seen.discarded:,}."
        ),
        "time": _time(report),
    }  # fmt: skip


def _time(report: Report) -> list[str]:
    spent = report.effort
    if spent.median_seconds is None:
        return ["There are too few answers to say how long people take."]
    sentences = [
        f"People gave {spent.answers:,} answers in {spent.hours:.1f} hours.",
        (
            "This is the time between one answer and the next of the same person, by Argilla's clock. "
            f"Gaps of more than {PAUSE / 60:.0f} minutes are left out."
        ),
        f"An answer took {spent.median_seconds:.1f} seconds (median).",
    ]
    if report.shares.service:
        sentences.append(
            f"The service saved about {report.saved_hours:.1f} hours: {report.shares.service:,} accepted texts that "
            f"nobody answered, times {spent.median_seconds:.1f} seconds."
        )
    return sentences
