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
IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def imported(script: Path) -> Iterator[str]:
    """Modules that a script imports anywhere, inside functions too."""
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(ROOT / "tests" / "support"), os.environ.get("PYTHONPATH", "")])
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
