"""What annotators are told in the dataset's guidelines: a pure function of what a turn saw and did.

It is read long after it was written, maybe when the service is not even running. So it says what stays true, or says
that it was so when it was written; and it changes with a batch, not with an answer, as every change is a write.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from argilla_loop.domain import NewRecord, Route
from argilla_loop.policy.plan import Finished, Observation, Step, Wait, missing_examples

TITLE = "### From argilla-loop"
NAMED = 5  # labels that are named one by one
LONGEST = 60  # characters of a label's name
_PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def notice(step: Step, seen: Observation, records: Sequence[NewRecord], *, minimum: int) -> str | None:
    """Markdown for annotators; None where the turn has nothing to tell them.

    Args:
        step: what was planned.
        seen: from what.
        records: what was logged of it.
        minimum: human examples each label needs.
    """
    lines = [TITLE]
    if isinstance(step, Finished):
        lines.append(
            "**All texts have been dealt with.** No further batch comes unless texts are added to the pool. "
            "You may still change answers."
        )
    elif isinstance(step, Wait):
        lines += _open(step.batch.number, last=seen.pool_left == 0)
    elif any(record.route is not Route.ACCEPT for record in records):
        lines += _open(step.number, last=seen.pool_left <= len(records))
    else:
        return None  # nothing in it for people: the next turn comes at once
    lacking = missing_examples(seen.examples, seen.labels, minimum)
    if lacking:
        lines.append(_lacking(lacking, minimum))
    return "\n\n".join(lines)


def _open(number: int, *, last: bool) -> list[str]:
    if last:
        return [
            (
                f"**Batch {number} is the last one**: no text was left for another when it was put here. Your queue "
                "shows what is left of it."
            )
        ]
    return [
        f"**The latest batch is number {number}.** Your queue shows what is left of it.",
        (
            "When all of its texts are done, the model learns from your answers, and the next batch follows after a "
            "moment: go to Home and open the dataset again. If your queue stays empty for minutes, others still have "
            "texts of this batch to answer, or argilla-loop is not running: ask whoever runs it."
        ),
    ]


def _lacking(lacking: Mapping[str, int], minimum: int) -> str:
    most_first = sorted(lacking, key=lambda label: -lacking[label])
    named = [f"{escaped(label)} ({minimum - lacking[label]} of {minimum})" for label in most_first[:NAMED]]
    if rest := len(lacking) - len(named):
        named.append(f"{rest} more")
    return f"When this was written, these labels had too few answers of people: {', '.join(named)}."


def escaped(name: str) -> str:
    """``name`` on one line, as Markdown that shows it as it is."""
    line = " ".join(name.split())
    line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    entities = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}  # a sanitizer may come before Markdown is read
    return _PUNCTUATION.sub(lambda found: entities.get(found[0], "\\" + found[0]), line)
