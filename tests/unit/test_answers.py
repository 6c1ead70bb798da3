"""What answers mean: done, human or model, which label counts."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from math import inf

import pytest

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route
from argilla_loop.policy.answers import (
    cap_pseudo_labels,
    disagree,
    examples_from,
    human_answers,
    human_label,
    is_discarded,
    is_done,
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
    assert is_done(record(*answers), min_submitted=needed, service_user_id=BOT) is done


def test_an_accepted_record_is_done_whatever_number_of_people_is_asked_for() -> None:
    assert is_done(record(said(BOT, "A"), route=Route.ACCEPT), min_submitted=3, service_user_id=BOT)


def test_a_person_who_labels_with_the_daemons_account_is_a_person() -> None:
    """On a record that was asked, its answer is human: one laptop, one account, still works."""
    asked = record(said(BOT, "B"))
    assert human_label(asked, BOT) == "B"
    assert examples_from([asked], service_user_id=BOT, with_model=False)[0].origin is Origin.HUMAN


def test_the_majority_counts_and_a_tie_makes_no_example() -> None:
    assert human_label(record(said("u", "A"), said("v", "B"), said("w", "A")), BOT) == "A"
    tie = record(said("u", "A"), said("v", "B"))
    assert human_label(tie, BOT) is None
    assert not is_discarded(tie, BOT)
    assert examples_from([tie], service_user_id=BOT, with_model=True) == []


def test_the_latest_answer_counts_where_that_is_the_rule() -> None:
    changed = record(said("u", "A"), said("w", "A"), said("v", "B"))
    assert human_label(changed, BOT, "latest") == "B"
    assert human_label(record(said("u", "A"), said("v", None, "discarded")), BOT, "latest") is None
    (example,) = examples_from([changed], service_user_id=BOT, with_model=False, rule="latest")
    assert example.label == "B"


def test_the_daemons_own_answer_is_no_vote() -> None:
    """It is on the record beside two people's, and would make a majority where there is none."""
    both = record(said(BOT, "A"), said("u", "A"), said("v", "B"), route=Route.ACCEPT)
    assert human_label(both, BOT) is None
    assert disagree(both, BOT)


def test_people_disagree_where_their_answers_differ_and_a_discard_is_an_answer() -> None:
    assert not disagree(record(said("u", "A"), said("v", "A"), said("w", "B", "draft")), BOT)
    assert disagree(record(said("u", "A"), said("v", "B")), BOT)
    assert disagree(record(said("u", "A"), said("v", None, "discarded")), BOT)
    assert not disagree(record(said(BOT, "A"), said("u", "B"), route=Route.ACCEPT), BOT)


def test_a_record_is_an_example_once_enough_people_have_answered() -> None:
    one = record(said("u", "A"))
    assert examples_from([one], service_user_id=BOT, with_model=False, min_submitted=2) == []
    two = record(said("u", "A"), said("v", "A"))
    assert len(examples_from([two], service_user_id=BOT, with_model=False, min_submitted=2)) == 1


def test_a_discard_is_a_vote_and_only_discards_make_no_example() -> None:
    assert human_label(record(said("u", "A"), said("v", "A"), said("w", None, "discarded")), BOT) == "A"
    assert human_label(record(said("u", "A"), said("v", None, "discarded")), BOT) is None
    only = record(said("u", None, "discarded"), said(BOT, "A"), route=Route.ACCEPT)
    assert is_discarded(only, BOT)
    assert examples_from([only], service_user_id=BOT, with_model=True) == []


def test_what_is_held_back_is_never_an_example() -> None:
    held = replace(record(said("u", "A")), held_back=True)
    assert examples_from([held], service_user_id=BOT, with_model=True) == []


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
    (example,) = examples_from([both], service_user_id=BOT, with_model=True)
    assert (example.label, example.origin) == ("B", Origin.HUMAN)


def test_what_the_daemon_validated_is_learnt_from_only_when_asked_to() -> None:
    accepted = record(said(BOT, "A"), route=Route.ACCEPT)
    assert examples_from([accepted], service_user_id=BOT, with_model=False) == []
    (example,) = examples_from([accepted], service_user_id=BOT, with_model=True)
    assert (example.label, example.origin) == ("A", Origin.MODEL)


def test_what_the_daemons_account_corrects_or_discards_is_a_persons_doing() -> None:
    """One person, one account: changing an accepted record there counts, and a discard does not block its batch."""
    corrected = record(said(BOT, "B"), route=Route.ACCEPT)  # "A" was suggested
    (example,) = examples_from([corrected], service_user_id=BOT, with_model=True)
    assert (example.label, example.origin) == ("B", Origin.HUMAN)
    discarded = record(said(BOT, None, "discarded"), route=Route.ACCEPT)
    assert is_done(discarded, min_submitted=1, service_user_id=BOT)
    assert examples_from([discarded], service_user_id=BOT, with_model=True) == []


def test_a_blank_text_that_somebody_logged_is_no_example() -> None:
    """The learner would refuse it, and one record must not end the loop."""
    blank = LoggedRecord("r", "  ", answers=(said("u", "A"),))
    assert examples_from([blank], service_user_id=BOT, with_model=True) == []


@pytest.mark.parametrize("looks", [BOT, "standby", "ann"])
def test_what_the_model_said_stays_the_models_whoever_runs_the_service(looks: str) -> None:
    """Another service's user, and a person whose key the service has by now."""
    accepted = replace(record(said(BOT, "A"), route=Route.ACCEPT), service_user=BOT)
    assert human_answers(accepted, looks) == []
    assert examples_from([accepted], service_user_id=looks, with_model=False) == []
    (example,) = examples_from([accepted], service_user_id=looks, with_model=True)
    assert (example.label, example.origin) == ("A", Origin.MODEL)
    assert is_done(accepted, min_submitted=3, service_user_id=looks)
    confirmed = replace(record(said(BOT, "A"), said("ann", "A"), route=Route.ACCEPT), service_user=BOT)
    assert [a.user_id for a in human_answers(confirmed, looks)] == ["ann"]
    corrected = replace(record(said(BOT, "A"), said("ann", "B"), route=Route.ACCEPT), service_user=BOT)
    assert human_label(corrected, looks) == "B"  # and no tie
    by_its_account = replace(record(said(BOT, "B"), route=Route.ACCEPT), service_user=BOT)
    assert human_label(by_its_account, looks) == "B"


def test_the_models_answer_is_known_by_what_it_predicted_whatever_is_suggested_by_now() -> None:
    accepted = replace(record(said(BOT, "A"), route=Route.ACCEPT), suggestion=None)
    assert human_answers(accepted, BOT) == []


def test_validations_of_other_users_services_are_counted_while_they_stand() -> None:
    ours, theirs = (replace(record(said(u, "A"), route=Route.ACCEPT), service_user=u) for u in (BOT, "other"))
    gone = replace(record(route=Route.ACCEPT), service_user="other")
    unknown = record(said(BOT, "A"), route=Route.ACCEPT)
    assert validated_by_others([ours, theirs, theirs, gone, unknown], BOT) == {"other": 2}
