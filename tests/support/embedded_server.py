"""Fixtures: one real Argilla server for the whole test session, and names that no other test uses.

``tests/conftest.py`` imports the fixtures from here.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from argilla_loop.embedded import EmbeddedServer

_numbers = itertools.count(1)

# Webhooks that fail are tried again at once rather than after 10, 60 and 180 seconds.
QUICK_RETRIES = (0.2, 0.2, 0.2)


@pytest.fixture(scope="session")
def argilla_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A real server in a process of its own, shared by all tests: keep to data sets of your own."""
    home = tmp_path_factory.mktemp("argilla")
    with EmbeddedServer(home, webhook_retries=QUICK_RETRIES) as server:
        yield server


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """Makes a name for a data set or workspace that no other test uses: ``fresh_name("news")``."""
    return lambda stem: f"{stem}-{os.getpid()}-{next(_numbers)}"
