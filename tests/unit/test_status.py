"""What `argilla-loop status` tells an operator about what the service validates by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from adjudicated import read_all
from rich.console import Console
from worlds import CentroidLearner, FixedSource, ListPool, answer_all, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.cli.status_tables import render
from argilla_loop.domain import Answer, Example, LoggedRecord, Route
from argilla_loop.loop.decision import decide
from argilla_loop.loop.turn import Loop
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.estimate.outlook import Forecast, Outlook
from argilla_loop.policy.explanation import (
    bar_in_words,
    hindrances,
    precision_in_words,
    promise_in_words,
)
from argilla_loop.policy.matching import Match
from argilla_loop.policy.observation import observe
from argilla_loop.policy.plan import NextBatch, Plan, plan
from argilla_loop.policy.progress import progress
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.promise import AcceptanceDecision
from argilla_loop.service.observers import evidence
from argilla_loop.service.observers.evidence import Evidence
from argilla_loop.settings import Settings
from argilla_loop.simulate.precomputed import PrecomputedVectors

BOT = "bot"
LABELS = ("World", "Sports", "Business")
LEFT = Match(np.arange(3))
TARGET = Rules(target_precision=0.95)
OUTLOOK = Outlook(
    145, 640, 215, Estimate(0.97, 0.94, 0.99, 40), Estimate(0.98, 0.95, 0.99, 60), (0.99,), held_back=(27, 30)
)


def settings(folder: Path) -> Settings:
    return Settings.model_validate(
        {"api_key": "k", "dataset": "topics", "pool": {"path": ["x.csv"]}, "cache_dir": folder}
    )


def taught(count: int = 10, labels: tuple[str, ...] = LABELS) -> list[Example]:
    return [Example(f"{label}{n}", f"text {n} of {label}", label) for label in labels for n in range(count)]


def record(number: int, route: Route, person: str | None, label: str = "World") -> LoggedRecord:
    """A record that the model takes for ``label`` and ``person`` for theirs."""
    answers = [Answer("u", "submitted", person, "2")] if person else []
    if route is Route.ACCEPT:
        answers.append(Answer(BOT, "submitted", label, "1"))
    return LoggedRecord(
        f"r{number:04}",
        "t",
        number // 10,
        route,
        0.93,
        "linear-1",
        None if route is Route.AUDIT else label,
        label,
        0.9,
        answers=tuple(answers),
    )


def audits(right: int, wrong: int = 0, *, start: int = 0, label: str = "World") -> list[LoggedRecord]:
    """So many answered audits, the right ones first."""
    return [
        record(start + n, Route.AUDIT, label if n < right else "Business", label)
        for n in range(right + wrong)
    ]


def decided(records: list[LoggedRecord], rules: Rules, *, examples: int = 10) -> Plan:
    found = observe(read_all(records, BOT), taught(examples), 3, labels=LABELS, rules=rules, min_submitted=1)
    return plan(found, rules)


def seen(records: list[LoggedRecord], rules: Rules, *, examples: int = 10) -> Acceptance:
    return decided(records, rules, examples=examples).acceptance


def with_verdict(decision: AcceptanceDecision, rules: Rules = TARGET) -> Acceptance:
    return Acceptance(rules, LABELS, decisions=dict.fromkeys(LABELS, decision))


def told(records: list[LoggedRecord], now: Acceptance, folder: Path, known: Evidence | None = None) -> str:
    """What is printed, in one line."""
    console = Console(width=400)
    found = replace(decided(records, now.rules), acceptance=now)
    with console.capture() as capture:
        console.print(render(found, settings=settings(folder), seeds={}, match=LEFT, known_of_model=known))
    return " ".join(capture.get().replace("│", " ").split())


def test_a_fixed_threshold_promises_nothing_and_shows_what_was_measured() -> None:
    now = seen(audits(132, 4), Rules())
    assert bar_in_words(now) == "fixed threshold 0.9; no precision is promised"
    assert precision_in_words(now) == "132 of 136 checks right (97.1%), at least 93.3% at 95% confidence"
    assert list(hindrances(now)) == ["276 records a batch until more audits are right"]
    assert precision_in_words(seen([], Rules())) == "not measured: no check yet"


def test_a_fixed_threshold_with_a_precision_says_both() -> None:
    rules = replace(Rules(), min_precision=0.9, confidence=0.99)
    assert bar_in_words(with_verdict(AcceptanceDecision(0.9, 99, 99, 0.95), rules)) == (
        "fixed threshold 0.9, and precision 90.0% promised at 99% confidence: accepting above certainty 0.9"
    )


def test_until_evidence_suffices_it_is_said_how_much_is_missing() -> None:
    now = with_verdict(AcceptanceDecision(None, 34, 34, 0.915, missing=38))
    assert bar_in_words(now) == "target precision 95.0% promised at 95% confidence: not granted yet"
    first, meanwhile = hindrances(now)
    assert first == "nothing yet: at least 38 more right checks needed"
    assert meanwhile == "until then a part of each slice is audited: the more, the fewer checks are missing"
    one = with_verdict(AcceptanceDecision(None, 71, 71, 0.94, missing=1))
    assert next(hindrances(one)) == "nothing yet: at least 1 more right check needed"


def test_once_it_suffices_the_threshold_is_named_and_nothing_is_in_the_way() -> None:
    now = with_verdict(AcceptanceDecision(0.8, 146, 144, 0.9573))
    assert bar_in_words(now).endswith("at 95% confidence: accepting above certainty 0.8")
    assert precision_in_words(now) == "144 of 146 checks right (98.6%), at least 95.7% at 95% confidence"
    assert list(hindrances(now)) == []


def test_a_stop_is_told_with_what_was_measured() -> None:
    now = with_verdict(AcceptanceDecision(None, 81, 72, 0.8187, missing=90, stopped=True, futile=True))
    assert bar_in_words(now).endswith("stopped")
    assert precision_in_words(now) == "72 of 81 checks right (88.9%), at least 81.8% at 95% confidence"
    stopped, stricter, _ = hindrances(now)
    assert stopped.startswith(
        "stopped, because checks fell below the requirement: at least 90 more right checks needed"
    )
    assert "stricter threshold" in stricter


def test_a_promise_for_the_dataset_says_how_much_it_allows_and_what_would_allow_more() -> None:
    rules = replace(TARGET, promise="dataset")
    now = with_verdict(AcceptanceDecision(0.9, 30, 30, 0.9, missing=44, room=31), rules)
    assert bar_in_words(now) == (
        "target precision 95.0% of all labels of the dataset, people's included, promised at 95% confidence: "
        "31 more records above certainty 0.9"
    )
    (why,) = hindrances(now)
    assert why == (
        "the promise allows 31 more records now: each label by people and each right check allows more, and 44 more "
        "right checks in a row would allow all"
    )
    all_of_it = with_verdict(AcceptanceDecision(0.9, 74, 74, 0.95), rules)
    assert bar_in_words(all_of_it).endswith("promised at 95% confidence: accepting above certainty 0.9")


def test_what_is_promised_of_the_dataset_is_said_while_it_holds() -> None:
    rules = replace(TARGET, promise="dataset")
    accepted = [record(200 + n, Route.ACCEPT, None) for n in range(40)]
    found = progress(read_all(accepted, BOT))
    holds = with_verdict(AcceptanceDecision(0.9, 80, 80, 0.96, covered=140), rules)
    assert promise_in_words(found, holds) == (
        "of all 140 labels at least 95.0% are right, at 95% confidence, people's labels taken as right"
    )
    fallen = with_verdict(AcceptanceDecision(None, 85, 80, 0.0, stopped=True), rules)
    assert promise_in_words(found, fallen).startswith("not shown now")
    assert promise_in_words(found, with_verdict(AcceptanceDecision(0.9, covered=140))) == ""


def test_labels_that_lack_examples_are_named_with_what_they_lack() -> None:
    below_accept_minimum = seen(audits(1), TARGET, examples=3)
    assert next(hindrances(below_accept_minimum)) == (
        "each label first needs 5 human examples (min_examples_per_label); missing: "
        "World 1, Business 2, Sports 2"
    )
    assert not any(
        "audits" in reason for reason in hindrances(below_accept_minimum)
    )  # none are drawn by then
    more = seen(audits(3), TARGET, examples=7)
    assert next(hindrances(more)) == (
        "a label is accepted from 10 human examples on (min_accept_examples); missing: Business 3, Sports 3"
    )


def test_of_many_labels_those_that_lack_least_are_named() -> None:
    now = Acceptance(Rules(), LABELS, {f"L{n}": n for n in range(1, 8)})
    assert next(hindrances(now)).endswith(": L1 1, L2 2, L3 3, L4 4 and 3 more labels")


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (
            Acceptance(Rules(certainty_threshold=None), LABELS),
            "auto_validate = false: people see every record",
        ),
        (
            Acceptance(Rules(certainty_threshold=None), LABELS, min_submitted=2),
            "each record needs 2 answers (min_submitted), and the service gives none of them",
        ),
        (
            Acceptance(Rules(accept_limit=0), LABELS),
            "accept_limit = 0: only records of the slice are accepted",
        ),
        (
            Acceptance(Rules(min_precision=0.9, audit_rate=0), LABELS),
            "audit_rate = 0: without audits, only corrections can show that the precision falls",
        ),
    ],
)
def test_settings_that_are_in_the_way_are_named(now: Acceptance, said: str) -> None:
    assert said in list(hindrances(now))


def test_every_cap_is_named_with_the_texts_that_it_holds_back() -> None:
    granted = with_verdict(AcceptanceDecision(0.9, 10, 10, 0.74), Rules())
    assert list(hindrances(granted, replace(OUTLOOK, acceptable=200))) == [
        "120 records a batch until more audits are right: holds back 80 of 200 acceptable texts",
        "15 of the 215 texts left lie below the certainty threshold",
    ]
    capped = with_verdict(AcceptanceDecision(0.9, 10, 10, 0.74), Rules(accept_limit=50))
    assert next(hindrances(capped, replace(OUTLOOK, acceptable=200))) == (
        "accept_limit = 50 records a batch: holds back 150 of 200 acceptable texts"
    )


def test_with_a_promise_for_each_label_each_has_its_line(tmp_path: Path) -> None:
    rules = Rules(target_precision=0.8, confidence=0.9, promise="label")
    decisions = {
        "World": AcceptanceDecision(0.9, 30, 30, 0.8927),
        "Sports": AcceptanceDecision(None, 12, 10, 0.5, missing=24, stopped=True),
        "Business": AcceptanceDecision(None, missing=30),
    }
    now = Acceptance(rules, LABELS, below_accept_minimum={"Business": 4}, decisions=decisions)
    assert bar_in_words(now).endswith("for each label: granted to 1 of 3, see below")
    shown = told([], now, tmp_path)
    assert "World 0.9 30/30 89.2% - - " in shown
    assert "Sports stopped 10/12 50.0% 24 - " in shown
    assert "Business - - - 30 4 " in shown
    assert "stopped, because checks fell below the requirement: Sports" in shown
    assert "right checks still needed, at least: Sports 24, Business 30" in shown


def test_all_that_an_operator_asks_is_answered_on_one_page(tmp_path: Path) -> None:
    """How many were validated, checked and right; what is promised; what is in the way; how to take it all back."""
    accepted = [record(200 + n, Route.ACCEPT, None if n else "Sports") for n in range(40)]
    records = [*audits(148), record(150, Route.AUDIT, None), *accepted]
    heldback = replace(record(300, Route.ASK, "World"), held_back=True, suggestion=None, threshold=None)
    records.append(heldback)
    rules = replace(TARGET, evaluation_share=0.1)
    shown = told(records, seen(records, rules), tmp_path, Evidence("linear-1", (), OUTLOOK))
    for answer in (
        "accepted 40 records, 39 standing, 1 corrected by people",
        "blind audits 148 of 148 right, 1 waiting for people",
        "target precision 95.0% promised at 95% confidence: accepting above certainty 0.9",
        "149 of 150 checks right (99.3%), at least 97.",
        "why it isn't labelling more - ",
        "in short 150 human labels; the model is right on 97% of the other texts (94% to 99%)",
        "1 of 1 answered; the current model is right on 27 of 30, mostly doubtful texts",
        "argilla-loop revoke --all",
    ):
        assert answer in shown, shown


def test_what_is_known_of_another_model_is_not_shown(tmp_path: Path) -> None:
    records = [replace(record(0, Route.ASK, "World"), held_back=True)]
    shown = told(records, seen(records, TARGET), tmp_path, Evidence("linear-2", (), OUTLOOK))
    assert "the current model" not in shown


def test_labels_are_shown_as_they_are_spelt(tmp_path: Path) -> None:
    now = Acceptance(Rules(), ("[red]", "[/b] b"), {"[red]": 1, "[/b] b": 2})
    assert "[/b] b 0 0 0 2" in told([], now, tmp_path)


@pytest.mark.parametrize("width", [80, 120])
def test_it_fits_the_terminal(tmp_path: Path, width: int) -> None:
    console = Console(width=width)
    records = audits(110)
    found = decided(records, TARGET)
    with console.capture() as capture:
        console.print(render(found, settings=settings(tmp_path), seeds={}, match=LEFT))
    assert max(map(len, capture.get().splitlines())) <= width
    assert "…" not in capture.get()


def test_a_pool_that_changed_under_what_is_logged_is_told(tmp_path: Path) -> None:
    console = Console(width=120)
    found = decided([], TARGET)
    match = Match(np.arange(3), changed=41, moved=19)
    with console.capture() as capture:
        console.print(render(found, settings=settings(tmp_path), seeds={}, match=match))
    assert "41 of its ids have another text in Argilla, 19 of its texts another id" in capture.get()


def test_status_comes_to_the_same_verdict_as_the_turn() -> None:
    """From the same records: what a turn then accepts is what status would have said."""
    rules = Rules(
        slice_size=6, accept_limit=10, min_examples_per_label=3, target_precision=0.8, confidence=0.8
    )
    rows = sentences(300)
    dataset, learner = MemoryDataset(LABELS), CentroidLearner()
    pool = ListPool([(i, text, label if n < 30 else None) for n, (i, text, label) in enumerate(rows)])
    loop = Loop(dataset, FixedSource(pool), learner, PrecomputedVectors(learner.encoder, seed=42), rules)
    granted = set()
    for _ in range(8):
        records = read_all(dataset.scan(), dataset.service_user_id)
        now = decide(records, pool, 300, dataset.info, rules).acceptance
        turn = loop.turn()
        assert isinstance(turn.step, NextBatch)
        assert now == turn.plan.acceptance
        granted.add(now.decisions["World"].threshold is not None)
        answer_all(dataset, {i: label for i, _, label in rows})
    assert granted == {False, True}
    # another rule changes both
    stricter = replace(rules, target_precision=0.99, min_examples_per_label=500)
    records = read_all(dataset.scan(), dataset.service_user_id)
    strict = decide(records, pool, 300, dataset.info, stricter).acceptance
    vectors = PrecomputedVectors(learner.encoder, seed=42)
    turn = Loop(dataset, FixedSource(pool), learner, vectors, stricter).turn()
    assert strict == turn.plan.acceptance
    assert strict != now
    assert strict.missing


def test_evidence_is_found_again_and_what_is_not_ours_is_none(tmp_path: Path) -> None:
    mine = settings(tmp_path)
    assert evidence.known(mine) is None
    learner = CentroidLearner()
    model = learner.fit([Example("a", "x y", "A"), Example("b", "z", "B")])
    for outlook in (None, OUTLOOK, replace(OUTLOOK, forecast=Forecast(40, 9, None, 0.97))):
        evidence.keep(mine, model, outlook)
        assert evidence.known(mine) == Evidence(model.version, (), outlook)
    (file,) = (tmp_path / "evidence").iterdir()
    file.write_text('{"model": "m", "heads": [], "outlook": {"human": 1}}')
    assert evidence.known(mine) is None
