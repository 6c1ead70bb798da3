"""The table of faults names tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(test_\w+\.py)::(test_\w+)`", (ROOT / "docs" / "faults.md").read_text(encoding="utf-8"))


def test_every_test_that_the_table_names_exists() -> None:
    assert len(NAMED) > 20
    for file, name in NAMED:
        (path,) = (ROOT / "tests").rglob(file)
        assert re.search(rf"^def {name}\(", path.read_text(encoding="utf-8"), re.MULTILINE), f"{file}::{name}"


def test_every_row_has_a_test() -> None:
    table = (
        (ROOT / "docs" / "faults.md").read_text(encoding="utf-8").split("|---|---|---|\n")[1].split("\n\n")[0]
    )
    for row in table.splitlines():
        last = row.strip("|").split("|")[-1]
        assert "::test_" in last or "the same" in last, row
