"""How the labelling goes, from the records alone."""

from __future__ import annotations

from adjudicated import read_all

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.progress import Blind, Progress, Validated, progress

BOT = "bot"


def record(
    record_id: str, batch: int | None, *people: str, says: str | None = None, route: Route = Route.ASK,
    held_back: bool = False,
) -> LoggedRecord:  # fmt: skip
    """A record of which the model ``says`` something, and that ``people`` answered, each with a label or "discard"."""
    answers = [Answer(BOT, "submitted", says, "2026-01-01")] if route is Route.ACCEPT else []
    for number, given in enumerate(people):
        status, label = ("discarded", None) if given == "discard" else ("submitted", given)
        answers.append(Answer(f"u{number}", status, label, f"2026-01-0{number + 2}"))  # type: ignore[arg-type]  # one of the two
    return LoggedRecord(
        id=record_id, text="t", batch=batch, route=route, certainty=0.93 if says else None,
        model="abc" if says else None, suggestion=None if held_back or route is Route.AUDIT else says,
        prediction=says, threshold=0.9 if says else None, held_back=held_back, answers=tuple(answers),
    )  # fmt: skip


def seen(*records: LoggedRecord, min_submitted: int = 1) -> Progress:
    return progress(read_all(records, BOT, min_submitted=min_submitted))


def test_batches_examples_and_agreement() -> None:
    """Agreement compares people with what they were suggested; a relabelled acceptance counts as the person's."""
    found = seen(
        record("a", 0, "X"),
        record("b", 0, "discard"),
        record("c", 1, "X", says="X"),
        record("d", 1, "Y", says="X"),
        record("e", 1, says="Y", route=Route.ACCEPT),
        record("f", 1, "X", says="Y", route=Route.ACCEPT),
        record("g", 2, says="X"),
        record("h", None, "Y"),
    )
    first, second, third = found.batches
    assert (first.number, first.size, first.done, first.agreement, first.models) == (0, 2, 2, None, ())
    assert (second.size, second.done, second.asked, second.accepted) == (4, 4, 2, 2)
    assert (second.answered, second.agreed) == (2, 1)
    assert second.models == ("abc",)
    assert (third.size, third.done, third.agreement) == (1, 0, None)
    assert found.human == {"X": 3, "Y": 2}
    assert found.model == {"Y": 1}
    assert (found.discarded, found.unnumbered) == (1, 1)
    assert found.agreement == 1 / 2


def test_what_was_asked_blindly_is_counted_apart_from_what_was_suggested() -> None:
    found = seen(
        record("a", 0, "X", says="X", route=Route.AUDIT),
        record("b", 0, "Y", says="X", route=Route.AUDIT),
        record("c", 0, says="X", route=Route.AUDIT),
        record("d", 0, "X", says="X", held_back=True),
        record("e", 0, says="X", held_back=True),
        record("f", 0, "X", says="X"),
    )
    (batch,) = found.batches
    assert (batch.asked, batch.accepted, batch.audited, batch.held_back) == (3, 0, 3, 2)
    assert (batch.answered, batch.agreed) == (1, 1)
    assert (batch.checked, batch.right) == (3, 2)
    assert found.audited == Blind(logged=3, answered=2, right=1)
    assert found.held_back == Blind(logged=2, answered=1, right=1)


def test_what_is_held_back_is_no_example() -> None:
    assert seen(record("a", 0, "X", says="X", held_back=True)).human == {}


def test_validated_records_stand_unless_people_say_otherwise() -> None:
    """Another label, a discard and a tie each take the label from the service; one taken back is no more counted."""
    found = seen(
        record("a", 0, says="X", route=Route.ACCEPT),
        record("b", 0, "X", says="X", route=Route.ACCEPT),
        record("c", 0, "Y", says="X", route=Route.ACCEPT),
        record("d", 0, "discard", says="X", route=Route.ACCEPT),
        record("e", 0, "X", "Y", says="X", route=Route.ACCEPT),
        LoggedRecord("f", "t", 0, Route.ACCEPT, 0.93, "abc", "X", "X", 0.9),
        LoggedRecord(
            "g",
            "t",
            0,
            Route.ACCEPT,
            0.93,
            "abc",
            "X",
            "X",
            0.9,
            answers=(Answer(BOT, "submitted", "Y", "1"),),
        ),  # relabelled with the service's own account
    )
    assert found.validated == Validated(all=6, confirmed=1, corrected=4)
    assert found.validated.standing == 2
    assert found.model == {"X": 1}


def test_people_who_disagree_are_shown_with_what_they_gave() -> None:
    found = seen(
        record("a", 0, "X", "X"),
        record("b", 0, "X", "Y"),
        record("c", 0, "Y", "X", "discard"),
        record("d", 0, "Y"),
        record("e", 0, "Y", says="X", route=Route.ACCEPT),  # disputed by one person only, with the service
    ).disagreement
    assert (found.several, found.disagreed) == (3, 2)
    assert found.pairs[0] == (("X", "Y"), 2)
    assert dict(found.pairs[1:]) == {("X", None): 1, ("Y", None): 1}


def test_a_record_that_needs_more_answers_is_no_example_yet_and_no_check() -> None:
    found = seen(record("a", 0, "X", says="X", route=Route.AUDIT), min_submitted=2)
    assert (found.human, found.audited) == ({}, Blind(1, 0, 0))


def test_nothing_logged_yet() -> None:
    found = seen()
    assert (list(found.batches), found.agreement) == ([], None)
