"""Bulk upserts: one transaction on the server, and what is done about records that it refuses."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.errors import ForeignReplyError, RejectedError

log = structlog.get_logger(__name__)

MAX_PER_REQUEST = 500  # Argilla's own limit (RECORDS_BULK_UPSERT_MAX_ITEMS)
TOO_LARGE = 413  # a proxy may say it as well: it is about the size of the request, whoever says it
# the position of a refused record, as the server's own checks and as its schema's report it
_POSITION = re.compile(r'[Rr]ecord at position (\d+)|"items",\s*(\d+)')

Refusal = RejectedError | ForeignReplyError


class BulkWriter:
    """Upserts records of one dataset.

    Args:
        connection: of an admin or owner.
        dataset_id: the dataset.
        before_write: called right before each request; if it raises, the request is not sent.
    """

    def __init__(self, connection: Connection, dataset_id: str, before_write: Callable[[], object]) -> None:
        self._connection, self._before_write = connection, before_write
        self._path = f"/datasets/{dataset_id}/records/bulk"

    def upsert(self, items: Sequence[dict[str, Any]]) -> dict[str, Refusal]:
        """Upsert items in as few requests as possible; return why records were refused, by their id."""
        refused: dict[str, Refusal] = {}
        for start in range(0, len(items), MAX_PER_REQUEST):
            self._upsert(list(items[start : start + MAX_PER_REQUEST]), refused)
        return refused

    def _upsert(self, items: list[dict[str, Any]], refused: dict[str, Refusal]) -> None:
        while items:
            self._before_write()
            try:
                self._put(items)
            except (RejectedError, ForeignReplyError) as error:
                if isinstance(error, ForeignReplyError) and error.status != TOO_LARGE:
                    raise
                match = _POSITION.search(getattr(error, "detail", ""))
                if match is not None and int(match[1] or match[2]) < len(items):
                    refused[items.pop(int(match[1] or match[2]))["external_id"]] = error
                elif len(items) == 1:
                    refused[items.pop()["external_id"]] = error
                else:  # too large, or no position given: halve, although the batch is then more than one request
                    half = len(items) // 2
                    self._upsert(items[:half], refused)
                    items = items[half:]
            else:
                return

    def _put(self, items: list[dict[str, Any]]) -> None:
        where = f"logging {len(items)} records"
        done = self._connection.call("PUT", self._path, where=where, json={"items": items})
        if len(done["items"]) != len(items):
            raise ForeignReplyError(f"what answers to {where} is not Argilla: it names other records")


def log_refused(refused: Mapping[str, Refusal]) -> None:
    """Log each refused record with its id and the reason."""
    for record_id, error in refused.items():
        log.warning("record_refused", id=record_id, reason=str(error))
