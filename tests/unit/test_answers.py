"""What answers mean: done, human or model, which label counts."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from math import inf

import pytest
from adjudicated import read, read_all

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route
from argilla_loop.policy.answers import (
    cap_pseudo_labels,
    examples_from,
    human_answers,
    validated_by_others,
)

BOT = "bot"
_clock = itertools.count(1)


def said(user: str, label: str | None, status: str = "submitted") -> Answer:
    """An answer later than all before it."""
    return Answer(user, status, label, f"2026-01-01T00:00:{next(_clock):03d}")  # type: ignore[arg-type]  # literal by name


def record(*answers: Answer, route: Route = Route.ASK) -> LoggedRecord:
    return LoggedRecord("r", "a text", batch=0, route=route, suggestion="A", prediction="A", answers=answers)


@pytest.mark.parametrize(
    ("answers", "needed", "done"),
    [
        ([], 1, False),
        ([said("u", "A")], 1, True),
        ([said("u", None, "discarded")], 1, True),
        ([said("u", "A", "draft")], 1, False),
        ([said("u", "A")], 2, False),
        ([said("u", "A"), said("v", "B")], 2, True),
        ([said("u", "A"), said("v", None, "discarded")], 2, True),
        ([said("u", "A"), said("v", "A"), said("w", "A")], 2, True),
        ([said("u", "A"), said("v", "A", "draft")], 2, False),
    ],
)
def test_a_record_is_done_once_enough_people_are_through_with_it(
    answers: list[Answer], needed: int, *, done: bool
) -> None:
    assert read(record(*answers), BOT, min_submitted=needed).is_done is done


def test_an_accepted_record_is_done_whatever_number_of_people_is_asked_for() -> None:
    assert read(record(said(BOT, "A"), route=Route.ACCEPT), BOT, min_submitted=3).is_done


def test_a_person_who_labels_with_the_daemons_account_is_a_person() -> None:
    """On a record that was asked, its answer is human: one laptop, one account, still works."""
    asked = record(said(BOT, "B"))
    assert read(asked, BOT).label == "B"
    assert examples_from(read_all([asked], BOT), with_model=False)[0].origin is Origin.HUMAN


def test_the_majority_counts_and_a_tie_makes_no_example() -> None:
    assert read(record(said("u", "A"), said("v", "B"), said("w", "A")), BOT).label == "A"
    tie = record(said("u", "A"), said("v", "B"))
    assert read(tie, BOT).label is None
    assert not read(tie, BOT).is_discarded
    assert examples_from(read_all([tie], BOT), with_model=True) == []


def test_the_latest_answer_counts_where_that_is_the_rule() -> None:
    changed = record(said("u", "A"), said("w", "A"), said("v", "B"))
    assert read(changed, BOT, "latest").label == "B"
    assert read(record(said("u", "A"), said("v", None, "discarded")), BOT, "latest").label is None
    (example,) = examples_from(read_all([changed], BOT, "latest"), with_model=False)
    assert example.label == "B"


def test_the_daemons_own_answer_is_no_vote() -> None:
    """It is on the record beside two people's, and would make a majority where there is none."""
    both = record(said(BOT, "A"), said("u", "A"), said("v", "B"), route=Route.ACCEPT)
    assert read(both, BOT).label is None
    assert read(both, BOT).is_disputed


def test_people_disagree_where_their_answers_differ_and_a_discard_is_an_answer() -> None:
    assert not read(record(said("u", "A"), said("v", "A"), said("w", "B", "draft")), BOT).is_disputed
    assert read(record(said("u", "A"), said("v", "B")), BOT).is_disputed
    assert read(record(said("u", "A"), said("v", None, "discarded")), BOT).is_disputed
    assert not read(record(said(BOT, "A"), said("u", "B"), route=Route.ACCEPT), BOT).is_disputed


def test_a_record_is_an_example_once_enough_people_have_answered() -> None:
    one = record(said("u", "A"))
    assert examples_from(read_all([one], BOT, min_submitted=2), with_model=False) == []
    two = record(said("u", "A"), said("v", "A"))
    assert len(examples_from(read_all([two], BOT, min_submitted=2), with_model=False)) == 1


def test_a_discard_is_a_vote_and_only_discards_make_no_example() -> None:
    assert read(record(said("u", "A"), said("v", "A"), said("w", None, "discarded")), BOT).label == "A"
    assert read(record(said("u", "A"), said("v", None, "discarded")), BOT).label is None
    only = record(said("u", None, "discarded"), said(BOT, "A"), route=Route.ACCEPT)
    assert read(only, BOT).is_discarded
    assert examples_from(read_all([only], BOT), with_model=True) == []


def test_what_is_held_back_is_never_an_example() -> None:
    held = replace(record(said("u", "A")), held_back=True)
    assert examples_from(read_all([held], BOT), with_model=True) == []


def test_examples_of_the_model_never_outnumber_peoples_and_which_stay_does_not_depend_on_order() -> None:
    human = [Example(f"h{n}", "t", "A") for n in range(4)]
    made = [Example(f"m{n}", "t", "A", Origin.MODEL) for n in range(9)]
    strange = [Example("x", "t", "B", Origin.MODEL)]  # people have labelled none of it
    kept = cap_pseudo_labels([*human, *made, *strange], 1.5)
    assert [one for one in kept if one.origin is Origin.HUMAN] == human
    assert Counter(one.label for one in kept if one.origin is Origin.MODEL) == {"A": 6}
    again = cap_pseudo_labels([*strange, *reversed(made), *human], 1.5)
    assert {one.id for one in again} == {one.id for one in kept}
    assert cap_pseudo_labels([*human, *made], 0) == human
    assert len(cap_pseudo_labels([*human, *made], inf)) == 13


def test_a_persons_answer_outranks_the_daemons() -> None:
    both = record(said(BOT, "A"), said("u", "B"), route=Route.ACCEPT)
    (example,) = examples_from(read_all([both], BOT), with_model=True)
    assert (example.label, example.origin) == ("B", Origin.HUMAN)


def test_what_the_daemon_validated_is_learnt_from_only_when_asked_to() -> None:
    accepted = record(said(BOT, "A"), route=Route.ACCEPT)
    assert examples_from(read_all([accepted], BOT), with_model=False) == []
    (example,) = examples_from(read_all([accepted], BOT), with_model=True)
    assert (example.label, example.origin) == ("A", Origin.MODEL)


def test_what_the_daemons_account_corrects_or_discards_is_a_persons_doing() -> None:
    """One person, one account: changing an accepted record there counts, and a discard does not block its batch."""
    corrected = record(said(BOT, "B"), route=Route.ACCEPT)  # "A" was suggested
    (example,) = examples_from(read_all([corrected], BOT), with_model=True)
    assert (example.label, example.origin) == ("B", Origin.HUMAN)
    discarded = record(said(BOT, None, "discarded"), route=Route.ACCEPT)
    assert read(discarded, BOT, min_submitted=1).is_done
    assert examples_from(read_all([discarded], BOT), with_model=True) == []


def test_a_blank_text_that_somebody_logged_is_no_example() -> None:
    """The learner would refuse it, and one record must not end the loop."""
    blank = LoggedRecord("r", "  ", answers=(said("u", "A"),))
    assert examples_from(read_all([blank], BOT), with_model=True) == []


@pytest.mark.parametrize("looks", [BOT, "standby", "ann"])
def test_what_the_model_said_stays_the_models_whoever_runs_the_service(looks: str) -> None:
    """Another service's user, and a person whose key the service has by now."""
    accepted = replace(record(said(BOT, "A"), route=Route.ACCEPT), service_user=BOT)
    assert human_answers(accepted, looks) == []
    assert examples_from(read_all([accepted], looks), with_model=False) == []
    (example,) = examples_from(read_all([accepted], looks), with_model=True)
    assert (example.label, example.origin) == ("A", Origin.MODEL)
    assert read(accepted, looks, min_submitted=3).is_done
    confirmed = replace(record(said(BOT, "A"), said("ann", "A"), route=Route.ACCEPT), service_user=BOT)
    assert [a.user_id for a in human_answers(confirmed, looks)] == ["ann"]
    corrected = replace(record(said(BOT, "A"), said("ann", "B"), route=Route.ACCEPT), service_user=BOT)
    assert read(corrected, looks).label == "B"  # and no tie
    by_its_account = replace(record(said(BOT, "B"), route=Route.ACCEPT), service_user=BOT)
    assert read(by_its_account, looks).label == "B"


def test_the_models_answer_is_known_by_what_it_predicted_whatever_is_suggested_by_now() -> None:
    accepted = replace(record(said(BOT, "A"), route=Route.ACCEPT), suggestion=None)
    assert human_answers(accepted, BOT) == []


def test_validations_of_other_users_services_are_counted_while_they_stand() -> None:
    ours, theirs = (replace(record(said(u, "A"), route=Route.ACCEPT), service_user=u) for u in (BOT, "other"))
    gone = replace(record(route=Route.ACCEPT), service_user="other")
    unknown = record(said(BOT, "A"), route=Route.ACCEPT)
    assert validated_by_others(read_all([ours, theirs, theirs, gone, unknown], BOT)) == {"other": 2}
