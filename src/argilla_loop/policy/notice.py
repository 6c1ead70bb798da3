"""What annotators are told beside the labels: a pure function of what a turn saw and did.

It is read long after it was written, maybe when the service is not even running. So it says what stays true, or says
that it was so when it was written; and it changes with a batch, not with an answer, as every change is a write.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from argilla_loop.domain import NewRecord, Route
from argilla_loop.errors import collapse_whitespace
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.plan import Finished, Plan, Stopped, Wait

NAMED = 5  # labels that are named one by one
LONGEST = 40  # characters of a label's name
NEXT = (
    "When all of its texts are done, the next one follows after a moment: go to Home and open the dataset again. "
    "If none comes for minutes, others still have texts of this one, or argilla-loop is not running: ask whoever "
    "runs it."
)
REFILLED = (
    "The next one follows while you answer the last of its texts. If the page says that the task is completed, wait a "
    "moment, go to Home and open the dataset again."
)
LAST = "No text was left for another when it was put here. Your queue shows what is left of it."
FINISHED = "No further batch comes unless texts are added to the pool. You may still change answers."
AS_LOADED = "This is as it was when the page was loaded: reload it to see the latest."


def notice(decided: Plan, records: Sequence[NewRecord], outlook: Outlook | None = None) -> str | None:
    """Return paragraphs for annotators, the most important first; ``None`` if the turn changes nothing for them.

    The result is plain text, which Argilla's UI turns into HTML.

    Args:
        decided: the plan of the turn.
        records: what was logged.
        outlook: how right the labels are, if that is known.
    """
    step, seen, lacking = decided.step, decided.seen, decided.acceptance.missing
    following = REFILLED if decided.acceptance.rules.refill_at else NEXT
    if isinstance(step, Finished):
        state, hint = "All texts have been dealt with.", FINISHED
    elif isinstance(step, Stopped):
        state, hint = "What was asked for is reached.", FINISHED
    elif isinstance(step, Wait):
        state, hint = _open(step.batch.number, last=seen.pool_left == 0, following=following)
    elif any(record.route is not Route.ACCEPT for record in records):
        state, hint = _open(step.number, last=seen.pool_left <= len(records), following=following)
    else:
        return None  # it holds nothing for people: the next turn follows at once
    paragraphs = [f"From argilla-loop: {state}"]
    if outlook is not None:
        paragraphs.append(_in_plain_words(outlook))
    if lacking:
        paragraphs.append(_lacking(lacking, decided.acceptance.rules.min_examples_per_label))
    return "\n\n".join([*paragraphs, hint, AS_LOADED])


def _in_plain_words(outlook: Outlook) -> str:
    """Return how far the work is, how good the model is, and how many labels are needed, for people who label."""
    with_help = f", and argilla-loop has labelled {outlook.accepted:,}" if outlook.accepted else ""
    right = math.floor(100 * outlook.model.value + 1e-9)
    sentences = [
        f"People have labelled {outlook.human:,} of {outlook.total:,} texts{with_help}.",
        f"The model chooses the right label for about {right} in 100 of the others.",
    ]
    if outlook.can_stop:
        sentences.append("That is good enough to stop labelling.")
    elif outlook.forecast is not None and outlook.forecast.high is not None:
        sentences.append(f"About {outlook.forecast.labels:,} more labels are needed.")
    elif outlook.forecast is not None:
        sentences.append("Many more labels are needed.")
    return " ".join(sentences)


def _open(number: int, *, last: bool, following: str) -> tuple[str, str]:
    """What is so, and what follows from it."""
    if last:
        return f"batch {number} is the last one.", LAST
    return f"the latest batch is number {number}.", following


def _lacking(lacking: Mapping[str, int], minimum: int) -> str:
    most_first = sorted(lacking, key=lambda label: -lacking[label])
    named = [f"{escaped(label)} ({minimum - lacking[label]} of {minimum})" for label in most_first[:NAMED]]
    if rest := len(lacking) - len(named):
        named.append(f"{rest} more")
    return f"When this was written, these labels had too few answers of people: {', '.join(named)}."


def escaped(name: str) -> str:
    """``name`` on one line, as HTML that shows it as it is."""
    line = collapse_whitespace(name)
    return html.escape(line if len(line) <= LONGEST else line[: LONGEST - 1] + "…")
