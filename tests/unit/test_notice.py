"""What annotators are told, and that the text around it stays people's own."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argilla_loop.domain import Example, NewRecord, Route
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.estimate.outlook import Forecast, Outlook
from argilla_loop.policy.notice import escaped, notice
from argilla_loop.policy.observation import Batch, Observation
from argilla_loop.policy.plan import ColdStart, Finished, NextBatch, Plan, Step, Wait
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.section import put, without
from argilla_loop.policy.validation.acceptance import Acceptance, decide_acceptance

BEGIN, END = "<!-- argilla-loop 0123abcd -->", "<!-- /argilla-loop -->"
OURS = put("", "We say so.")
PIECES = st.sampled_from(
    [BEGIN, END, OURS, OURS + "\n\n" + OURS, "\n\n", "\n", " ", "\r\n", "<!-- ", "argilla-loop", "-->", "```"]
)
TEXTS = st.lists(PIECES | st.text(max_size=8), max_size=8).map("".join)
PLAIN = st.text(max_size=40)
BODIES = st.sampled_from(["Batch 1.", "Batch 2.\n\nMore.", "* a\n* b"])


@given(PLAIN, st.lists(BODIES, min_size=1))
def test_without_our_section_people_have_exactly_what_they_wrote(text: str, bodies: list[str]) -> None:
    """However often the notice changes."""
    edited = text
    for body in bodies:
        edited = put(edited, body)
        assert body in edited
        assert edited.startswith(text)
    assert edited == put(text, bodies[-1])
    assert without(edited) == text


@given(TEXTS, st.lists(BODIES, min_size=1))
def test_broken_moved_and_doubled_sections_cost_nobody_a_word(text: str, bodies: list[str]) -> None:
    edited = text
    for body in bodies:
        edited = put(edited, body)
        assert body in edited
        assert put(edited, body) == edited
    assert without(edited) == without(text)


@given(PLAIN, BODIES)
def test_another_gap_is_taken_out_as_it_was_put_in(text: str, body: str) -> None:
    edited = put(text, body, gap="\n")
    assert "\n\n<!--" not in edited.removeprefix(text)
    assert put(edited, body, gap="\n") == edited
    assert without(edited, gap="\n") == text


def test_the_section_stays_where_people_moved_it() -> None:
    assert put(f"a{OURS}b", "New.") == "a" + put("", "New.") + "b"


def test_every_copy_of_the_section_is_kept_up_to_date() -> None:
    assert "We say so." not in put(f"{OURS}\nbetween\n{OURS}", "New.")


@pytest.mark.parametrize(
    "theirs",
    [
        OURS.replace("We say so.", "We say so. And I say more."),
        OURS.replace(END, ""),
        OURS.removeprefix(OURS.splitlines()[0]),
    ],
)
def test_what_people_wrote_into_or_left_of_a_section_is_kept_and_a_fresh_one_appended(theirs: str) -> None:
    assert put(theirs, "New.") == theirs + "\n\n" + put("", "New.")


def test_a_section_whose_blank_lines_an_editor_changed_is_still_ours() -> None:
    assert put(OURS.replace("\n\n", "\r\n"), "New.") == put("", "New.")


LABELS = ("Film", "Money", "Sport")
EXAMPLES = [Example(f"{label}{n}", "t", label) for label in LABELS[:2] for n in range(2)]
ASKED = [NewRecord(str(n), "t", 1, Route.ASK) for n in range(3)]
ACCEPTED = [NewRecord(str(n), "t", 1, Route.ACCEPT, "Film", 0.9) for n in range(3)]


def seen(left: int = 9, labels: tuple[str, ...] = LABELS, done: int = 0) -> Observation:
    return Observation(Batch(1, 3, done), EXAMPLES, labels, left)


def told(step: Step, seen: Observation, records: Sequence[NewRecord], *, minimum: int) -> str | None:
    rules = Rules(min_examples_per_label=minimum)
    acceptance = decide_acceptance(seen.examples, (), seen.labels, rules)
    return notice(Plan(seen, step, acceptance), records)


def test_a_new_batch_and_the_same_batch_after_a_restart_are_told_in_the_same_words() -> None:
    """So that a restart is no write."""
    logged = told(NextBatch(1, 3), seen(), ASKED, minimum=2)
    waiting = told(Wait(Batch(1, 3, 1)), seen(left=6), (), minimum=2)
    assert logged == waiting
    assert logged is not None
    assert logged.startswith("From argilla-loop: the latest batch is number 1.\n\n")


def test_people_read_how_right_the_labels_are() -> None:
    outlook = Outlook(
        40, 500, 460, Estimate(0.97, 0.94, 0.99, 40), Estimate(0.98, 0.95, 0.99, 60), can_stop=True
    )
    acceptance = decide_acceptance(EXAMPLES, (), LABELS, Rules())
    said = notice(Plan(seen(), NextBatch(1, 3), acceptance), ASKED, outlook)
    assert said is not None
    state, first, *_ = said.split("\n\n")
    assert "the latest batch is number 1" in state
    assert first == (
        "People have labelled 40 of 1,000 texts, and argilla-loop has labelled 500. "
        "The model chooses the right label for about 97 in 100 of the others. "
        "That is good enough to stop labelling."
    )


@pytest.mark.parametrize(
    ("forecast", "last"),
    [
        (Forecast(120, 100, 150, 0.96), "About 120 more labels are needed."),
        (Forecast(1200, 1000, None, 0.96), "Many more labels are needed."),
        (None, "right label for about 91 in 100 of the others."),
    ],
)
def test_people_read_how_many_labels_are_needed(forecast: Forecast | None, last: str) -> None:
    outlook = Outlook(
        40, 60, 400, Estimate(0.919, 0.85, 0.95, 40), Estimate(0.93, 0.9, 0.97, 60), forecast=forecast
    )
    said = notice(Plan(seen(), Wait(Batch(1, 3, 0)), Acceptance(Rules(), LABELS)), (), outlook)
    assert said is not None
    paragraph = said.split("\n\n")[1]
    assert paragraph.startswith("People have labelled 40 of 500 texts, and argilla-loop has labelled 60.")
    assert paragraph.endswith(last)


@pytest.mark.parametrize("step", [Finished(), NextBatch(1, 3), Wait(Batch(1, 3, 0)), ColdStart(1, 3)])
def test_it_has_never_more_than_ten_lines(step: Step) -> None:
    many = tuple(f"label {n}" for n in range(200))
    acceptance = decide_acceptance(EXAMPLES, (), many, Rules())
    outlook = Outlook(40, 60, 400, Estimate(0.9, 0.8, 0.95, 40), Estimate(0.93, 0.9, 0.97, 60))
    said = notice(Plan(seen(labels=many), step, acceptance), ASKED, outlook)
    assert said is not None
    assert len(said.splitlines()) <= 10


def test_an_answer_does_not_change_it() -> None:
    said = {told(Wait(Batch(1, 3, done)), seen(done=done), (), minimum=2) for done in range(3)}
    assert len(said) == 1


def test_the_last_batch_promises_no_other() -> None:
    logged = told(ColdStart(1, 3), seen(left=3), ASKED, minimum=2)
    assert logged == told(Wait(Batch(1, 3, 0)), seen(left=0), (), minimum=2)
    assert logged is not None
    assert "last one" in logged
    assert "next one follows" not in logged


def test_an_exhausted_pool_is_told_with_the_labels_that_still_lack_examples() -> None:
    said = told(Finished(), seen(left=0, done=3), (), minimum=5)
    assert said is not None
    assert "All texts have been dealt with" in said
    assert "Sport (0 of 5), Film (2 of 5), Money (2 of 5)." in said


def test_labels_that_have_enough_are_not_spoken_of() -> None:
    said = told(Finished(), seen(labels=LABELS[:2]), (), minimum=2)
    assert said is not None
    assert "too few" not in said


def test_of_two_hundred_labels_a_few_are_named_and_the_rest_counted() -> None:
    said = told(Finished(), seen(labels=tuple(f"label {n}" for n in range(200))), (), minimum=2)
    assert said is not None
    assert "label 4 (0 of 2), 195 more." in said
    assert "label 5 " not in said


@pytest.mark.parametrize("records", [(), ACCEPTED])
def test_a_batch_without_anything_for_people_is_not_worth_a_write(records: list[NewRecord]) -> None:
    assert told(NextBatch(1, 3), seen(), records, minimum=2) is None


def test_a_label_is_shown_as_it_is() -> None:
    assert escaped("<script>") == "&lt;script&gt;"
    assert escaped('&amp; "*x*"') == "&amp;amp; &quot;*x*&quot;"
    assert escaped(" two\n\nlines ") == "two lines"
    assert len(escaped("x" * 1000)) == 40


@given(st.text(min_size=1))
def test_no_label_can_end_or_begin_a_section(label: str) -> None:
    body = told(Finished(), seen(labels=(label + BEGIN + END,)), (), minimum=2)
    assert body is not None
    assert without(put("theirs", body)) == "theirs"


@given(st.lists(st.text(min_size=1, max_size=200), min_size=200, max_size=200, unique=True))
@settings(max_examples=20)
def test_it_fits_beside_a_short_description_whatever_the_labels(labels: list[str]) -> None:
    """Argilla takes 1,000 characters; the first paragraph and the labels that lack answers come before any hint."""
    body = told(NextBatch(999_999, 3), seen(labels=tuple(labels)), ASKED, minimum=1000)
    assert body is not None
    state, lacking, *_ = body.split("\n\n")
    assert len(put("", state, gap="\n")) < 200
    assert "195 more" in lacking
