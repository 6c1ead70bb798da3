"""The working dataset on a real Argilla server: observing its records and logging new ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol

import argilla as rg
import structlog

from argilla_loop.argilla.observer import Page
from argilla_loop.argilla.v2.connection import (
    Connection,
    ForeignReplyError,
    GoneError,
    RejectedError,
    translated,
)
from argilla_loop.argilla.v2.markup import escape_markup, unescape_markup
from argilla_loop.argilla.v2.query import Query
from argilla_loop.argilla.v2.schema import FIELD, METADATA, QUESTION, DatasetInfo
from argilla_loop.argilla.v2.validation import service_user_of
from argilla_loop.argilla.v2.working import renamed
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.errors import RetryableError
from argilla_loop.policy.answers import is_service_answer
from argilla_loop.policy.text_keys import KEPT, kept_of

log = structlog.get_logger(__name__)

PAGE = 500
MAX_PER_REQUEST = 500
SCANS = 5
TOO_LARGE = 413  # also from a proxy, whose limit says something of the request and nothing of Argilla
AGENT = "argilla-loop"
BY_MODEL = "model"
# the server's own validators, and its schema's
_POSITION = re.compile(r'[Rr]ecord at position (\d+)|"items",\s*(\d+)')

Refusal = RejectedError | ForeignReplyError


class RecordSource(Protocol):
    """Where records can be looked for; the narrow port that a listener needs."""

    def count(self, query: Query) -> int:
        """How many records match ``query`` (already bound)."""

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """The records that match, one page at a time."""


class WorkingDataset(RecordSource, Protocol):
    """What the loop needs of Argilla; ``ArgillaDataset`` and ``MemoryDataset`` pass the same contract suite."""

    info: DatasetInfo
    service_user_id: str

    def revision(self) -> str:
        """Changes when somebody answers in the UI; cheap enough for every look."""

    edits: int  # how often this process has changed records that were there before

    def scan(self) -> Iterator[LoggedRecord]:
        """Every record there is, from the database, not from a search index that may lag behind.

        They come in the order in which they were added.
        """

    def page(self, offset: int, limit: int) -> Page:
        """At most ``limit`` records (500 or fewer) from position ``offset`` on, in the same order."""

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Records as the database holds them at this moment; those that are gone are left out."""

    def reindex(self, ids: Collection[str]) -> None:
        """Have the search index take records anew from the database; nothing of them changes."""

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Log a batch in one atomic upsert by id; returns the ids that the server refuses as they are.

        Everything else is logged. Answers of people on a record that is already there stay as they are.
        """

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Take back what services have answered on records, this one or another user's; no person's answer.

        Not even one that a person gave with a service's account.

        Returns the records as they were at that moment, without those that are gone. Until it is put back a record is
        one of the accept route without an answer of the service's.
        """

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Route records anew, with what a model says of them by now: metadata and suggestion are replaced.

        Text and answers stay, and so does metadata that is not ours. Records that are gone stay gone.
        """

    def make_plain(self, ids: Collection[str]) -> None:
        """Make plain questions of audits and held-back records: what people answer to them is no evidence any more.

        All else about them stays. Records that are gone stay gone.
        """


class ArgillaDataset:
    """``WorkingDataset`` over HTTP.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        before_write: called right before each request that writes; what it raises keeps the request from being sent.
        render_html: whether Argilla's UI may run what HTML a text holds, see ``markup``.
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
        self._render_html = render_html
        self._before_write = before_write
        self.service_user_id = connection.user_id
        self._connection = connection
        self._path = f"/datasets/{info.id}"
        self._server_ids: dict[str, str] = {}  # by our id; of all that was read
        self.edits = 0
        self._called = info.name  # in Argilla, when we looked last

    def revision(self) -> str:
        """The time of the last answer; moves with every answer given, changed or withdrawn in the UI."""
        dataset = self._connection.call("GET", self._path, where=f"dataset {self.info.name!r}")
        if dataset["name"] != self._called:
            log.warning("dataset_renamed", note=renamed(self._called, dataset["name"]))
            self._called = dataset["name"]
        return str(dataset["last_activity_at"])

    def count(self, query: Query) -> int:
        """Number of records that match ``query``."""
        return int(self._search(query, offset=0, limit=1)["total"])

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Records that match ``query``, page by page."""
        offset = 0
        while True:
            page = self._search(query, offset=offset, limit=PAGE, include=["responses", "suggestions"])[
                "items"
            ]
            yield from (self._record(item["record"]) for item in page)
            offset += len(page)
            if len(page) < PAGE:
                return

    def scan(self) -> Iterator[LoggedRecord]:
        """All records, in the order they were logged.

        Raises:
            RetryableError: records come and go so fast that no pass sees the same number from first page to last.
        """
        return (self._record(item) for item in self._items())

    def page(self, offset: int, limit: int) -> Page:
        """One request."""
        page = self._page(offset, limit)
        return Page([self._record(item) for item in page["items"]], int(page["total"]))

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """One request a record."""
        return [self._record(item) for item in self._fetch(ids)]

    def reindex(self, ids: Collection[str]) -> None:
        """An upsert that names nothing but the records: Argilla indexes them again, with their answers."""
        refused: dict[str, Refusal] = {}
        self._upsert([{"external_id": record_id} for record_id in ids], refused)
        for record_id, error in refused.items():
            log.warning("record_refused", id=record_id, reason=str(error))

    def _items(self) -> list[dict[str, Any]]:
        for _ in range(SCANS):
            items: dict[str, dict[str, Any]] = {}
            totals: set[int] = set()
            offset = 0
            while True:
                page = self._page(offset)
                totals.add(page["total"])
                items.update((item["id"], item) for item in page["items"])
                offset += len(page["items"])
                if len(page["items"]) < PAGE:
                    break
            if len(totals) == 1:  # else a record was deleted meanwhile, pages shifted, and one may be missing
                return list(items.values())
        raise RetryableError("records are being deleted while they are read")

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """One ``PUT …/records/bulk``, a single transaction on the server; again without what it refuses.

        Raises:
            RejectedError: it refuses every one of several: it is not the records.
            ForeignReplyError: a proxy refuses every one of several as too large.
        """
        if len(records) > MAX_PER_REQUEST:
            raise ValueError(f"{len(records)} records in one batch: {MAX_PER_REQUEST} are the most")
        refused: dict[str, Refusal] = {}
        self._upsert([self._payload(record) for record in records], refused)
        if len(refused) == len(records) > 1:
            raise next(iter(refused.values()))
        for record_id, error in refused.items():
            log.warning("record_refused", id=record_id, reason=str(error))
        return list(refused)

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Read each record anew and delete the service's response: Argilla has one request a record for either.

        An owner, or an admin of the workspace, may delete another user's.
        """
        self.edits += 1
        seen = []
        for item in self._fetch(ids):
            record = self._record(item)
            seen.append(record)
            # of one user there is one response at most
            for response, answer in zip(item.get("responses") or (), record.answers, strict=True):
                if is_service_answer(answer, record, self.service_user_id):
                    self._before_write()
                    with suppress(GoneError):  # withdrawn meanwhile, by somebody else
                        self._connection.call(
                            "DELETE", f"/responses/{response['id']}", where="a service's answer"
                        )
        return seen

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Upserts without the text: what was deleted meanwhile is refused, and not made anew."""
        self.edits += 1
        wanted = {record.id: record for record in records}
        items = []
        for item in self._fetch(wanted):
            new = wanted[item["external_id"]]
            payload = self._payload(new)
            foreign = {k: v for k, v in (item.get("metadata") or {}).items() if k not in METADATA}
            del payload["metadata"]["text_key"]  # what it was logged with stays
            payload["metadata"] = {**foreign, **payload["metadata"], **_first_text(item)}
            del payload["fields"]
            items.append(payload)
            if new.suggestion is None:  # an upsert leaves a suggestion that it does not name
                self._delete_suggestion(item)
        refused: dict[str, Refusal] = {}
        for start in range(0, len(items), MAX_PER_REQUEST):
            self._upsert(items[start : start + MAX_PER_REQUEST], refused)
        for record_id, error in refused.items():
            log.warning("record_refused", id=record_id, reason=str(error))

    def make_plain(self, ids: Collection[str]) -> None:
        """Upserts of the metadata alone, with what else lies in it at this moment."""
        self.edits += 1
        items = []
        for item in self._fetch(ids):
            metadata = {k: v for k, v in (item.get("metadata") or {}).items() if k != "held_back"}
            plain = {**metadata, "route": Route.ASK.value}
            items.append({"external_id": item["external_id"], "metadata": plain})
        refused: dict[str, Refusal] = {}
        for start in range(0, len(items), MAX_PER_REQUEST):
            self._upsert(items[start : start + MAX_PER_REQUEST], refused)
        for record_id, error in refused.items():
            log.warning("record_refused", id=record_id, reason=str(error))

    def _delete_suggestion(self, item: dict[str, Any]) -> None:
        for suggestion in item.get("suggestions") or ():
            if str(suggestion["question_id"]) == self.info.question_id:
                self._before_write()
                with suppress(GoneError):
                    self._connection.call(
                        "DELETE",
                        f"/records/{item['id']}/suggestions",
                        where="a suggestion of ours",
                        params={"ids": suggestion["id"]},
                    )

    def _fetch(self, ids: Collection[str]) -> Iterator[dict[str, Any]]:
        """Records as they are at this moment, one request each; those that are gone are left out."""
        if not self._server_ids.keys() >= set(ids):
            self._items()  # each page notes its records' ids
        for record_id in ids:
            if record_id in self._server_ids:
                with suppress(GoneError):
                    path = f"/records/{self._server_ids[record_id]}"
                    item = self._connection.call("GET", path, where=f"record {record_id!r}")
                    yield item

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
                else:  # too large, or no word of which one: halve, though a batch is then more than one request
                    half = len(items) // 2
                    self._upsert(items[:half], refused)
                    items = items[half:]
            else:
                return

    def _put(self, items: list[dict[str, Any]]) -> None:
        where = f"logging {len(items)} records"
        done = self._connection.call("PUT", f"{self._path}/records/bulk", where=where, json={"items": items})
        if len(done["items"]) != len(items):
            raise ForeignReplyError(f"what answers to {where} is not Argilla: it names other records")

    def _page(self, offset: int, limit: int = PAGE) -> Any:
        params = {"offset": offset, "limit": limit, "include": ["responses", "suggestions"]}
        page = self._connection.call("GET", f"{self._path}/records", where="the records", params=params)
        self._server_ids.update((str(item["external_id"]), item["id"]) for item in page["items"])
        return page

    def _search(self, query: Query, *, offset: int, limit: int, include: Sequence[str] = ()) -> Any:
        with translated("the query"):
            conditions = [(name, op, list(v) if isinstance(v, tuple) else v) for name, op, v in query.where]
            model = rg.Query(filter=rg.Filter(conditions) if conditions else None).api_model()
        try:
            return self._connection.call(
                "POST",
                f"{self._path}/records/search",
                where="the search",
                params={"offset": offset, "limit": limit, "include": list(include)},
                json=model.model_dump(by_alias=True),
            )
        except (
            RejectedError
        ) as error:  # a dataset that is just being deleted loses its metadata properties first
            raise GoneError(f"dataset {self.info.name!r} is no longer as it was: {error}") from None

    def _payload(self, record: NewRecord) -> dict[str, Any]:
        known = {
            "idx": record.batch,
            "route": record.route.value,
            "model": record.model,
            "certainty": record.certainty,
            "prediction": record.label,
            "threshold": record.threshold,
            "held_back": "yes" if record.held_back else None,
            "validated_by": BY_MODEL if record.route is Route.ACCEPT else None,
            "service_user": self.service_user_id if record.route is Route.ACCEPT else None,
            "text_key": kept_of(record.text),
        }
        metadata = {name: value for name, value in known.items() if value is not None}
        payload: dict[str, Any] = {
            "external_id": record.id,
            "fields": {FIELD: record.text if self._render_html else escape_markup(record.text)},
            "metadata": metadata,
        }
        if record.suggestion is not None:
            payload["suggestions"] = [
                {
                    "question_id": self.info.question_id,
                    "value": record.suggestion,
                    "score": record.certainty,
                    "agent": f"{AGENT}/{record.model}",
                    "type": "model",
                }
            ]
        if record.route is Route.ACCEPT:
            values = {QUESTION: {"value": record.label}}
            payload["responses"] = [
                {"user_id": self.service_user_id, "status": "submitted", "values": values}
            ]
        return payload

    def _record(self, item: dict[str, Any]) -> LoggedRecord:
        metadata = item.get("metadata") or {}
        suggestion = next(
            (s for s in item.get("suggestions") or () if str(s["question_id"]) == self.info.question_id), None
        )
        ours = metadata.get("route") in {route.value for route in Route}
        if not ours:  # others may use the same names
            metadata = {}
        idx, shown = metadata.get("idx"), suggestion["value"] if suggestion else None
        shown = shown if isinstance(shown, str) else None
        route = Route(metadata["route"]) if ours else None
        prediction = _word(metadata.get("prediction")) or (shown if ours else None)
        return LoggedRecord(
            id=str(item.get("external_id") or item["id"]),
            text=unescape_markup(str(item["fields"].get(FIELD) or "")),
            batch=idx if type(idx) is int else None,
            route=route,
            certainty=_number(metadata.get("certainty")),
            model=_word(metadata.get("model")),
            suggestion=shown,
            prediction=prediction,
            threshold=_number(metadata.get("threshold")),
            held_back=metadata.get("held_back") == "yes",
            answers=tuple(_answer(response) for response in item.get("responses") or ()),
            service_user=service_user_of(item, prediction) if route is Route.ACCEPT else None,
            text_key=_first_text(item).get("text_key") if ours else None,
        )


def _first_text(item: dict[str, Any]) -> dict[str, int]:
    """What a record keeps of the text that it was logged with, which somebody may have edited since."""
    key = (item.get("metadata") or {}).get("text_key")
    return {"text_key": key} if type(key) is int and 0 <= key < KEPT else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _answer(response: dict[str, Any]) -> Answer:
    value = ((response.get("values") or {}).get(QUESTION) or {}).get("value")
    return Answer(
        user_id=str(response["user_id"]),
        status=response["status"],
        label=value if isinstance(value, str) else None,
        updated_at=str(response["updated_at"]),
    )
