"""One page for contributors names a test for every promise; the pages for users name none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
TESTS = (DOCS / "contributing" / "tests.md").read_text(encoding="utf-8")
#: The tables of promises, and the section that names their tests.
TABLES = {"faults.md": "Faults", "bad-input.md": "Bad input", "security.md": "Security"}
FOR_CONTRIBUTORS = {DOCS / "contributing" / "tests.md", DOCS / "architecture.md"}
FOR_USERS = [ROOT / "README.md", *sorted(set(DOCS.rglob("*.md")) - FOR_CONTRIBUTORS)]


def section(title: str) -> str:
    return TESTS.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def rows(text: str) -> list[list[str]]:
    """The rows of the first table of two columns, without its head."""
    table = text.split("|---|---|\n", 1)[1].split("\n\n", maxsplit=1)[0]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in table.splitlines()]


def exists(file: str, name: str) -> bool:
    """Whether a file of tests defines the test."""
    defined = re.compile(rf"^ *(?:async )?def {name}\(", re.MULTILINE)
    return any(defined.search(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob(file))


@pytest.mark.parametrize(("page", "title"), TABLES.items(), ids=TABLES.keys())
def test_every_promise_has_its_tests(page: str, title: str) -> None:
    promised = [cells[0] for cells in rows((DOCS / page).read_text(encoding="utf-8"))]
    shown = rows(section(title))
    assert len(promised) > 5
    assert [cells[0] for cells in shown] == promised
    for promise, tests in shown:
        assert "::test_" in tests or tests.startswith("the same"), promise


def test_every_test_that_is_named_exists() -> None:
    with_file = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TESTS)
    alone = re.findall(r"`(test_\w+)`", TESTS)
    assert len(with_file) > 100
    assert len(alone) > 40
    named = [*with_file, *(("test_*.py", name) for name in alone)]
    assert not [f"{file}::{name}" for file, name in named if not exists(file, name)]


@pytest.mark.parametrize("page", FOR_USERS, ids=lambda path: path.name)
def test_a_page_for_users_names_no_test(page: Path) -> None:
    assert not re.findall(r"\S*\btest_\w+\S*", page.read_text(encoding="utf-8"))
