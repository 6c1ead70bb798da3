"""Translate Argilla's filters and sort orders to SQL over the server's own tables, with all values bound.

The semantics are those of argilla_server's search_engine/commons.py for Elasticsearch: a field with several values
matches if any of them does, and sorts by its smallest (ascending) or largest (descending) value; missing values come
last; all conditions of a response filter must hold for the same response.
"""

# ruff: noqa: S608 - values are bound as parameters; only constant names are formatted into the SQL

from __future__ import annotations

import random
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from argilla_server.search_engine.base import (
    AndFilter,
    Filter,
    FilterScope,
    MetadataFilterScope,
    Order,
    RangeFilter,
    RecordFilterScope,
    ResponseFilterScope,
    SuggestionFilterScope,
    TermsFilter,
)

from argilla_embedded.index import METADATA_TABLE
from argilla_embedded.text_query import TextSql, parse

Value = str | float | None

SORTABLE_RESPONSES = ("rating",)
SORTABLE_SUGGESTIONS = ("rating", "label_selection", "multi_label_selection")

# The prime below 2**31: products of two remainders still fit SQLite's 64-bit integers.
_PRIME = 2_147_483_647


class NotSortableError(Exception):
    """The sort order is one that Elasticsearch refuses.

    Argilla then answers 500. The embedded server does the same, so that no client relies on the order.
    """


@dataclass(frozen=True, slots=True)
class Candidates:
    """A condition that an index can answer, so that the search may start from it.

    Attributes:
        ids: SELECT of the ids of the records that satisfy it.
        check: the same condition as an expression on one record ``r``.
    """

    ids: str
    check: str


class SearchSql:
    """Builds the parts of one search over ``records r`` in one dataset.

    Args:
        dataset_id: the dataset.
    """

    def __init__(self, dataset_id: UUID) -> None:
        self.parameters: dict[str, Value] = {"dataset": dataset_id.hex}
        self._checks: list[str] = []
        self._candidates: list[Candidates] = []
        self._text: TextSql | None = None
        self._sorted: list[tuple[str, tuple[str, ...]]] = []

    def bind(self, value: Any) -> str:
        """Add ``value`` as a parameter and return its placeholder."""
        name = f"p{len(self.parameters)}"
        self.parameters[name] = value
        return f":{name}"

    def where_text(self, query: str, *, field: str | None, single_field: bool) -> None:
        """Keep the records whose texts match ``query`` (see ``text_query``)."""
        self._text = TextSql(parse(query), self.bind, field=field, single_field=single_field)
        self._checks.append(self._text.condition())

    def where_filter(self, filter_: Filter) -> None:
        """Keep the records that satisfy ``filter_``.

        Raises:
            ValueError: the filter is invalid (the server answers 422).
        """
        if isinstance(filter_, AndFilter):
            for each in filter_.filters:
                self.where_filter(each)
        elif isinstance(filter_.scope, MetadataFilterScope):
            self._candidates.append(self._metadata(filter_))
        else:
            self._checks.append(self._check(filter_))

    def where_other_than(self, record_id: UUID) -> None:
        """Exclude one record."""
        self._checks.append(f"r.id != {self.bind(record_id.hex)}")

    @property
    def candidates(self) -> Sequence[Candidates]:
        """The conditions from which the search may start."""
        return self._candidates

    def where(self, lead: int | None) -> str:
        """Return the WHERE clause. The search starts from candidate number ``lead``, or from the dataset if None."""
        conditions = list(self._checks)
        for number, candidate in enumerate(self._candidates):
            conditions.append(f"r.id IN ({candidate.ids})" if number == lead else candidate.check)
        # The plus stops SQLite from using the dataset's index where a more selective condition exists.
        dataset = "r.dataset_id" if lead is None and self._text is None else "+r.dataset_id"
        return " AND ".join([f"{dataset} = :dataset", *(f"({condition})" for condition in conditions)])

    def scores(self) -> str | None:
        """Return a subquery (record_id, score) with the relevance of each text, or None without a text query."""
        return self._text.scores() if self._text else None

    def check_sort(self, db: sqlite3.Connection) -> None:
        """Check that the questions to sort by have a sortable type.

        Raises:
            NotSortableError: one of them has not.
        """
        for name, types in self._sorted:
            found = db.execute(
                "SELECT json_extract(settings, '$.type') FROM questions WHERE dataset_id = ? AND name = ?",
                (self.parameters["dataset"], name),
            ).fetchone()
            if found is not None and found[0] not in types:
                raise NotSortableError(
                    f"Question {name!r} is a {found[0]}: only {', '.join(types)} can be sorted."
                )

    def order(self, orders: Iterable[Order], *, shuffle_for: UUID | None, scored: bool) -> str:
        """Return the ORDER BY clause. The order is always total, so that pages never overlap.

        Args:
            orders: the requested sort orders.
            shuffle_for: user for whom to shuffle the records instead of using the order of insertion. The order is the
                same at every call.
            scored: whether the query joins ``scores()`` as ``s``.

        Raises:
            NotSortableError: the order is by the status of responses (see also ``check_sort``).
        """
        parts = [
            f"{self._sort_value(order.scope, descending=order.order == 'desc')} "
            f"{'DESC' if order.order == 'desc' else 'ASC'} NULLS LAST"
            for order in orders
        ]
        if not parts:
            if shuffle_for is not None:
                parts.append(_shuffle(shuffle_for))
            elif scored:
                parts.append("s.score DESC")
        return ", ".join([*parts, "r.inserted_at", "r.rowid"])

    def _metadata(self, filter_: TermsFilter | RangeFilter) -> Candidates:
        of = (
            f"m.dataset_id = :dataset AND m.name = {self.bind(filter_.scope.metadata_property)}"
            f" AND {self._compare('m.value', filter_)}"
        )
        return Candidates(
            ids=f"SELECT m.record_id FROM {METADATA_TABLE} m WHERE {of}",
            # The plus makes SQLite use the primary key, where the values of a record are adjacent.
            check=f"EXISTS (SELECT 1 FROM {METADATA_TABLE} m WHERE m.record_id = r.id AND {_unindexed(of)})",
        )

    def _check(self, filter_: TermsFilter | RangeFilter) -> str:
        scope = filter_.scope
        if isinstance(scope, RecordFilterScope):
            return self._record(str(scope.property), filter_)
        if isinstance(scope, SuggestionFilterScope):
            return (
                f"EXISTS (SELECT 1 FROM suggestions s{_suggested(scope)} WHERE s.record_id = r.id"
                f" AND s.question_id = {self._question(scope.question)} AND {self._compare('v.atom', filter_)})"
            )
        if isinstance(scope, ResponseFilterScope):
            return self._response(scope, filter_)
        raise ValueError(f"Cannot filter by {scope}")

    def _record(self, column: str, filter_: TermsFilter | RangeFilter) -> str:
        convert: Callable[..., Value]
        if column in ("inserted_at", "updated_at"):
            convert = _database_time
        elif column == "id":
            convert = _database_id
        else:
            convert = _as_text
        if isinstance(filter_, TermsFilter):
            return f"r.{column} IN {self._list(convert(value) for value in filter_.values)}"
        parts = []
        if filter_.ge is not None:
            parts.append(f"r.{column} >= {self.bind(convert(filter_.ge))}")
        if filter_.le is not None:
            parts.append(f"r.{column} <= {self.bind(convert(filter_.le, upper=True))}")
        return " AND ".join(parts)

    def _response(self, scope: ResponseFilterScope, filter_: TermsFilter | RangeFilter) -> str:
        of_user = f" AND x.user_id = {self.bind(scope.user.id.hex)}" if scope.user else ""
        if scope.question is not None:
            return (
                f"EXISTS (SELECT 1 FROM responses x{self._answer(scope.question)}"
                f" AND x.record_id = r.id{of_user} AND {self._compare('v.atom', filter_)})"
            )
        if scope.property != "status" or not isinstance(filter_, TermsFilter):
            raise ValueError("Responses are filtered by their status or by a question's value")
        statuses = [str(value) for value in filter_.values]
        answered = f"EXISTS (SELECT 1 FROM responses x WHERE x.record_id = r.id{of_user}"
        parts = []
        if "pending" in statuses:  # no response at all, not even a draft
            parts.append(f"NOT {answered})")
        if others := [status for status in statuses if status != "pending"]:
            parts.append(f"{answered} AND x.status IN {self._list(others)})")
        return " OR ".join(parts)

    def _compare(self, value: str, filter_: TermsFilter | RangeFilter) -> str:
        """Return the condition that an SQL ``value``, a number or a text, satisfies the filter."""
        if isinstance(filter_, TermsFilter):
            # Terms are always texts, even if they are numbers.
            wanted: list[Value] = [str(term) for term in filter_.values]
            wanted += [number for term in filter_.values if (number := _number(term)) is not None]
            return f"{value} IN {self._list(wanted)}"
        bounds = [bound for bound in (filter_.ge, filter_.le) if bound is not None]
        numeric = all(_number(bound) is not None for bound in bounds)
        # SQLite sorts all numbers before all texts: an open range must not include the other type.
        parts = [] if numeric and filter_.le is not None else [f"{value} {'<' if numeric else '>='} ''"]
        if filter_.ge is not None:
            parts.append(f"{value} >= {self.bind(_number(filter_.ge) if numeric else str(filter_.ge))}")
        if filter_.le is not None:
            parts.append(f"{value} <= {self.bind(_number(filter_.le) if numeric else str(filter_.le))}")
        return " AND ".join(parts)

    def _sort_value(self, scope: FilterScope, *, descending: bool) -> str:
        pick = "max" if descending else "min"
        if isinstance(scope, RecordFilterScope):
            return f"r.{scope.property}"
        if isinstance(scope, MetadataFilterScope):
            return (
                f"(SELECT {pick}(m.value) FROM {METADATA_TABLE} m"
                f" WHERE m.record_id = r.id AND m.name = {self.bind(scope.metadata_property)})"
            )
        if isinstance(scope, SuggestionFilterScope):
            if scope.property not in ("score", "agent", "type"):
                self._sorted.append((scope.question, SORTABLE_SUGGESTIONS))
            return (
                f"(SELECT {pick}(v.atom) FROM suggestions s{_suggested(scope)}"
                f" WHERE s.record_id = r.id AND s.question_id = {self._question(scope.question)})"
            )
        if isinstance(scope, ResponseFilterScope):
            of_user = f" AND x.user_id = {self.bind(scope.user.id.hex)}" if scope.user else ""
            if scope.question is not None:
                # Sorts by the mean over users; texts have no mean.
                self._sorted.append((scope.question, SORTABLE_RESPONSES))
                return (
                    f"(SELECT avg(v.atom) FROM responses x{self._answer(scope.question)}"
                    f" AND x.record_id = r.id{of_user})"
                )
            if scope.property == "status":
                raise NotSortableError("The status of responses cannot be sorted by.")
        raise ValueError(f"Cannot sort by {scope}")

    def _answer(self, question: str) -> str:
        """Return SQL that joins the values ``v`` of response ``x`` to a question; it ends inside the WHERE clause."""
        return (
            ' JOIN json_each(x."values") a'
            " JOIN json_each(CASE a.type WHEN 'object' THEN a.value END, '$.value') v"
            f" WHERE a.key = {self.bind(question)}"
        )

    def _question(self, name: str) -> str:
        return f"(SELECT id FROM questions WHERE dataset_id = :dataset AND name = {self.bind(name)})"

    def _list(self, values: Iterable[Any]) -> str:
        return f"({', '.join(self.bind(value) for value in values)})"


def _suggested(scope: SuggestionFilterScope) -> str:
    """Return SQL that joins the values ``v`` of one property of suggestion ``s``."""
    # The server passes a missing property as the text "None"; the API then means the value.
    column = scope.property if scope.property in ("score", "agent", "type") else "value"
    return (
        f" JOIN json_each({f's.{column}' if column in ('value', 'score') else f'json_quote(s.{column})'}) v"
    )


def _unindexed(condition: str) -> str:
    return condition.replace("m.dataset_id", "+m.dataset_id", 1)


def _shuffle(user_id: UUID) -> str:
    """Return SQL for a random order for one user: a quadratic hash of the record's number, keyed by the user."""
    key = random.Random(user_id.int)  # noqa: S311 - a shuffle, not a secret
    shift, factor = key.randrange(_PRIME), key.randrange(1, _PRIME)
    number = f"((r.rowid + {shift}) % {_PRIME})"
    return f"((({number} * {number}) % {_PRIME}) * {factor}) % {_PRIME}"


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if number == number else None  # noqa: PLR0124 - NaN cannot be compared


def _as_text(value: Any, *, upper: bool = False) -> str:  # noqa: ARG001 - only a time depends on it
    return str(value)


def _database_id(value: Any, *, upper: bool = False) -> str:  # noqa: ARG001 - only a time depends on it
    return str(value).replace("-", "").lower()


def _database_time(value: Any, *, upper: bool = False) -> str:
    """Return a time in SQLAlchemy's format for SQLite. As an upper bound, a date includes its whole day."""
    number = _number(value)
    try:
        if number is not None:
            time = datetime.fromtimestamp(number / 1000, timezone.utc)
        else:
            time = datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", str(value).strip()))
            if upper and re.fullmatch(r"\d{4}-\d{2}-\d{2}", str(value).strip()):
                time += timedelta(days=1, microseconds=-1)
        if time.tzinfo is not None:
            time = time.astimezone(timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{value!r} is neither an ISO date and time nor milliseconds since 1970") from None
    return f"{time:%Y-%m-%d %H:%M:%S.%f}".rjust(26, "0")
