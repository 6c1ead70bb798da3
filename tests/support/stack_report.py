"""The table of what ran on the stack, for ``benchmarks/stack.md``."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

import pytest
from team_stack import TeamStack
from team_stack.kit import program


@dataclass
class Row:
    """One test: what it shows, how it ended, how long it took, what it counted."""

    name: str
    what: str
    outcome: str = "passed"
    seconds: float = 0.0
    seen: dict[str, object] = field(default_factory=dict)


class Report:
    """Collects results while tests run."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self._versions: dict[str, str] = {}

    def describe(self, stack: TeamStack) -> None:
        """Take down the versions of a stack's parts."""
        argilla = subprocess.run(
            [
                stack.kit.python,
                "-c",
                "from importlib.metadata import version as v; print(v('argilla-server'))",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        self._versions = {
            "argilla-server": argilla.stdout.strip(),
            "PostgreSQL": stack.query("show server_version").split()[0],
            "Redis": _first_version([program("redis-server"), "--version"]),
            "Elasticsearch's core": "7.0.0",
            "Java": _first_version([program("java"), "--version"]),
            "argilla (client)": version("argilla"),
            "argilla-loop": version("argilla-loop"),
        }

    def add(self, item: pytest.Item, when: str, report: pytest.TestReport) -> None:
        """Take down a phase of a test; its set-up only where it failed."""
        what = (getattr(getattr(item, "function", None), "__doc__", None) or "").strip().split("\n")[0]
        row = self._rows.setdefault(item.nodeid, Row(item.name, what))
        if when == "call":
            row.seconds = report.duration
            row.seen = dict(report.user_properties)
        if report.outcome != "passed":
            row.outcome = report.outcome

    def write(self, path: Path) -> None:
        """Write the table as Markdown."""
        passed = sum(row.outcome == "passed" for row in self._rows.values())
        now = datetime.now(tz=timezone.utc)
        versions = ", ".join(f"{name} {number}" for name, number in self._versions.items())
        lines = [
            "# The service on a real team stack",
            "",
            f"Written by `make stack-test` on {now:%Y-%m-%d}: **{passed} of {len(self._rows)} passed**.",
            f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}; {versions}.",
            "",
            "The stack is what `docker-compose.yml` runs, as plain processes (CONTRIBUTING.md). After each test no",
            "record is there twice, none is missing, and every answer of a person is as it was given",
            "(`check_invariants`).",
            "",
            "| what is shown | result | seconds | counted |",
            "|---|---|---:|---|",
        ]
        for row in self._rows.values():
            case = re.search(r"\[(.+)\]", row.name)
            what = f"{row.what.rstrip('.')}{f' ({case.group(1)})' if case else ''}"
            seen = ", ".join(f"{key}: {value}" for key, value in row.seen.items())
            lines.append(f"| {what} | {row.outcome} | {row.seconds:.0f} | {seen} |")
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _first_version(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found.group() if found else "unknown"
