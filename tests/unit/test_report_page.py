"""The page of a report: whole, escaped and the same every time, whatever there is to tell."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from datetime import datetime, timezone
from html.parser import HTMLParser
from pathlib import Path

import pytest
from adjudicated import read_all

from argilla_loop.cli.report_file import refuse_existing
from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.errors import SettingsError
from argilla_loop.policy.explanation import explain
from argilla_loop.policy.observation import observe
from argilla_loop.policy.plan import plan
from argilla_loop.policy.report.figures import report_of
from argilla_loop.policy.rules import Rules
from argilla_loop.service.results.report.about import about, shown_settings
from argilla_loop.service.results.report.page import Section, render
from argilla_loop.settings import Settings

MADE = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
SECRET = "sk-not-to-be-shown"
MARKUP = '<script>alert("1")</script> & [bold]x[/bold]'
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Structure(HTMLParser):
    """Checks that elements nest, and notes headings, element ids, and everything that could load something."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.levels: list[int] = []
        self.loading: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [value for name, value in attrs if name == "id" and value]
        if re.fullmatch("h[1-6]", tag):
            self.levels.append(int(tag[1]))
        if tag in {"script", "img", "link", "iframe", "object"} or {"src", "href", "style"} & given.keys():
            self.loading.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def records(labels: list[str], batches: int) -> list[LoggedRecord]:
    """Ten records in each batch: asked, held back, audited and accepted ones, some wrong."""
    found = []
    for n in range(10 * batches):
        label, said = labels[n % len(labels)], labels[(n + (n % 7 == 0)) % len(labels)]
        route = (Route.ASK, Route.ASK, Route.AUDIT, Route.ACCEPT)[n % 4]
        by = Answer(
            "u-1", "submitted", said, f"2026-04-{n // 400 % 28 + 1:02d}T08:{n // 60 % 60:02d}:{n % 60:02d}"
        )
        mine = Answer("daemon", "submitted", label, "2026-04-01T08:00:00")
        found.append(
            LoggedRecord(
                f"r{n}", f"hidden words {n}", batch=n // 10, route=route, certainty=0.95, model=f"svm-{n // 10}",
                suggestion=label if n % 4 == 0 else None, prediction=label, threshold=0.9, held_back=n % 4 == 1,
                answers=(mine if route is Route.ACCEPT else by,),
            )
        )  # fmt: skip
    return found


def page_of(labels: list[str], found: list[LoggedRecord], rules: Rules | None = None, **more: object) -> str:
    rules = rules or Rules()
    decided = plan(
        observe(read_all(found, "daemon"), [], 3, labels=labels, rules=rules, min_submitted=1), rules
    )
    settings = Settings.model_validate({"api_key": SECRET, "pool": {"path": "/home/anna/x.csv"}})
    told = about(
        settings, dataset=str(more.get("name", "news")), server_version="2.8.0", models=[], made=MADE
    )
    extra = [Section("Doubtful answers", ["Three."], "c", ["label", "n"], [[MARKUP, "3"]])]
    return render(report_of(decided, Counter()), explain(decided), told, extra)


WORLDS = {
    "nothing": (["A", "B"], 0),
    "one batch": (["A", "B"], 1),
    "150 labels": ([f"label {n:03d}" for n in range(150)], 40),
    "300 batches": (["A", "B", "C"], 300),
    "odd labels": ([MARKUP, "a, [b]\nc", "x" * 400, "\U0001f642"], 12),
}


@pytest.mark.parametrize("world", list(WORLDS))
def test_the_page_is_whole_loads_nothing_and_is_the_same_again(world: str) -> None:
    """Elements nest, ids are unique, headings leave no level out, and no label is ever markup."""
    labels, batches = WORLDS[world]
    page = page_of(labels, records(labels, batches))
    found = Structure(page)
    assert found.loading == []
    assert len(found.ids) == len(set(found.ids))
    assert found.levels[0] == 1
    assert found.levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(found.levels, found.levels[1:], strict=False))
    assert "hidden words" not in page
    assert page == page_of(labels, records(labels, batches))
    assert "alert(&#34;1&#34;)" in page  # of the further section in every world


def test_the_policy_allows_this_style_sheet_alone() -> None:
    """The digest is that of the style sheet on the page, and nothing else is allowed."""
    page = page_of(["A", "B"], [])
    (style,) = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    (policy,) = re.findall('Content-Security-Policy" content="(.*?)"', page)
    assert policy.replace("&#39;", "'").replace("&#43;", "+") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize(
    "rules", [Rules(certainty_threshold=None), Rules(promise="label", min_precision=0.9)]
)
def test_every_kind_of_promise_has_a_page(rules: Rules) -> None:
    """Without acceptance there is no curve of precision; with a promise for each label it says so."""
    page = page_of(["A", "B"], records(["A", "B"], 9), rules)
    assert ("there is nothing to check" in page) == (rules.criterion is None)
    assert ("the promise is made for each label" in page) == (rules.promise == "label")


def test_settings_are_shown_without_secrets_addresses_and_folders() -> None:
    """A key, a header, an address and a folder that names a person stay out; a changed value is marked."""
    settings = Settings.model_validate(
        {
            "api_key": SECRET,
            "headers": {"Authorization": SECRET},
            "api_url": "https://anna.example",
            "seed": 7,
            "model": "/home/anna/models/mini",
            "pool": {"path": "/home/anna/x.csv"},
            "workspace": "anna",
        }
    )
    shown = shown_settings(settings)
    assert not any(word in str(shown) for word in (SECRET, "anna", "/home"))
    assert ("seed", "7", True) in shown
    assert ("model", "mini", True) in shown
    assert ("label_rule", "majority", False) in shown


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    """A folder is never replaced."""
    file = tmp_path / "r.html"
    refuse_existing(file, force=False)
    file.touch()
    with pytest.raises(SettingsError, match="--force"):
        refuse_existing(file, force=False)
    refuse_existing(file, force=True)
    with pytest.raises(SettingsError, match="is a folder"):
        refuse_existing(tmp_path, force=True)
