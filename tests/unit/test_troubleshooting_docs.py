"""docs/troubleshooting.md has a remedy for every warning and error that the packages log, and for no other event."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
LEVELS = ("warning", "error", "exception", "critical")
# Where the name of an event is not a constant, the names that it can have.
COMPUTED = {
    "argilla_loop/service/retries.py": {"start_failed", "look_failed"},
    "argilla_loop/service/http/webhook_keeper.py": {"webhook_unavailable"},
}
WRITTEN_BY_HAND = {"log_lines_lost"}  # observability/logs.py: the log itself could not be written


def calls(path: Path) -> Iterator[ast.Call]:
    """The calls of ``path`` that log a warning or more."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            logger = ast.unparse(node.func.value)
            if node.func.attr in LEVELS and ("log" in logger or "get_logger" in logger):
                yield node


def logged() -> set[str]:
    events = set(WRITTEN_BY_HAND)
    for path in (ROOT / "src").rglob("*.py"):
        name = path.relative_to(ROOT / "src").as_posix()
        for call in calls(path):
            event = call.args[0]
            if isinstance(event, ast.Constant) and isinstance(event.value, str):
                events.add(event.value)
            else:
                events |= COMPUTED[name]
    return events


def test_every_warning_and_error_is_on_the_page() -> None:
    events = logged()
    assert len(events) > 40
    assert {event for event in events if f"`{event}`" not in PAGE} == set()


def test_every_event_of_the_tables_is_logged() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) <= logged()


def test_the_names_that_are_computed_are_those() -> None:
    service = (ROOT / "src" / "argilla_loop" / "service").rglob("*.py")
    code = "\n".join(path.read_text(encoding="utf-8") for path in service)
    names = re.findall(r'what="(\w+)"|self\._retry_until_stopped\([\w.]+, "(\w+)"\)', code)
    assert {f"{one or other}_failed" for one, other in names} == {"start_failed", "look_failed"}
    assert set(re.findall(r'_report_once\("(\w+)"', code)) == {"webhook_unavailable"}


def test_every_row_has_a_cause_and_a_remedy() -> None:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in PAGE.splitlines() if line.startswith("|")]
    assert len(rows) > 50
    assert not [row for row in rows if len(row) < 3 or not all(cell.strip() for cell in row)]
