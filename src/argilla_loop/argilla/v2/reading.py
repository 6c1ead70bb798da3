"""Records read from Argilla: page by page from its database, one by one, or by its search index."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any

import argilla as rg

from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.argilla.query import Query
from argilla_loop.argilla.v2.connection import Connection, translated
from argilla_loop.errors import GoneError, RejectedError, RetryableError

PAGE = 500  # records per request, of the 1,000 that Argilla 2.8 allows; chosen, not measured
SCANS = 5  # passes before a scan fails because records are being deleted; chosen, not measured
INCLUDED = ("responses", "suggestions")


class RecordReader:
    """Reads the records of one dataset as the API's objects.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        included: what is read with each record.
    """

    def __init__(
        self, connection: Connection, info: DatasetInfo, *, included: Sequence[str] = INCLUDED
    ) -> None:
        self._connection, self._name, self._included = connection, info.name, list(included)
        self._path = f"/datasets/{info.id}"
        self._server_ids: dict[str, str] = {}  # by our id, of all records that were read

    def page(self, offset: int, limit: int = PAGE) -> Any:
        """Return one page of the database's list, which is in the order in which records were added."""
        params = {"offset": offset, "limit": limit, "include": self._included}
        page = self._connection.call("GET", f"{self._path}/records", where="the records", params=params)
        self._server_ids.update((str(item["external_id"]), item["id"]) for item in page["items"])
        return page

    def items(self) -> list[dict[str, Any]]:
        """Return all records.

        Raises:
            RetryableError: records come and go so fast that no pass sees the same total on all of its pages.
        """
        for _ in range(SCANS):
            items: dict[str, dict[str, Any]] = {}
            totals: set[int] = set()
            offset = 0
            while True:
                page = self.page(offset)
                totals.add(page["total"])
                items.update((item["id"], item) for item in page["items"])
                offset += len(page["items"])
                if len(page["items"]) < PAGE:
                    break
            if len(totals) == 1:  # otherwise a deletion has shifted the pages, and a record may be missing
                return list(items.values())
        raise RetryableError("records are being deleted while they are read")

    def fetch(self, ids: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield records as they are now, with one request each; ids that no longer exist are left out."""
        if not self._server_ids.keys() >= set(ids):
            self.items()  # each page notes the ids of its records
        for record_id in ids:
            if record_id in self._server_ids:
                with suppress(GoneError):
                    path = f"/records/{self._server_ids[record_id]}"
                    item = self._connection.call("GET", path, where=f"record {record_id!r}")
                    yield item

    def count(self, query: Query) -> int:
        """Return how many records the index finds."""
        return int(self._search(query, offset=0, limit=1)["total"])

    def search(self, query: Query) -> Iterator[dict[str, Any]]:
        """Yield the records that the index finds, page by page."""
        offset = 0
        while True:
            page = self._search(query, offset=offset, limit=PAGE, include=INCLUDED)["items"]
            yield from (item["record"] for item in page)
            offset += len(page)
            if len(page) < PAGE:
                return

    def _search(self, query: Query, *, offset: int, limit: int, include: Sequence[str] = ()) -> Any:
        with translated("the query"):
            conditions = conditions_of(query)
            model = rg.Query(filter=rg.Filter(conditions) if conditions else None).api_model()
        try:
            return self._connection.call(
                "POST",
                f"{self._path}/records/search",
                where="the search",
                params={"offset": offset, "limit": limit, "include": list(include)},
                json=model.model_dump(by_alias=True),
            )
        except RejectedError as error:
            # a dataset that is being deleted loses its metadata properties first
            raise GoneError(f"dataset {self._name!r} is no longer as it was: {error}") from None


def conditions_of(query: Query) -> list[tuple[str, str, Any]]:
    """Return ``query`` in the terms of the SDK's ``rg.Filter``."""
    conditions: list[tuple[str, str, Any]] = []
    if query.answered:
        conditions.append(("response.status", "in", ["submitted", "discarded"]))
    if query.pending:
        conditions.append(("status", "==", "pending"))
    if query.batches is not None:
        first, last = query.batches
        conditions += [("metadata.idx", ">=", first), ("metadata.idx", "<=", last)]
    return conditions
