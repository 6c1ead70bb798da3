"""The working dataset in memory: for fast tests and simulations; passes the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from argilla_loop.argilla.observer import Page
from argilla_loop.argilla.v2.query import Query
from argilla_loop.argilla.v2.schema import DatasetInfo
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import is_service_answer
from argilla_loop.policy.text_keys import kept_of


class MemoryDataset:
    """``WorkingDataset`` without a server. Time is a counter, so that runs are reproducible."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        min_submitted: int = 1,
        service_user_id: str = "daemon",
        name: str = "memory",
    ) -> None:
        self.info = DatasetInfo(
            id="memory", name=name, workspace="memory", question_id="label", labels=tuple(labels),
            min_submitted=min_submitted,
        )  # fmt: skip
        self.service_user_id = service_user_id
        self._records: dict[str, LoggedRecord] = {}
        self._ticks = 0
        self.edits = 0
        self._last_activity = self._now()

    def revision(self) -> str:
        """Time of the last answer."""
        return self._last_activity

    def count(self, query: Query) -> int:
        """Number of records that match."""
        return sum(1 for _ in self.search(query))

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Records that match."""
        return (r for r in list(self._records.values()) if all(self._matches(r, *c) for c in query.where))

    def scan(self) -> Iterator[LoggedRecord]:
        """All records."""
        return iter(list(self._records.values()))

    def page(self, offset: int, limit: int) -> Page:
        """Some records, in the order in which they were added."""
        return Page(list(self._records.values())[offset : offset + limit], len(self._records))

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Records by id."""
        return [self._records[one] for one in ids if one in self._records]

    def reindex(self, ids: Collection[str]) -> None:
        """Nothing to do: there is no index apart from the records."""

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Upsert by id; people's answers stay."""
        for new in records:
            kept = tuple(
                a
                for a in self._before(new.id)
                if new.route is not Route.ACCEPT or a.user_id != self.service_user_id
            )
            ours = (
                (Answer(self.service_user_id, "submitted", new.label, self._now()),)
                if new.route is Route.ACCEPT
                else ()
            )
            self._records[new.id] = LoggedRecord(
                id=new.id, text=new.text, batch=new.batch, route=new.route, certainty=new.certainty,
                model=new.model, suggestion=new.suggestion, prediction=new.label, threshold=new.threshold,
                held_back=new.held_back, answers=kept + ours, service_user=self._author(new),
                text_key=kept_of(new.text),
            )  # fmt: skip
        return []

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Take back what services have answered; the records as they were before."""
        self.edits += 1
        seen = [self._records[one] for one in ids if one in self._records]
        for record in seen:
            kept = tuple(a for a in record.answers if not is_service_answer(a, record, self.service_user_id))
            if kept != record.answers:
                self._records[record.id] = replace(record, answers=kept)
                self._last_activity = self._now()
        return seen

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Route records anew; answers stay."""
        self.edits += 1
        for new in records:
            if new.id in self._records:
                self._records[new.id] = replace(
                    self._records[new.id], batch=new.batch, route=new.route, certainty=new.certainty,
                    model=new.model, suggestion=new.suggestion, prediction=new.label, threshold=new.threshold,
                    held_back=new.held_back, service_user=self._author(new),
                )  # fmt: skip

    def make_plain(self, ids: Collection[str]) -> None:
        """Make plain questions of audits and held-back records."""
        self.edits += 1
        for one in ids:
            if one in self._records:
                self._records[one] = replace(self._records[one], route=Route.ASK, held_back=False)

    def answer(
        self,
        record_id: str,
        label: str | None,
        *,
        user_id: str = "annotator",
        status: Literal["submitted", "discarded", "draft"] = "submitted",
    ) -> None:
        """Answer as a person would in the UI; replaces that user's earlier answer."""
        record = self._records[record_id]
        answers = tuple(a for a in record.answers if a.user_id != user_id)
        answers += (Answer(user_id, status, label, self._now()),)
        self._records[record_id] = replace(record, answers=answers)
        self._last_activity = self._now()

    def withdraw(self, record_id: str, *, user_id: str = "annotator") -> None:
        """Take that user's answer back."""
        record = self._records[record_id]
        self._records[record_id] = replace(
            record, answers=tuple(a for a in record.answers if a.user_id != user_id)
        )
        self._last_activity = self._now()

    def seen_by(self, user_id: str) -> MemoryDataset:
        """The same records, as the service of another user sees them; times of either are its own."""
        other = copy(self)
        other.service_user_id = user_id
        return other

    def delete(self, record_id: str) -> None:
        """Delete a record, as an owner may in the UI."""
        del self._records[record_id]

    def _author(self, new: NewRecord) -> str | None:
        return self.service_user_id if new.route is Route.ACCEPT else None

    def _matches(self, record: LoggedRecord, name: str, operator: str, value: Any) -> bool:
        if name == "response.status":
            present: set[Any] = {answer.status for answer in record.answers} or {"pending"}
        elif name == "status":
            submitted = sum(answer.status == "submitted" for answer in record.answers)
            present = {"completed" if submitted >= self.info.min_submitted else "pending"}
        elif name == "metadata.idx":
            present = {record.batch}
        else:
            raise ValueError(f"the in-memory dataset does not know {name!r}: use a real server")
        if operator not in _HOLDS:
            raise ValueError(f"the in-memory dataset does not know {operator!r}: use a real server")
        return any(one is not None and _HOLDS[operator](one, value) for one in present)

    def _before(self, record_id: str) -> tuple[Answer, ...]:
        record = self._records.get(record_id)
        return record.answers if record else ()

    def _now(self) -> str:
        self._ticks += 1
        return (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self._ticks)).isoformat()


_HOLDS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda one, value: bool(one == value),
    "in": lambda one, value: one in value,
    ">=": lambda one, value: bool(one >= value),
    "<=": lambda one, value: bool(one <= value),
}
