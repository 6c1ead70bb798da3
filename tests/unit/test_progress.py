"""How the labelling goes, from the records alone."""

from __future__ import annotations

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.progress import progress

BOT = "bot"


def record(
    record_id: str,
    batch: int | None,
    *,
    suggestion: str | None = None,
    human: str | None = None,
    accepted: bool = False,
) -> LoggedRecord:
    answers = []
    if accepted:
        answers.append(Answer(BOT, "submitted", suggestion, "2026-01-01"))
    if human == "discard":
        answers.append(Answer("u", "discarded", None, "2026-01-02"))
    elif human:
        answers.append(Answer("u", "submitted", human, "2026-01-02"))
    route = Route.ACCEPT if accepted else Route.ASK
    model = "abc" if suggestion else None
    return LoggedRecord(record_id, "t", batch, route, 0.8, model, suggestion, tuple(answers))


def test_batches_examples_and_agreement() -> None:
    """Agreement compares people with what they were suggested; a relabelled acceptance counts as the person's."""
    seen = progress(
        [
            record("a", 0, human="X"),
            record("b", 0, human="discard"),
            record("c", 1, suggestion="X", human="X"),
            record("d", 1, suggestion="X", human="Y"),
            record("e", 1, suggestion="Y", accepted=True),
            record("f", 1, suggestion="Y", accepted=True, human="X"),
            record("g", 2, suggestion="X"),
            record("h", None, human="Y"),
        ],
        min_submitted=1,
        daemon_id=BOT,
    )
    first, second, third = seen.batches
    assert (first.number, first.size, first.done, first.agreement, first.models) == (0, 2, 2, None, ())
    assert (second.size, second.done, second.accepted) == (4, 4, 2)
    assert (second.answered, second.agreed) == (3, 1)
    assert second.models == ("abc",)
    assert (third.size, third.done, third.agreement) == (1, 0, None)
    assert seen.human == {"X": 3, "Y": 2}
    assert seen.model == {"Y": 1}
    assert (seen.discarded, seen.unnumbered) == (1, 1)
    assert seen.agreement == 1 / 3


def test_nothing_logged_yet() -> None:
    seen = progress([], min_submitted=1, daemon_id=BOT)
    assert (list(seen.batches), seen.agreement) == ([], None)
