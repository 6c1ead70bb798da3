"""Every benchmark starts in what `make setup` installs: also what it imports only once it is at work is there."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))
PARTS = sorted(set((ROOT / "benchmarks").rglob("*.py")) - set(SCRIPTS))
IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"

pytestmark = pytest.mark.slow  # each script imports its libraries


def imported(script: Path) -> Iterator[str]:
    """Modules that a script imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    folders = [str(ROOT / "tests" / "support"), str(ROOT / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(folders)
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


def test_there_are_benchmarks() -> None:
    assert len(SCRIPTS) > 10


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_a_benchmark_starts_and_what_it_imports_later_is_there(script: Path) -> None:
    told = run(str(script), "--help")
    assert told.returncode == 0, told.stderr
    assert "usage:" in told.stdout
    told = run("-W", "ignore", "-c", IMPORT, *sorted(set(imported(script)) - {"__future__"}))
    assert told.returncode == 0, told.stderr


def test_what_the_parts_of_the_benchmarks_import_later_is_there() -> None:
    assert len(PARTS) > 10
    names = {name for part in PARTS for name in imported(part)} - {"__future__", "_typeshed"}
    told = run("-W", "ignore", "-c", IMPORT, *sorted(names))
    assert told.returncode == 0, told.stderr
