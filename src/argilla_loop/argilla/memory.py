"""The working dataset in memory: for fast tests and simulations; passes the same contract suite as the real one."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any, Literal

from argilla_loop.argilla.query import Query
from argilla_loop.argilla.schema import DatasetInfo
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import is_the_daemons
from argilla_loop.policy.text_keys import kept_of


class MemoryDataset:
    """``WorkingDataset`` without a server. Time is a counter, so that runs are reproducible."""

    def __init__(
        self,
        labels: Sequence[str],
        *,
        min_submitted: int = 1,
        daemon_id: str = "daemon",
        name: str = "memory",
    ) -> None:
        self.info = DatasetInfo(
            id="memory", name=name, workspace="memory", question_id="label", labels=tuple(labels),
            min_submitted=min_submitted,
        )  # fmt: skip
        self.daemon_id = daemon_id
        self._records: dict[str, LoggedRecord] = {}
        self._ticks = 0
        self._last_activity = self._now()

    def revision(self) -> str:
        """Time of the last answer."""
        return self._last_activity

    def count(self, query: Query) -> int:
        """Number of records that match."""
        return sum(1 for _ in self.search(query))

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Records that match."""
        return (r for r in list(self._records.values()) if all(_matches(r, *c) for c in query.where))

    def scan(self) -> Iterator[LoggedRecord]:
        """All records."""
        return iter(list(self._records.values()))

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Upsert by id; people's answers stay."""
        for new in records:
            kept = tuple(
                a
                for a in self._before(new.id)
                if new.route is not Route.ACCEPT or a.user_id != self.daemon_id
            )
            ours = (
                (Answer(self.daemon_id, "submitted", new.label, self._now()),)
                if new.route is Route.ACCEPT
                else ()
            )
            self._records[new.id] = LoggedRecord(
                id=new.id, text=new.text, batch=new.batch, route=new.route, certainty=new.certainty,
                model=new.model, suggestion=new.suggestion, prediction=new.label, threshold=new.threshold,
                held_back=new.held_back, answers=kept + ours, text_key=kept_of(new.text),
            )  # fmt: skip
        return []

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Take back the daemon's own answers; the records as they were before."""
        seen = [self._records[one] for one in ids if one in self._records]
        for record in seen:
            kept = tuple(a for a in record.answers if not is_the_daemons(a, record, self.daemon_id))
            if kept != record.answers:
                self._records[record.id] = replace(record, answers=kept)
                self._last_activity = self._now()
        return seen

    def put_back(self, records: Sequence[NewRecord]) -> None:
        """Route records anew; answers stay."""
        for new in records:
            if new.id in self._records:
                self._records[new.id] = replace(
                    self._records[new.id], batch=new.batch, route=new.route, certainty=new.certainty,
                    model=new.model, suggestion=new.suggestion, prediction=new.label, threshold=new.threshold,
                    held_back=new.held_back,
                )  # fmt: skip

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

    def delete(self, record_id: str) -> None:
        """Delete a record, as an owner may in the UI."""
        del self._records[record_id]

    def _before(self, record_id: str) -> tuple[Answer, ...]:
        record = self._records.get(record_id)
        return record.answers if record else ()

    def _now(self) -> str:
        self._ticks += 1
        return (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=self._ticks)).isoformat()


def _matches(record: LoggedRecord, name: str, operator: str, value: Any) -> bool:
    if name == "response.status":
        present: set[Any] = {answer.status for answer in record.answers} or {"pending"}
    elif name == "metadata.idx":
        present = {record.batch}
    else:
        raise ValueError(f"the in-memory dataset does not know {name!r}: use a real server")
    wanted = set(value) if operator == "in" else {value}
    if operator not in ("in", "=="):
        raise ValueError(f"the in-memory dataset does not know {operator!r}: use a real server")
    return bool(present & wanted)
