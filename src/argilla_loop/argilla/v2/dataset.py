"""The working dataset on an Argilla server: ``protocol.WorkingDataset`` over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any

import structlog

from argilla_loop.argilla.protocol import DatasetInfo, Page
from argilla_loop.argilla.query import Query
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.mapping import payload_of, plain_payload_of, record_of, rerouted_payload_of
from argilla_loop.argilla.v2.reading import RecordReader
from argilla_loop.argilla.v2.schema import question_id_of
from argilla_loop.argilla.v2.working import renamed
from argilla_loop.argilla.v2.writing import MAX_PER_REQUEST, BulkWriter, log_refused
from argilla_loop.domain import LoggedRecord, NewRecord
from argilla_loop.errors import GoneError
from argilla_loop.policy.answers import is_service_answer

log = structlog.get_logger(__name__)


class ArgillaDataset:
    """``WorkingDataset`` over HTTP.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        before_write: called right before each request that writes; if it raises, the request is not sent.
        render_html: whether Argilla's UI may render HTML in texts, see ``markup``.
    """

    def __init__(
        self,
        connection: Connection,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
        render_html: bool = False,
    ) -> None:
        self.info = info
        self.service_user_id = connection.user_id
        self.edits = 0
        self._connection, self._before_write, self._render_html = connection, before_write, render_html
        self._path = f"/datasets/{info.id}"
        self._reader = RecordReader(connection, info)
        self._writer = BulkWriter(connection, info.id, before_write)
        self._name_seen = info.name  # when it was last asked for

    def revision(self) -> str:
        """Return the time of the last answer, which Argilla moves with every answer given, changed or withdrawn."""
        dataset = self._connection.call("GET", self._path, where=f"dataset {self.info.name!r}")
        if dataset["name"] != self._name_seen:
            log.warning("dataset_renamed", note=renamed(self._name_seen, dataset["name"]))
            self._name_seen = dataset["name"]
        return str(dataset["last_activity_at"])

    def count(self, query: Query) -> int:
        """Return how many records match; one request."""
        return self._reader.count(query)

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Yield the records that match, page by page."""
        return (self._record(item) for item in self._reader.search(query))

    def scan(self) -> Iterator[LoggedRecord]:
        """Yield all records, in the order in which they were logged; they are read as soon as you call it."""
        return (self._record(item) for item in self._reader.items())

    def page(self, offset: int, limit: int) -> Page:
        """Return some records; one request."""
        page = self._reader.page(offset, limit)
        return Page([self._record(item) for item in page["items"]], int(page["total"]))

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Return records as they are now; one request each."""
        return [self._record(item) for item in self._reader.fetch(ids)]

    def reindex(self, ids: Collection[str]) -> None:
        """Upsert nothing but the ids: Argilla then indexes the records again, with their answers."""
        log_refused(self._writer.upsert([{"external_id": record_id} for record_id in ids]))

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Log a batch with one ``PUT …/records/bulk``, and again without the records that it refuses.

        Raises:
            RejectedError: Argilla refuses every one of several records.
            ForeignReplyError: a proxy refuses every one of several records as too large.
            ValueError: there are more records than one request takes.
        """
        if len(records) > MAX_PER_REQUEST:
            raise ValueError(f"{len(records)} records in one batch: {MAX_PER_REQUEST} are the most")
        refused = self._writer.upsert([self._payload(record) for record in records])
        if len(refused) == len(records) > 1:
            raise next(iter(refused.values()))
        log_refused(refused)
        return list(refused)

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Read each record again and delete the service's response; Argilla has one request per record for either.

        An owner, or an admin of the workspace, may delete the response of another user.
        """
        self.edits += 1
        seen = []
        for item in self._reader.fetch(ids):
            record = self._record(item)
            seen.append(record)
            # a user has at most one response to a record
            for response, answer in zip(item.get("responses") or (), record.answers, strict=True):
                if is_service_answer(answer, record, self.service_user_id):
                    self._delete(f"/responses/{response['id']}", "a service's answer")
        return seen

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Upsert without the text: Argilla refuses records that were deleted meanwhile."""
        self.edits += 1
        wanted = {record.id: record for record in records}
        items = []
        for item in self._reader.fetch(wanted):
            record = wanted[item["external_id"]]
            items.append(rerouted_payload_of(record, item, self._payload(record)))
            if record.suggestion is None:  # an upsert keeps a suggestion that it does not name
                self._delete_suggestion(item)
        log_refused(self._writer.upsert(items))

    def make_plain(self, ids: Collection[str]) -> None:
        """Upsert the metadata alone, with everything else that it holds at this moment."""
        self.edits += 1
        items = [plain_payload_of(item) for item in self._reader.fetch(ids)]
        log_refused(self._writer.upsert(items))

    @cached_property
    def _question_id(self) -> str:
        return question_id_of(self._connection, self.info.id)

    def _payload(self, record: NewRecord) -> dict[str, Any]:
        return payload_of(
            record,
            question_id=self._question_id,
            service_user_id=self.service_user_id,
            render_html=self._render_html,
        )

    def _record(self, item: dict[str, Any]) -> LoggedRecord:
        return record_of(item, question_id=self._question_id)

    def _delete_suggestion(self, item: dict[str, Any]) -> None:
        for suggestion in item.get("suggestions") or ():
            if str(suggestion["question_id"]) == self._question_id:
                path, params = f"/records/{item['id']}/suggestions", {"ids": suggestion["id"]}
                self._delete(path, "a suggestion of ours", params=params)

    def _delete(self, path: str, where: str, **kwargs: Any) -> None:
        self._before_write()
        with suppress(GoneError):  # somebody else has deleted it meanwhile
            self._connection.call("DELETE", path, where=where, **kwargs)
