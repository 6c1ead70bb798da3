"""The page of the running service: figures, no texts, and a new one only if something has changed."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections import Counter
from html.parser import HTMLParser

import pytest
from adjudicated import read_all

from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.loop.decision import View
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.observation import observe
from argilla_loop.policy.plan import plan
from argilla_loop.policy.rules import Rules
from argilla_loop.service.http.page.live import MOST_TURNS, LivePage, State

WELL = State("batch 1 logged", "", is_working=True)
MARKUP = '<script>alert("1")</script>'
OUTLOOK = Outlook(8, 0, 4, Estimate(0.9, 0.8, 0.95, 40), Estimate(0.9, 0.85, 0.95, 60))


def view(answered: int, labels: tuple[str, ...] = ("A", "B"), min_submitted: int = 1) -> View:
    """Ten records, of which people have answered so many."""
    records = []
    for n in range(10):
        answers = [Answer("anna", "submitted", labels[n % 2], "2026-04-01T08:00:00")] if n < answered else []
        records.append(
            LoggedRecord(
                f"r{n}", f"hidden words {n}", batch=0, route=Route.ASK, answers=tuple(answers),
                suggestion=labels[0] if n % 3 == 0 else None, prediction=labels[0],
            )
        )  # fmt: skip
    rules = Rules()
    seen = observe(
        read_all(records, "service", min_submitted=min_submitted),
        [],
        3,
        labels=labels,
        rules=rules,
        min_submitted=min_submitted,
    )
    return View(plan(seen, rules), Counter())


def text_of(page: LivePage, state: State = WELL) -> str:
    return page.make(state).body.decode()


def shown(page: LivePage, element: str, state: State = WELL) -> str:
    """The words in the element with this id."""
    found = re.search(rf'<(\w+)[^>]*id="{element}"[^>]*>(.*?)</\1>', text_of(page, state), re.DOTALL)
    assert found is not None
    return " ".join(re.sub("<[^>]*>", " ", found[2]).split())


class Ids(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del tag
        self.ids += [value for name, value in attrs if name == "id" and value]


def test_it_says_what_waits_without_a_text_a_person_or_markup_of_a_label() -> None:
    page = LivePage("news")
    page.follow(lambda: view(4, (MARKUP, "B")))
    text = text_of(page)
    assert shown(page, "headline") == (
        "Nothing is known yet about how right the labels are. 6 texts wait for people, 2 of them with a suggestion."
    )
    assert "hidden words" not in text
    assert "anna" not in text
    assert "&lt;script&gt;alert" in text
    assert MARKUP not in text
    ids = Ids(text).ids
    assert len(ids) == len(set(ids))


def test_several_answers_a_record_and_one_waiting_record_are_said_in_full_words() -> None:
    page = LivePage("news")
    page.follow(lambda: view(0, min_submitted=2))
    assert "each needs 2 answers, 20 in all are missing." in shown(page, "headline")
    page.follow(lambda: view(9))
    assert "1 text waits for people, with a suggestion." in shown(page, "headline")
    page.follow(lambda: view(10))
    assert "Nothing waits for people." in shown(page, "headline")


def test_before_the_first_look_it_says_what_the_service_does() -> None:
    page = LivePage("news")
    assert shown(page, "headline", State("waiting for Argilla", "", is_working=False)) == (
        "There are no figures yet. The service says: waiting for Argilla."
    )


def test_what_is_wrong_is_said_and_nothing_if_nothing_is() -> None:
    page = LivePage("news")
    page.follow(lambda: view(4))
    assert (shown(page, "note"), shown(page, "away")) == ("", "")
    ill = State("x", "the search index lacks 3 records", is_working=False)
    assert shown(page, "note", ill) == "the search index lacks 3 records."
    assert shown(page, "away", ill).startswith("The service does not reach Argilla now.")


def test_the_headline_is_of_the_latest_model_and_counts_what_is_there_now() -> None:
    page = LivePage("news")
    page.follow(lambda: view(10))
    page(Turn(view(8).plan, outlook=OUTLOOK))
    assert shown(page, "headline").startswith("10 human labels; the model is right on 90% of the other texts")
    page(Turn(view(8).plan))  # a turn without a model
    assert "10 human labels" in shown(page, "headline")


def test_after_a_restart_the_headline_is_that_of_the_evidence_kept() -> None:
    page = LivePage("news", lambda _: OUTLOOK)
    page.follow(lambda: view(10))
    assert "the model is right on 90%" in shown(page, "headline")


def test_the_latest_turns_that_logged_something_are_listed() -> None:
    page = LivePage("news")
    current = view(10)
    page.follow(lambda: current)
    page(Turn(current.plan))
    assert "has logged nothing since it was started" in shown(page, "section-turns")
    new = [
        NewRecord("a", "hidden words", 1, route=Route.ASK),
        NewRecord("b", "hidden words", 1, route=Route.ACCEPT),
    ]
    for n in range(MOST_TURNS + 3):
        page(Turn(current.plan, new, seconds={"train": n / 100}))
    rows = re.findall(r'<tr><th scope="row">[\d:]{8}</th>(.*?)</tr>', text_of(page))
    assert len(rows) == MOST_TURNS
    cells = re.findall("<td>(.*?)</td>", rows[0])
    assert cells == ["1", "1", "1", "-", "-", f"{(MOST_TURNS + 2) / 100:.2f}", "-", "-"]


def test_it_is_made_once_for_what_was_seen_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    page, made, one = LivePage("news"), [], view(4)
    render = page._render
    monkeypatch.setattr(page, "_render", lambda *given: (made.append(given), render(*given))[1])
    page.follow(lambda: one)
    tags: list[str] = []
    threads = [threading.Thread(target=lambda: tags.append(page.make(WELL).tag)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(set(tags)) == 1
    two = view(5)
    page.follow(lambda: two)
    assert page.make(WELL).tag not in tags
    assert len(made) == 2


def test_the_policy_allows_its_own_style_sheet_and_script_alone() -> None:
    page = LivePage("news").make(WELL)
    for element, directive in (("style", "style-src"), ("script", "script-src")):
        (source,) = re.findall(f"<{element}>(.*?)</{element}>", page.body.decode(), re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'; " in page.policy
    assert page.policy.startswith("default-src 'none'; ")
    assert "unsafe" not in page.policy
