"""A real server whose search index can be made to disagree with its database, and the switch that does it.

    with server_with_index_faults(tmp_path) as (server, faults):
        faults.drop("responses")
        ...
        faults.release()

What befalls a write is decided when the server makes it, from a file that this switch writes: so a switch that has
returned holds for every request that begins after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from argilla_embedded import EmbeddedServer
from argilla_embedded.home import INDEX_FAULTS_VARIABLE

What = Literal["records", "responses", "all"]

QUICK_RETRIES = (0.2, 0.2, 0.2)


class IndexFaults:
    """The switch of one server; each method takes the place of what an earlier one set.

    Args:
        folder: of the switch, the index and the list of what was affected; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._orders = 0
        self.environment = {INDEX_FAULTS_VARIABLE: str(folder)}

    def drop(self, what: What = "all") -> None:
        """Leave writes to the index out; Argilla answers 200. It stays behind until the records are written again."""
        self._faults("drop", what)

    def refuse(self, what: What = "all") -> None:
        """Let writes to the index fail after the database has committed; Argilla answers 500."""
        self._faults("refuse", what)

    def delay(self, what: What = "all", *, seconds: float | None = None) -> None:
        """Let writes to the index come ``seconds`` later, or at ``release``; Argilla answers 200."""
        self._faults("delay", what, seconds=seconds)

    def make_read_only(self) -> None:
        """What Elasticsearch does when its disk is full: records are left out (200), responses are refused (500)."""
        self._set(records="drop", responses="refuse")

    def break_search(self) -> None:
        """Let every search fail (500); writes go on."""
        self._set(search="fail")

    def lose_index(self) -> None:
        """Empty the index, and let searches fail and writes be lost until ``reindex``."""
        self._set(records="drop", responses="refuse", search="fail", order=self._order("empty"))

    def empty_index(self) -> None:
        """Empty the index, which works again at once, as one that was restored from a backup of before."""
        self._set(order=self._order("empty"))

    def release(self) -> None:
        """No more faults; what was delayed is written, what was dropped or refused stays missing."""
        self._set()

    def reindex(self) -> None:
        """No more faults, and the index made anew from the database."""
        self._set(order=self._order("rebuild"))

    @property
    def affected(self) -> list[dict[str, str]]:
        """What was affected so far, in order: ``fault``, and the ``method`` of Argilla's search engine."""
        file = self._folder / "affected.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def _faults(self, fault: str, what: What, **more: Any) -> None:
        kinds = ("records", "responses") if what == "all" else (what,)
        self._set(**dict.fromkeys(kinds, fault), **more)

    def _order(self, what: str) -> tuple[int, str]:
        self._orders += 1
        return self._orders, what

    def _set(self, **switch: Any) -> None:
        unfinished = self._folder / "switch.json.tmp"
        unfinished.write_text(json.dumps(switch))
        unfinished.replace(self._folder / "switch.json")


@contextmanager
def server_with_index_faults(
    folder: Path, *, webhook_retries: Sequence[float] = QUICK_RETRIES, **options: Any
) -> Iterator[tuple[EmbeddedServer, IndexFaults]]:
    """A server of its own in ``folder``, with its switch.

    Args:
        folder: for the server's home and the index.
        webhook_retries: as ``EmbeddedServer``.
        options: of ``EmbeddedServer``.
    """
    faults = IndexFaults(folder / "index")
    server = EmbeddedServer(
        folder / "home", webhook_retries=webhook_retries, environment=faults.environment, **options
    )
    with server:
        yield server, faults
