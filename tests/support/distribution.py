"""In which order the tests run, and which of them stay on one pytest-xdist worker (``--dist loadgroup``)."""

from __future__ import annotations

import pytest

# The files with the longest tests: a worker that starts one of these last would keep the others waiting.
LONGEST = (
    "test_kill_nine.py",
    "test_state_machine.py",
    "test_demo.py",
    "test_foreign_replies.py",
    "test_faults.py",
    "test_migrate.py",
    "test_revoke.py",
    "test_recovery.py",
)
FOLDERS = ("service", "contract", "unit", "stack")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the longest tests, end with the shortest, and keep together what shares a fixture.

    A test of ``tests/service`` whose file has no fixture of its own goes to whichever worker is free. The tests of any
    other file stay together, so that a module's fixture is made once.
    """
    items.sort(key=_rank)
    for item in items:
        if _shares_a_fixture(item) or item.path.parent.name != "service":
            item.add_marker(pytest.mark.xdist_group(item.path.name))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run if pytest-xdist does not keep tests together, as it does not on pytest 9.2.

    Nothing would fail: each worker would make the fixtures of each module, and the suite would take twice as long.
    """
    if getattr(session.config.option, "loadgroup", False):
        apart = [
            item
            for item in session.items
            if item.get_closest_marker("xdist_group") and "@" not in item.nodeid
        ]
        if apart:
            raise pytest.UsageError(f"pytest-xdist does not keep the tests of {apart[0].path.name} together")


def _rank(item: pytest.Item) -> tuple[int, int]:
    folder, name = item.path.parent.name, item.path.name
    return (
        LONGEST.index(name) if name in LONGEST else len(LONGEST),
        FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS),
    )


def _shares_a_fixture(item: pytest.Item) -> bool:
    if item.get_closest_marker("browser"):  # one browser is enough
        return True
    fixtures = item._fixtureinfo.name2fixturedefs.values() if isinstance(item, pytest.Function) else ()
    return any(definition.scope == "module" for known in fixtures for definition in known)
