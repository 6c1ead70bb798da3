"""The docs say of every method of the engine's interface what it does here, and which test shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"

# In a process of its own: argilla_server makes a home folder when it is imported.
LIST_METHODS = """
from argilla_server.search_engine.base import SearchEngine
print(*SearchEngine.__abstractmethods__, "configure_index_vectors")
"""


def rows(page: str, begin: str, end: str) -> list[str]:
    part = (DOCS / page).read_text(encoding="utf-8").split(begin)[1].split(end)[0]
    return re.findall(r"^\| (`\w+`(?:: \w+)?) \|", part, re.MULTILINE)


def test_every_method_of_the_interface_is_listed_and_has_its_tests(tmp_path: Path) -> None:
    """The table names exactly the methods that argilla-server's engines must have."""
    asked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIST_METHODS],
        env={**os.environ, "ARGILLA_HOME_PATH": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    told = rows("embedded.md", "## What stands in for Elasticsearch", "## What stands in for Redis")
    assert {re.sub(r"`(\w+)`.*", r"\1", one) for one in told} == set(asked)
    assert rows("contributing/tests.md", "## The embedded server's search engine", "\n## ") == told
