"""A real browser: headless Chromium on the real Argilla UI, and what somebody does there."""

from __future__ import annotations

import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

import pytest
from playwright.sync_api import (
    Browser,
    Locator,
    Page,
    Playwright,
    expect,
    sync_playwright,
)

from argilla_embedded import EmbeddedServer, UserCredentials

ARTIFACTS = Path(__file__).parents[2] / "test-artifacts"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",  # root has none, as in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",  # a container's /dev/shm is small
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WIDTH, HEIGHT = 1440, 900
PATIENCE = 30_000  # milliseconds that one step may take on a busy machine


def find_browser(playwright: Playwright) -> str | None:
    """Path of a Chromium: the system's, else the one that Playwright has downloaded; None if there is neither."""
    system = next(filter(None, map(shutil.which, NAMES)), None)
    own = playwright.chromium.executable_path
    return system or (own if Path(own).exists() else None)


@pytest.fixture
def artifacts() -> Path:
    """The folder of screenshots and traces, for whoever looks at them after the tests."""
    ARTIFACTS.mkdir(exist_ok=True)
    return ARTIFACTS


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for each module, as two at a time in one process are refused; a machine without one fails."""
    with sync_playwright() as playwright:
        executable = find_browser(playwright)
        if executable is None:
            pytest.fail("no Chromium is installed: run `make browser`", pytrace=False)
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


class Desk:
    """Somebody at the Argilla UI: reads what it shows, presses what it offers.

    Args:
        page: of a fresh context, nobody logged in.
        server: the Argilla server.
        stem: how the names of this desk's screenshots start.
    """

    def __init__(self, page: Page, server: EmbeddedServer, stem: str) -> None:
        self.page, self._url, self._stem = page, server.url, stem
        self._numbers = itertools.count(1)
        self.text = page.locator(".record__content .content-area > div")  # of the record on show
        self.total = page.get_by_label("Total Records")
        self.nothing_left = page.get_by_text(re.compile("no pending records|The task is completed"))
        self.chosen = page.locator("label.label-active .label-text__text")
        self.score = page.locator("label.label-active .label-text__suggestion__score")
        self.guidelines = page.locator(".annotation-guidelines")
        self.state = page.locator(".fixed-tooltip")
        self.agent = page.locator(".tooltip:has(label.label-active) .tooltip__text")

    def screenshot(self, name: str) -> Path:
        """Keep what the page shows now as ``test-artifacts/<stem>-<number>-<name>.png``."""
        path = ARTIFACTS / f"{self._stem}-{next(self._numbers):02d}-{name}.png"
        self.page.wait_for_timeout(500)  # what fades has faded
        self.page.screenshot(path=path)
        return path

    def log_in(self, user: UserCredentials) -> None:
        """Give name and password on the sign-in page; ends on the list of data sets."""
        self.page.goto(f"{self._url}/sign-in")
        self.page.locator("input[name=Username]").fill(user.username)
        self.page.locator("input[name=Password]").fill(user.password)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_label("User Button")).to_be_visible(timeout=PATIENCE)
        expect(self.page).not_to_have_url(re.compile("sign-in"), timeout=PATIENCE)

    def open(self, dataset: str) -> None:
        """Open the data set of that name from the list, at the start of its queue."""
        self.page.get_by_text(dataset, exact=True).first.click()
        self.settle()

    def open_again(self, dataset: str) -> None:
        """Go back to the list by "Home" and open the data set anew: the queue as it is now, from its start."""
        self.page.get_by_role("link", name="Home").click()
        self.open(dataset)

    def settle(self) -> None:
        """Wait until there is a record on show, or the note that none is left."""
        expect(self.text.or_(self.nothing_left).first).to_be_visible(timeout=PATIENCE)

    def reload(self) -> None:
        """Reload the page, as one does with the browser's own button.

        The address holds how far one was in the queue as it was then, and the UI goes there in the queue as it is now:
        after three answers a reload passes over two or three records. ``open_again`` doesn't.
        """
        self.page.reload()
        self.settle()

    def show_guidelines(self) -> None:
        """Open the panel beside the records that shows the data set's guidelines."""
        self.page.get_by_text("Guidelines").first.click()
        expect(self.guidelines).to_be_visible()

    def show_state(self) -> None:
        """Press the (i) beside the labels' title, which shows the question's description."""
        self.page.locator("button[id$=QuestionHeader]").click()
        expect(self.state).to_be_visible()

    def options(self) -> list[str]:
        """The labels on offer."""
        return self.page.locator(".label-text__text").all_inner_texts()

    def choose(self, label: str) -> None:
        """Choose ``label``; one that is chosen already stays so, where a press would take it back."""
        option = self.page.locator("label.label-text", has_text=label)
        if "label-active" not in (option.get_attribute("class") or ""):
            option.click()
        expect(self.chosen).to_have_text(label)

    def submit(self) -> None:
        """Submit the record on show and wait for what comes next."""
        self._answer("Submit")

    def discard(self) -> None:
        """Discard the record on show and wait for what comes next."""
        self._answer("Discard")

    def press(self, key: str) -> None:
        """Press a key that answers the record on show, and wait for what comes next."""
        text = self.text.inner_text()
        with self.page.expect_response(re.compile(r"/api/v1/records/.*/responses$")) as answer:
            self.page.keyboard.press(key)
        assert answer.value.ok, f"{answer.value.status}: {answer.value.text()}"
        expect(self.text.get_by_text(text, exact=True)).to_have_count(0, timeout=PATIENCE)
        self.settle()

    def _answer(self, how: Literal["Submit", "Discard"]) -> None:
        button = self.page.locator(".footer-form").get_by_role("button", name=how)
        text = self.text.inner_text()
        with self.page.expect_response(re.compile(r"/api/v1/records/.*/responses$")) as answer:
            button.click()
        assert answer.value.ok, f"{answer.value.status}: {answer.value.text()}"
        expect(self.text.get_by_text(text, exact=True)).to_have_count(0, timeout=PATIENCE)
        self.settle()

    def search(self, words: str) -> None:
        """Search for ``words`` in the texts."""
        box = self.page.get_by_placeholder("Introduce a query")
        self.page.locator(".search-area__icon.--search").first.click()
        box.fill(words)
        with self._searched():
            box.press("Enter")

    def filter_menu(self) -> Locator:
        """Open the filters' list of metadata and return it."""
        menu = self.page.locator(".metadata-filter")
        if not menu.is_visible():
            self.page.locator(".filters__filter-button button").click()
        menu.locator(".dropdown__header").click()
        return menu.locator(".dropdown__content")

    def filter_range(self, title: str, least: float, most: float) -> None:
        """Keep only the records whose number called ``title`` lies within ``least`` to ``most``."""
        menu = self.filter_menu()
        menu.get_by_text(title).click()
        low, high = menu.locator(".range__inputs input").all()
        for box, value in ((low, least), (high, most)):
            if box.input_value() != f"{value:g}":
                box.fill(f"{value:g}")
                box.press("Tab")
        # The UI takes a range over some time after the last key, and forgets it if the menu closes before that.
        self.page.wait_for_timeout(1000)
        self.close_menu()

    def sort_menu(self) -> Locator:
        """Open the list of what can be sorted by and return it."""
        menu = self.page.locator(".sort-filter")
        menu.locator(".dropdown__header").first.click()
        return menu.locator(".dropdown__content").first

    def sort(self, title: str, *, descending: bool = False) -> None:
        """Sort the queue by ``title``."""
        menu = self.sort_menu()
        with self._searched():
            menu.get_by_text(title).click()
        if descending:
            with self._searched():
                menu.locator(".sort-selector-item__direction").click()
        self.close_menu()

    def close_menu(self) -> None:
        """Press beside an open menu, where there is nothing."""
        self.page.mouse.click(WIDTH * 0.8, HEIGHT * 0.6)

    def turn_to_next(self) -> None:
        """Go to the next record without answering this one."""
        text = self.text.inner_text()
        self.page.get_by_label("Next (→)").click()
        expect(self.text).not_to_have_text(text, timeout=PATIENCE)

    def metadata(self) -> dict[str, str]:
        """What the record's own menu shows about it, by name; the table stays open until a reload."""
        self.page.get_by_label("Expand Record Dropdown").click()
        self.page.get_by_role("button", name="View metadata", exact=True).click()
        rows = self.page.locator(".table-info__row")
        expect(rows.first).to_be_visible()
        return {
            row.locator(".table-info__key").inner_text(): row.locator(".table-info__value")
            .inner_text()
            .strip()
            for row in rows.all()
        }

    def _searched(self) -> AbstractContextManager[Any]:
        return self.page.expect_response(re.compile(r"/records/search\?"))


@pytest.fixture
def desk(
    browser: Browser, argilla_server: EmbeddedServer, request: pytest.FixtureRequest
) -> Iterator[Callable[[], Desk]]:
    """Makes desks, each with a context of its own: no cookies, nobody logged in."""
    contexts = []
    numbers = itertools.count()

    def make() -> Desk:
        context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        number = next(numbers)
        stem = request.node.name.removeprefix("test_") + (f"-desk{number + 1}" if number else "")
        return Desk(context.new_page(), argilla_server, stem)

    yield make
    for context in contexts:
        context.close()
