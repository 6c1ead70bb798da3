"""A search index for tests that can disagree with the database, as a real Elasticsearch can.

A server uses it only if the environment variable ``home.INDEX_FAULTS_VARIABLE`` names an existing folder; no setting
and no command-line option enables it. The folder then contains the index (``index.db``), the switch (``switch.json``,
which is read at every write and search, see ``Switch``) and a log of the affected calls (``affected.jsonl``).
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from argilla_server.models import Dataset, MetadataProperty, Record, Response, Suggestion
from argilla_server.search_engine.base import SearchEngine
from argilla_server.settings import settings
from pydantic import BaseModel, ConfigDict
from sqlalchemy import make_url
from typing_extensions import override

from argilla_embedded.engine import EmbeddedSearchEngine
from argilla_embedded.home import INDEX_FAULTS_VARIABLE
from argilla_embedded.reader import Reader
from argilla_embedded.separate_index import Change, MissingDocumentError, SeparateIndex

NAME = "embedded-with-faults"
INDEX_FILE, SWITCH_FILE, AFFECTED_FILE = "index.db", "switch.json", "affected.jsonl"

Result = TypeVar("Result")
Kind = Literal["records", "responses"]
Fault = Literal["drop", "refuse", "delay"]


class Switch(BaseModel):
    """The content of ``switch.json``.

    Attributes:
        records: fault for writes of whole records and suggestions: ``drop`` skips the write (Argilla answers 200),
            ``refuse`` raises after the database has committed (Argilla answers 500), ``delay`` writes later.
        responses: fault for writes of responses, and of the record status that depends on them.
        seconds: duration of ``delay``; None delays until ``delay`` is replaced or removed.
        search: ``fail`` makes every search fail with a server error.
        order: an increasing number and a command to run once: ``empty`` or ``rebuild`` the index.
    """

    model_config = ConfigDict(extra="forbid")

    records: Fault | None = None
    responses: Fault | None = None
    seconds: float | None = None
    search: Literal["fail"] | None = None
    order: tuple[int, Literal["empty", "rebuild"]] | None = None


class IndexFaultError(Exception):
    """The fault that the switch requests."""


class FaultyIndex:
    """The separate index with its switch. One thread does all the work, in the order of the calls."""

    def __init__(self, folder: Path, database: Path) -> None:
        self._folder = folder
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="index")
        self._delayed: list[tuple[float, Change]] = []
        self._index = self._thread.submit(SeparateIndex, folder / INDEX_FILE, database).result()
        self.reader = Reader(folder / INDEX_FILE)

    async def write(
        self, kind: Kind, method: str, capture: Callable[[SeparateIndex], Change], *, needs: str | None = None
    ) -> None:
        """Apply the change that ``capture`` reads from the database, or the fault that the switch requests.

        Raises:
            IndexFaultError: the switch is set to ``refuse``.
            MissingDocumentError: the index has no document for the record ``needs``.
        """
        await self._run(self._write, kind, method, capture, needs)

    async def settle(self, *, search: bool = True) -> None:
        """Apply the changes that are due, before a search.

        Raises:
            IndexFaultError: the switch makes searches fail.
        """
        switch = await self._run(self._prepare)
        if search and switch.search == "fail":
            await self._run(self._note, "fail", "search")
            raise IndexFaultError("The search index does not answer: the switch for tests says so.")

    async def change(self, work: Callable[[SeparateIndex], None]) -> None:
        """Run ``work`` regardless of the switch."""
        await self._run(work, self._index)

    async def _run(self, work: Callable[..., Result], *arguments: Any) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments)

    def _write(
        self, kind: Kind, method: str, capture: Callable[[SeparateIndex], Change], needs: str | None
    ) -> None:
        switch = self._prepare()
        fault = switch.records if kind == "records" else switch.responses
        if fault is not None:
            self._note(fault, method)
        if fault == "refuse":
            raise IndexFaultError("The search index refuses the write: the switch for tests says so.")
        if fault == "delay":
            due = time.monotonic() + switch.seconds if switch.seconds is not None else float("inf")
            self._delayed.append((due, capture(self._index)))
        elif fault is None:
            if needs is not None and not self._index.has_record(needs):
                raise MissingDocumentError(f"The search index holds no record {needs}.")
            self._index.apply(capture(self._index))

    def _prepare(self) -> Switch:
        """Read the switch, run its command, and apply the delayed changes that are due."""
        switch = read_switch(self._folder)
        if "delay" not in (switch.records, switch.responses):
            self._delayed = [(0.0, change) for _, change in self._delayed]
        while self._delayed and self._delayed[0][0] <= time.monotonic():
            self._index.apply(self._delayed.pop(0)[1])
        if switch.order is not None and switch.order[0] > self._index.orders_done:
            number, what = switch.order
            self._delayed.clear()
            self._index.empty() if what == "empty" else self._index.rebuild()
            self._index.orders_done = number
        return switch

    def _note(self, fault: str, method: str) -> None:
        with (self._folder / AFFECTED_FILE).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"fault": fault, "method": method}) + "\n")


def read_switch(folder: Path) -> Switch:
    """Return the switch in ``folder``, without faults if the file does not exist."""
    try:
        return Switch.model_validate_json((folder / SWITCH_FILE).read_bytes())
    except FileNotFoundError:
        return Switch()


@lru_cache(maxsize=1)
def faulty_index() -> FaultyIndex:
    """Return this process's separate index."""
    return FaultyIndex(
        Path(os.environ[INDEX_FAULTS_VARIABLE]), Path(str(make_url(settings.database_url).database))
    )


@SearchEngine.register(engine_name=NAME)
class FaultySearchEngine(EmbeddedSearchEngine):
    """The embedded engine on a separate index, whose writes the switch can make fail."""

    @override
    async def read_index(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        await faulty_index().settle()
        return await faulty_index().reader.read(work)

    @override
    async def create_index(self, dataset: Dataset) -> None:
        id_ = dataset.id.hex
        await faulty_index().change(lambda index: index.apply(index.read_dataset(id_)))

    @override
    async def delete_index(self, dataset: Dataset) -> None:
        id_ = dataset.id.hex
        await faulty_index().change(lambda index: index.forget_dataset(id_))

    @override
    async def configure_metadata_property(
        self, dataset: Dataset, metadata_property: MetadataProperty
    ) -> None:
        await self.create_index(dataset)

    @override
    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        await self._write_records("index_records", [record.id.hex for record in records])

    @override
    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        await self._write_records("delete_records", [record.id.hex for record in records])

    @override
    async def partial_record_update(self, record: Record, **update: Any) -> None:
        id_, values = record.id.hex, {name: str(value) for name, value in update.items()}
        change: Change = [
            (f'UPDATE records SET "{name}" = ? WHERE id = ?', (value, id_))  # noqa: S608 - Argilla's own names
            for name, value in values.items()
        ]
        await faulty_index().write("responses", "partial_record_update", lambda _: change, needs=id_)

    @override
    async def update_record_response(self, response: Response) -> None:
        await self._write_row("responses", "update_record_response", "responses", response)

    @override
    async def delete_record_response(self, response: Response) -> None:
        await self._write_row("responses", "delete_record_response", "responses", response)

    @override
    async def update_record_suggestion(self, suggestion: Suggestion) -> None:
        await self._write_row("records", "update_record_suggestion", "suggestions", suggestion)

    @override
    async def delete_record_suggestion(self, suggestion: Suggestion) -> None:
        await self._write_row("records", "delete_record_suggestion", "suggestions", suggestion)

    async def _write_records(self, method: str, ids: list[str]) -> None:
        await faulty_index().write("records", method, lambda index: index.read_records(ids))

    async def _write_row(self, kind: Kind, method: str, table: str, row: Response | Suggestion) -> None:
        id_ = row.id.hex
        await faulty_index().write(
            kind, method, lambda index: index.read_row(table, id_), needs=row.record_id.hex
        )
