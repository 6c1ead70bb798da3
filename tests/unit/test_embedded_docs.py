"""``docs/embedded.md`` says of every method of the engine's interface what it does and which test shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "embedded.md").read_text(encoding="utf-8")

# In a process of its own: argilla_server makes a home folder when it is imported.
LIST_METHODS = """
from argilla_server.search_engine.base import SearchEngine
print(*SearchEngine.__abstractmethods__, "configure_index_vectors")
"""


def test_every_method_of_the_interface_is_listed(tmp_path: Path) -> None:
    """The table names exactly the methods that argilla-server's engines must have."""
    asked = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", LIST_METHODS],
        env={**os.environ, "ARGILLA_HOME_PATH": str(tmp_path), "HF_HUB_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    engine = DOCS.split("## What stands in for Elasticsearch")[1].split("## What stands in for Redis")[0]
    assert set(re.findall(r"^\| `(\w+)`", engine, re.MULTILINE)) == set(asked)


def test_every_test_named_exists() -> None:
    """No test that the docs point to has gone."""
    files = [*(ROOT / "tests" / "service").glob("test_*.py"), *(ROOT / "tests" / "unit").glob("test_*.py")]
    code = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = set(re.findall(r"`(test_\w+)`", DOCS))
    assert len(named) > 20
    assert {name for name in named if f"def {name}(" not in code} == set()
