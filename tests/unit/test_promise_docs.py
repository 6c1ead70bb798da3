"""The tables of what is promised name, in every row, a test that exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = {
    name: (ROOT / "docs" / name).read_text(encoding="utf-8")
    for name in ("faults.md", "security.md", "bad-input.md")
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_every_test_that_a_table_names_exists(text: str) -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", text)
    assert len(named) > 9
    for file, name in named:
        defined = rf"^ *def {name}\("
        assert any(
            re.search(defined, path.read_text(encoding="utf-8"), re.MULTILINE)
            for path in (ROOT / "tests").rglob(file)
        ), f"{file}::{name}"


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
def test_every_row_has_a_test(text: str) -> None:
    rows = text.split("|---|---|---|\n", 1)[1].split("\n\n", maxsplit=1)[0].splitlines()
    assert len(rows) > 5
    for row in rows:
        last = row.strip("|").split("|")[-1]
        assert "::test_" in last or "the same" in last, row
