"""The working dataset in memory, for tests and simulations; it passes the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Literal

from argilla_loop.argilla.protocol import DatasetInfo, Page
from argilla_loop.argilla.query import Query
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import is_service_answer
from argilla_loop.policy.text_keys import kept_of


class MemoryDataset:
    """``WorkingDataset`` without a server; its clock is a counter, so that runs are reproducible.

    Args:
        labels: the labels that annotators choose from.
        min_submitted: submitted answers that complete a record.
        service_user_id: id of the service's user.
        name: the dataset's name.
    """

    def __init__(
        self,
        labels: Sequence[str],
        *,
        min_submitted: int = 1,
        service_user_id: str = "daemon",
        name: str = "memory",
    ) -> None:
        self.info = DatasetInfo(
            id="memory", name=name, workspace="memory", labels=tuple(labels), min_submitted=min_submitted
        )
        self.service_user_id = service_user_id
        self._records: dict[str, LoggedRecord] = {}
        self._ticks = 0
        self.edits = 0
        self._last_activity = self._now()

    def revision(self) -> str:
        """Return the time of the last answer."""
        return self._last_activity

    def count(self, query: Query) -> int:
        """Return how many records match."""
        return sum(1 for _ in self.search(query))

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Yield the records that match."""
        yield from [record for record in self._records.values() if self._matches(record, query)]

    def scan(self) -> Iterator[LoggedRecord]:
        """Yield all records."""
        return iter(list(self._records.values()))

    def page(self, offset: int, limit: int) -> Page:
        """Return some records, in the order in which they were added."""
        return Page(list(self._records.values())[offset : offset + limit], len(self._records))

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Return records by id."""
        return [self._records[one] for one in ids if one in self._records]

    def reindex(self, ids: Collection[str]) -> None:
        """Do nothing: there is no index apart from the records."""

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Insert or update records by id; answers of people stay."""
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
                held_back=new.held_back, weight=new.weight, answers=kept + ours, service_user=self._author(new),
                text_key=kept_of(new.text), promise=self._promise(new), second_look_of=new.second_look_of,
            )  # fmt: skip
        return []

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Delete the answers that services gave; return the records as they were before."""
        self.edits += 1
        seen = [self._records[one] for one in ids if one in self._records]
        for record in seen:
            kept = tuple(a for a in record.answers if not is_service_answer(a, record, self.service_user_id))
            if kept != record.answers:
                self._records[record.id] = replace(record, answers=kept)
                self._last_activity = self._now()
        return seen

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Replace route, suggestion and metadata; answers stay."""
        self.edits += 1
        for new in records:
            if new.id in self._records:
                self._records[new.id] = replace(
                    self._records[new.id], batch=new.batch, route=new.route, certainty=new.certainty,
                    model=new.model, suggestion=new.suggestion, prediction=new.label, threshold=new.threshold,
                    held_back=new.held_back, weight=new.weight, service_user=self._author(new),
                    promise=self._promise(new),
                )  # fmt: skip

    def make_plain(self, ids: Collection[str]) -> None:
        """Turn audits and held-back records into plain questions."""
        self.edits += 1
        for one in ids:
            if one in self._records:
                self._records[one] = replace(
                    self._records[one], route=Route.ASK, held_back=False, weight=None
                )

    def answer(
        self,
        record_id: str,
        label: str | None,
        *,
        user_id: str = "annotator",
        status: Literal["submitted", "discarded", "draft"] = "submitted",
    ) -> None:
        """Answer as a person would in the UI; that user's earlier answer is replaced."""
        record = self._records[record_id]
        answers = tuple(a for a in record.answers if a.user_id != user_id)
        answers += (Answer(user_id, status, label, self._now()),)
        self._records[record_id] = replace(record, answers=answers)
        self._last_activity = self._now()

    def withdraw(self, record_id: str, *, user_id: str = "annotator") -> None:
        """Delete that user's answer."""
        record = self._records[record_id]
        self._records[record_id] = replace(
            record, answers=tuple(a for a in record.answers if a.user_id != user_id)
        )
        self._last_activity = self._now()

    def seen_by(self, user_id: str) -> MemoryDataset:
        """Return the same records as the service of another user sees them; each has a clock of its own."""
        other = copy(self)
        other.service_user_id = user_id
        return other

    def delete(self, record_id: str) -> None:
        """Delete a record, as an owner may in the UI."""
        del self._records[record_id]

    def _author(self, new: NewRecord) -> str | None:
        return self.service_user_id if new.route is Route.ACCEPT else None

    @staticmethod
    def _promise(new: NewRecord) -> str | None:
        return new.promise if new.route is Route.ACCEPT else None

    def _matches(self, record: LoggedRecord, query: Query) -> bool:
        if query.answered and not any(answer.is_final for answer in record.answers):
            return False
        submitted = sum(answer.status == "submitted" for answer in record.answers)
        if query.pending and submitted >= self.info.min_submitted:
            return False
        if query.batches is None:
            return True
        first, last = query.batches
        return record.batch is not None and first <= record.batch <= last

    def _before(self, record_id: str) -> tuple[Answer, ...]:
        record = self._records.get(record_id)
        return record.answers if record else ()

    def _now(self) -> str:
        self._ticks += 1
        return (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self._ticks)).isoformat()
