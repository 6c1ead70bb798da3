"""What a change of the labels means for labels, records and evidence; and what is copied of a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argilla_loop.argilla.protocol import Copied
from argilla_loop.argilla.v2.copying import copied_item, copied_question, lacking, withdrawn
from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.errors import RetryableError, SettingsError
from argilla_loop.policy.answers import AnswerRule, adjudicate, count_accepted
from argilla_loop.policy.migration import label_change, migrated, migrated_promise, relabelled
from argilla_loop.policy.validation.carried import WITHDRAWN, carried_over
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.promise import AcceptanceCriterion, AuditResult, decide_for_dataset
from argilla_loop.policy.verification import promises
from argilla_loop.service.migrate import _copy_all, changed_settings, rewrite
from argilla_loop.settings import Settings

LABELS = ("A", "B", "C")
RULE = AnswerRule("service")
PROMISE = "target_precision 0.95, confidence 0.95, promise overall"


def record(route: Route, prediction: str = "A", *said: str | None, **more: Any) -> LoggedRecord:
    answers = tuple(
        Answer(f"p{n}", "submitted" if label else "discarded", label, f"2026-01-01T00:00:{n:02d}")
        for n, label in enumerate(said)
    )
    if route is Route.ACCEPT:
        answers += (Answer("service", "submitted", prediction, "2026-01-01T00:00:00"),)
    made = LoggedRecord(
        "r", "text", 1, route, 0.97, "m", prediction=prediction, threshold=0.9, answers=answers
    )
    return replace(made, **more)


class TestLabels:
    def test_a_renamed_label_keeps_its_place_and_a_new_one_comes_last(self) -> None:
        change = label_change(LABELS, add=["D"], rename=["B=Bee"])
        assert change.after == ("A", "Bee", "C", "D")
        assert (change.names, change.added, change.merges) == ({"B": "Bee"}, ("D",), False)

    def test_merged_labels_have_the_place_of_the_first(self) -> None:
        change = label_change(LABELS, merge=["C,B=X"])
        assert change.after == ("A", "X")
        assert (change.of("A"), change.of("B"), change.of("C"), change.merges) == ("A", "X", "X", True)

    def test_a_merged_label_may_keep_the_name_of_a_part(self) -> None:
        assert label_change(LABELS, merge=["A,B=B"]).after == ("B", "C")

    def test_labels_may_trade_their_names(self) -> None:
        change = label_change(LABELS, rename=["A=B", "B=A"])
        assert change.after == ("B", "A", "C")

    def test_a_freed_name_may_be_given_to_another(self) -> None:
        assert label_change(LABELS, rename=["A=Z", "B=A"]).after == ("Z", "A", "C")
        assert label_change(LABELS, rename=["A=Z"], add=["A"]).after == ("Z", "B", "C", "A")

    def test_commas_and_equals_signs_may_be_part_of_a_label(self) -> None:
        labels = ("Arts, crafts", "a=b", "C")
        assert label_change(labels, merge=["Arts, crafts,a=b=Both"]).after == ("Both", "C")
        assert label_change(labels, rename=["a=b=c=d"]).after == ("Arts, crafts", "c=d", "C")

    def test_what_can_be_read_in_several_ways_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="several ways"):
            label_change(("A", "B", "A,B", "C"), merge=["A,B,C=X"])
        with pytest.raises(SettingsError, match="several ways"):
            label_change(("a", "a=b", "C"), rename=["a=b=c"])

    @pytest.mark.parametrize(
        ("options", "said"),
        [
            ({}, "nothing to change"),
            ({"rename": ["X=Y"]}, "no such label: X"),
            ({"rename": ["A"]}, "write it as A=B"),
            ({"rename": ["A="]}, "write it as A=B"),
            ({"rename": ["A=A"]}, "changes nothing"),
            ({"rename": ["A=B"]}, "give --merge A,B=B"),
            ({"rename": ["A=X", "B=X"]}, "merge all of them with one --merge"),
            ({"rename": ["A=X", "A=Y"]}, "changed twice"),
            ({"rename": ["A=X"], "merge": ["A,B=Y"]}, "changed twice"),
            ({"merge": ["A=X"]}, "name two or more, or give --rename"),
            ({"merge": ["A,A,B=X"]}, "names a label twice"),
            ({"merge": ["A,X=Y"]}, "no such label: X"),
            ({"merge": ["A,B"]}, "write it as A,B=C"),
            ({"merge": ["A,B=C"]}, "give --merge A,B,C=C"),
            ({"merge": ["A,B,C=X"]}, "only label 'X' would be left"),
            ({"add": ["A"]}, "there is such a label already"),
            ({"add": ["D", "D"]}, "there is such a label already"),
            ({"add": ["a"]}, "differ in case or blanks only"),
            ({"add": [" "]}, "is blank"),
            ({"add": ["X"], "rename": ["A=X"]}, "there is such a label already"),
        ],
    )
    def test_what_contradicts_itself_is_one_line(self, options: dict[str, list[str]], said: str) -> None:
        with pytest.raises(SettingsError) as error:
            label_change(LABELS, **options)
        assert said in str(error.value)
        assert "\n" not in str(error.value)

    @given(st.permutations(["u", "v", "w", "x", "y"]), st.integers(2, 4), st.sampled_from([(), ("z",)]))
    def test_every_label_becomes_one_of_the_new_ones_and_every_new_one_has_a_source(
        self, labels: list[str], parts: int, add: tuple[str, ...]
    ) -> None:
        change = label_change(labels, merge=[f"{','.join(labels[:parts])}=m"], add=add)
        assert {change.of(label) for label in labels} | set(change.added) == set(change.after)
        assert len(set(change.after)) == len(change.after) == 5 - parts + 1 + len(add)

    def test_the_key_tells_changes_apart_and_not_the_order_of_options(self) -> None:
        one = label_change(LABELS, rename=["A=X", "B=Y"])
        assert one.key == label_change(LABELS, rename=["B=Y", "A=X"]).key
        assert one.key != label_change(LABELS, rename=["A=Y", "B=X"]).key

    def test_labels_of_the_pool_follow_over_several_changes(self) -> None:
        first = relabelled(label_change(LABELS, rename=["A=X"]), {})
        assert first == {"A": "X"}
        assert relabelled(label_change(("X", "B", "C"), merge=["X,B=Y"]), first) == {
            "A": "Y",
            "X": "Y",
            "B": "Y",
        }


class TestEvidence:
    def test_a_renaming_keeps_it(self) -> None:
        found = migrated([record(Route.AUDIT, "A", "B")], label_change(LABELS, rename=["A=X"]), RULE)
        assert (found.anew, found.turned, found.blind) == (False, 0, 1)

    def test_a_merge_that_turns_no_check_keeps_it(self) -> None:
        records = [record(Route.AUDIT, "A", "A", id="1"), record(Route.AUDIT, "A", "C", id="2")]
        assert not migrated(records, label_change(LABELS, merge=["A,B=X"]), RULE).anew

    @pytest.mark.parametrize(
        "wrong",
        [
            record(Route.AUDIT, "A", "B"),
            record(Route.ASK, "A", "B", held_back=True),
            record(Route.ACCEPT, "A", "B"),  # a correction
        ],
    )
    def test_a_merge_that_turns_a_wrong_check_begins_anew(self, wrong: LoggedRecord) -> None:
        found = migrated([wrong], label_change(LABELS, merge=["A,B=X"]), RULE)
        assert (found.anew, found.turned) == (True, 1)

    def test_an_answer_beside_a_suggestion_is_no_check(self) -> None:
        found = migrated([record(Route.ASK, "A", "B")], label_change(LABELS, merge=["A,B=X"]), RULE)
        assert not found.anew

    def test_a_merge_that_breaks_a_majority_begins_anew(self) -> None:
        """Right before, a tie afterwards: two said C, one A and one B."""
        found = migrated(
            [record(Route.AUDIT, "C", "C", "C", "A", "B")], label_change(LABELS, merge=["A,B=X"]), RULE
        )
        assert (found.anew, found.turned) == (True, 1)

    def test_a_second_look_that_the_merge_decides_begins_anew(self) -> None:
        records = [
            record(Route.AUDIT, "A", "C", id="1"),
            record(Route.AUDIT, "A", "B", id="1.look2", second_look_of="1"),
        ]
        assert migrated(records, label_change(LABELS, merge=["A,B=X"]), RULE).anew

    def test_an_added_label_begins_anew_and_makes_what_was_said_doubtful(self) -> None:
        records = [record(Route.AUDIT, "A", "A", id="1"), record(Route.ACCEPT, "B", id="2")]
        found = migrated(records, label_change(LABELS, add=["D"]), RULE)
        assert (found.anew, found.turned, found.doubtful, found.accepted) == (True, 0, 1, 1)
        assert found.by_label == {"A": (1, 0), "B": (0, 1), "C": (0, 0)}

    def test_a_promise_is_carried_over_once_or_withdrawn_for_good(self) -> None:
        merge, add = label_change(LABELS, merge=["A,B=X"]), label_change(LABELS, add=["D"])
        once = migrated_promise(PROMISE, merge)
        assert once == migrated_promise(once, merge) == f"{PROMISE}, carried over"
        assert migrated_promise(None, merge) is None
        assert migrated_promise(None, add) == migrated_promise(once, add) == WITHDRAWN
        assert migrated_promise(WITHDRAWN, merge) == WITHDRAWN

    def test_nothing_withdrawn_is_evidence_or_covered_by_any(self) -> None:
        """All of it may be wrong, so a promise for the dataset leaves no room for more."""
        corrected = adjudicate(record(Route.ACCEPT, "A", "B"), RULE)
        assert [check.right for check in checks_from([corrected])] == [False]
        stale = adjudicate(record(Route.ACCEPT, "A", "B", promise=WITHDRAWN), RULE)
        assert checks_from([stale]) == []
        standing = [adjudicate(record(Route.ACCEPT, id=str(n)), RULE) for n in range(20)]
        gone = [adjudicate(replace(one.record, promise=WITHDRAWN), RULE) for one in standing]
        checks = [AuditResult("A", 0.97, right=True, above=0.9)] * 40
        criterion = AcceptanceCriterion((0.9,), 0.95)
        assert decide_for_dataset(checks, criterion, 100, count_accepted(standing)).room > 0
        decided = decide_for_dataset(checks, criterion, 100, count_accepted(gone))
        assert (decided.threshold, decided.covered) == (None, 0)

    def test_verify_leaves_a_carried_promise_to_the_earlier_dataset(self) -> None:
        one = record(Route.ACCEPT, "A", promise=PROMISE)
        assert len(list(promises([adjudicate(one, RULE)], LABELS))) == 1
        for written in (carried_over(PROMISE), WITHDRAWN):
            assert list(promises([adjudicate(replace(one, promise=written), RULE)], LABELS)) == []


QUESTIONS = {"q1": ("label", "Q1"), "q2": ("why", "Q2")}


def item(route: str | None = "ask", **more: Any) -> dict[str, Any]:
    metadata = {"route": route, "prediction": "A", "certainty": 0.9, "promise": PROMISE, "ticket": 7}
    return {
        "id": "server-id", "external_id": "e1", "fields": {"text": "t"}, "inserted_at": "2026-01-01T00:00:00",
        "metadata": metadata if route else {"prediction": "A"}, "suggestions": [], "responses": [], **more,
    }  # fmt: skip


def response(user: str, label: str | None, at: str = "2026-01-01T00:00:00", **more: Any) -> dict[str, Any]:
    values = {"label": {"value": label}} if label else None
    return {
        "id": f"of-{user}", "user_id": user, "status": "submitted" if label else "discarded", "values": values,
        "inserted_at": at, "updated_at": at, **more,
    }  # fmt: skip


class TestCopies:
    change = label_change(LABELS, merge=["A,B=X"])

    def copy(self, record: dict[str, Any], *, anew: bool = False, **more: Any) -> dict[str, Any]:
        return copied_item(record, self.change, QUESTIONS, anew=anew, **more)

    def test_labels_are_rewritten_wherever_they_are(self) -> None:
        made = self.copy(
            item(
                suggestions=[
                    {
                        "question_id": "q1",
                        "value": "B",
                        "score": 0.9,
                        "agent": "argilla-loop/m",
                        "type": "model",
                    },
                    {"question_id": "q2", "value": "B", "score": None, "agent": None, "type": None},
                ],
                responses=[
                    response("u", "A", values={"label": {"value": "A"}, "why": {"value": "A"}}),
                    response("v", "C"),
                ],
            )
        )
        assert made["metadata"]["prediction"] == "X"
        assert made["metadata"]["ticket"] == 7
        assert [(one["question_id"], one["value"]) for one in made["suggestions"]] == [
            ("Q1", "X"),
            ("Q2", "B"),
        ]
        assert [one["values"] for one in made["responses"]] == [
            {"label": {"value": "X"}, "why": {"value": "A"}},
            {"label": {"value": "C"}},
        ]

    def test_metadata_of_others_under_our_names_stays(self) -> None:
        assert self.copy(item(None))["metadata"] == {"prediction": "A"}

    def test_a_discard_without_values_is_copied_with_empty_ones(self) -> None:
        assert self.copy(item(responses=[response("u", None)]))["responses"][0]["values"] == {}

    def test_answers_are_in_the_order_of_their_times(self) -> None:
        two = [response("late", "A", "2026-01-02T00:00:00"), response("early", "B")]
        assert [one["user_id"] for one in self.copy(item(responses=two))["responses"]] == ["early", "late"]

    def test_a_record_without_an_id_of_its_own_gets_the_servers(self) -> None:
        assert self.copy(item(external_id=None))["external_id"] == "server-id"

    def test_who_accepted_is_written_down_as_times_do_not_tell_any_more(self) -> None:
        made = self.copy(item("accept", responses=[response("daemon", "A")]))
        assert made["metadata"]["service_user"] == "daemon"
        assert made["metadata"]["promise"] == f"{PROMISE}, carried over"

    def test_anew_makes_plain_questions_and_leaves_accepted_records(self) -> None:
        held = item("ask")
        held["metadata"] |= {"held_back": "yes", "weight": 2.0}
        assert not {"held_back", "weight"} & self.copy(held, anew=True)["metadata"].keys()
        assert self.copy(item("audit"), anew=True)["metadata"]["route"] == "ask"
        assert self.copy(item("audit"))["metadata"]["route"] == "audit"
        assert self.copy(item("accept"), anew=True)["metadata"]["route"] == "accept"

    def test_only_what_is_missing_is_copied_again(self) -> None:
        made = self.copy(item(responses=[response("u", "A")]))
        assert lacking(made, None) == made
        there = {**made, "responses": [response("u", "X", "2026-02-01T00:00:00")]}
        assert lacking(made, there) is None
        assert lacking(made, {**there, "responses": []}) == {
            "external_id": "e1",
            "responses": made["responses"],
        }
        assert lacking(made, {**there, "metadata": {}}) == {"external_id": "e1", "metadata": made["metadata"]}

    def test_the_later_answer_of_a_person_wins(self) -> None:
        made = self.copy(item(responses=[response("u", "A", "2026-01-05T00:00:00")]))
        later = {**made, "responses": [response("u", "C", "2026-01-06T00:00:00")]}
        assert lacking(made, later) is None
        earlier = {**made, "responses": [response("u", "C", "2026-01-04T00:00:00")]}
        assert (lacking(made, earlier) or {})["responses"] == made["responses"]

    def test_a_service_answer_that_was_withdrawn_meanwhile_is_named(self) -> None:
        accepted = self.copy(item("accept", responses=[response("daemon", "A")]))
        there = {**accepted, "responses": [response("daemon", "X"), response("person", "X")]}
        assert withdrawn(accepted, there) == []
        assert withdrawn(self.copy(item("ask")), there) == ["of-daemon"]

    def test_options_keep_their_words_unless_they_are_new(self) -> None:
        options = [{"value": n, "text": f"{n} text", "description": f"about {n}"} for n in LABELS]
        settings = {"type": "label_selection", "options": options, "visible_options": 3}
        question = {
            "name": "label",
            "title": "L",
            "description": None,
            "required": True,
            "settings": settings,
        }
        made = copied_question(question, label_change(LABELS, rename=["B=Bee"], add=["D"]))
        assert made["settings"] == {
            "type": "label_selection",
            "visible_options": 4,
            "options": [
                options[0],
                {"value": "Bee", "text": "Bee", "description": "about B"},
                options[2],
                {"value": "D", "text": "D"},
            ],
        }
        two = copied_question(question, self.change)["settings"]
        assert two["options"] == [{"value": "X", "text": "X"}, options[2]]
        assert "visible_options" not in two


class _Answering:
    """A working dataset in which people keep answering, and the migration that copies their answers."""

    def __init__(self, answers: int) -> None:
        self.answers, self.passes = answers, 0
        self.dataset = self
        self.info = SimpleNamespace(name="news")

    def revision(self) -> str:
        return str(min(self.passes, self.answers))

    def copy(self, _anew: object, begun: Callable[[int], Callable[[int], None]]) -> Copied:
        self.passes += 1
        found = int(self.passes <= self.answers)
        begun(found)(found)
        return Copied(found, found, 0)


def test_it_copies_until_nobody_answers_in_the_old_dataset_any_more() -> None:
    for answers in (0, 3):
        calm = _Answering(answers)
        _copy_all(calm, calm, label_change(LABELS, add=["D"]), lambda _: None)  # type: ignore[arg-type]
        assert calm.passes == answers + 1
    busy = _Answering(100)
    with pytest.raises(RetryableError, match="ask them to pause"):
        _copy_all(busy, busy, label_change(LABELS, add=["D"]), lambda _: None)  # type: ignore[arg-type]


def test_settings_that_go_with_the_labels_change_with_them() -> None:
    pool = {"path": "a.csv", "label_column": "topic"}
    settings = Settings.model_validate(
        {"api_key": "k", "labels": ["B", "A", "C"], "pool": pool, "start_from": "/models/a"}
    )
    assert changed_settings(settings, label_change(LABELS, merge=["A,B=X"], add=["D"]), "new") == {
        "dataset": "new", "labels": ["X", "C", "D"], "pool.relabel": {"A": "X", "B": "X"}, "start_from": None,
    }  # fmt: skip
    assert changed_settings(settings, label_change(LABELS, add=["D"]), "new").keys() == {"dataset", "labels"}
    described = settings.model_copy(update={"label_descriptions": {"A": "a", "B": "b", "C": "c"}})
    merged = changed_settings(described, label_change(LABELS, merge=["A,B=X"]), "new")
    assert merged["label_descriptions"] == {"C": "c"}
    renamed = changed_settings(described, label_change(LABELS, rename=["A=B", "B=A"]), "new")
    assert renamed["label_descriptions"] == {"B": "a", "A": "b", "C": "c"}
    assert "label_descriptions" not in changed_settings(described, label_change(LABELS, add=["D"]), "new")
    plain = Settings.model_validate({"api_key": "k", "pool": {"path": "a.csv"}})
    assert changed_settings(plain, label_change(LABELS, rename=["A=X"]), "new") == {"dataset": "new"}


def test_what_the_file_cannot_say_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"dataset": "new", "pool.relabel": {"A": "B"}, "start_from": None}
    by_hand = ['dataset = "new"', 'relabel = { "A" = "B" }, in the table [pool]', "remove start_from"]
    assert rewrite(None, changes) == by_hand
    dotted = tmp_path / "dotted.toml"
    dotted.write_text('api_key = "k"\npool.path = "a.csv"\n')
    assert rewrite(dotted, changes) == by_hand
    plain = tmp_path / "plain.toml"
    plain.write_text('api_key = "k"\ndataset = "old"\n[pool]\npath = "a.csv"\n')
    assert rewrite(plain, changes) == []
    monkeypatch.setenv("ARGILLA_LOOP_DATASET", "of-the-environment")
    assert rewrite(plain, changes) == ['dataset = "new"']
