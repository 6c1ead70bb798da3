"""Argilla's search engine answered by the server's own database: the committed rows are the index.

What the interface asks to be kept up to date needs nothing here: the triggers of ``index`` did it within the
transaction that wrote the rows. ``docs/embedded.md`` lists each method with the test that shows it.
"""

# ruff: noqa: S608 - values are bound; what is put into the SQL are names of ours

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from argilla_server.enums import MetadataPropertyType, SimilarityOrder
from argilla_server.models import (
    Dataset,
    MetadataProperty,
    Record,
    Response,
    Suggestion,
    User,
    VectorSettings,
)
from argilla_server.search_engine.base import (
    Filter,
    FloatMetadataMetrics,
    IntegerMetadataMetrics,
    MetadataMetrics,
    Order,
    SearchEngine,
    SearchResponseItem,
    SearchResponses,
    TermsMetrics,
    TextQuery,
)
from argilla_server.settings import settings
from sqlalchemy import make_url
from typing_extensions import override

from argilla_embedded.index import METADATA_TABLE
from argilla_embedded.query import SearchSql
from argilla_embedded.reader import Reader

NAME = "embedded"

Result = TypeVar("Result")

# A condition met by more records than this is not worth leading a search with while another meets fewer.
PROBE = 1_000


@lru_cache(maxsize=1)
def reader() -> Reader:
    """The process's reader of the server's database."""
    database = make_url(settings.database_url).database
    if database is None:
        raise ValueError("The embedded search engine needs a database file")
    return Reader(Path(database))


@SearchEngine.register(engine_name=NAME)
class EmbeddedSearchEngine(SearchEngine):  # type: ignore[misc]  # argilla_server ships no types
    """Argilla's search engine over SQLite."""

    @classmethod
    async def new_instance(cls) -> EmbeddedSearchEngine:
        """One for each request; all share the reader."""
        return cls()

    async def close(self) -> None:
        """Nothing of its own to close."""

    async def ping(self) -> bool:
        """Whether the database answers."""
        return await reader().read(lambda db: bool(db.execute("SELECT 1").fetchone()))

    async def info(self) -> dict[str, Any]:
        """Name and version, as the server's status page shows them."""
        return {"name": NAME, "version": {"number": f"SQLite {sqlite3.sqlite_version}"}}

    async def read_index(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """What ``work`` makes of a connection to the index, which is the server's own database."""
        return await reader().read(work)

    async def create_index(self, dataset: Dataset) -> None:
        """Nothing: the tables serve every data set."""

    async def delete_index(self, dataset: Dataset) -> None:
        """Nothing: the rows went with the data set."""

    async def configure_metadata_property(
        self, dataset: Dataset, metadata_property: MetadataProperty
    ) -> None:
        """Nothing: a trigger took the property in, values logged before it included."""

    async def configure_index_vectors(self, vector_settings: VectorSettings) -> None:
        """Nothing: vectors are read where the server keeps them."""

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Nothing: triggers did it."""

    async def partial_record_update(self, record: Record, **update: Any) -> None:
        """Nothing: triggers did it."""

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Nothing: triggers did it."""

    async def update_record_response(self, response: Response) -> None:
        """Nothing: responses are read where the server keeps them."""

    async def delete_record_response(self, response: Response) -> None:
        """Nothing: as above."""

    async def update_record_suggestion(self, suggestion: Suggestion) -> None:
        """Nothing: as above."""

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None:
        """Nothing: as above."""

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        """Records by status, and ``total``; empty for a draft."""
        if dataset.is_draft:
            return {}
        return await self._count(
            "SELECT status, count(*) FROM records WHERE dataset_id = ? GROUP BY 1", dataset.id
        )

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        """The user's responses by status, and ``total``; empty for a draft."""
        if dataset.is_draft:
            return {}
        return await self._count(
            "SELECT x.status, count(*) FROM responses x JOIN records r ON r.id = x.record_id"
            " WHERE r.dataset_id = ? AND x.user_id = ? GROUP BY 1",
            dataset.id,
            user.id,
        )

    @override
    async def search(
        self,
        dataset: Dataset,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        sort: list[Order] | None = None,
        offset: int = 0,
        limit: int = 100,
        user_id: UUID | None = None,
    ) -> SearchResponses:
        """Find records, by relevance to ``query`` unless sorted; ``user_id``, which /me passes, shuffles them.

        Raises:
            ValueError: a filter or a sort order that makes no sense (the server answers 422).
            NotSortableError: a sort order that Elasticsearch refuses (500).
        """
        sql = _search_sql(dataset, query, filter)
        scores = None if sort else sql.scores()
        order = sql.order(sort or [], shuffle_for=user_id, scored=scores is not None)
        source = f"records r LEFT JOIN {scores} s ON s.record_id = r.id" if scores else "records r"

        def work(db: sqlite3.Connection) -> SearchResponses:
            sql.check_sort(db)
            where = sql.where(_lead(db, sql))
            (total,) = db.execute(f"SELECT count(*) FROM records r WHERE {where}", sql.parameters).fetchone()
            rows: Iterable[tuple[str, float | None]] = ()
            if offset < total and limit > 0:
                rows = db.execute(
                    f"SELECT r.id, {'s.score' if scores else '1.0'} FROM {source}"
                    f" WHERE {where} ORDER BY {order} LIMIT {int(limit)} OFFSET {int(offset)}",
                    sql.parameters,
                )
            return SearchResponses(
                items=[SearchResponseItem(record_id=UUID(id_), score=score) for id_, score in rows],
                total=total,
            )

        return await self.read_index(work)

    @override
    async def similarity_search(
        self,
        dataset: Dataset,
        vector_settings: VectorSettings,
        value: list[float] | None = None,
        record: Record | None = None,
        query: TextQuery | str | None = None,
        filter: Filter | None = None,
        max_results: int = 100,
        order: SimilarityOrder = SimilarityOrder.most_similar,
        threshold: float | None = None,
    ) -> SearchResponses:
        """The records nearest to a vector, or to a record's, by cosine: exact, reading every vector that qualifies.

        Scores are (1 + cosine) / 2, as Elasticsearch's; ``least_similar`` looks for the opposite vector.

        Raises:
            ValueError: not exactly one of vector and record, or a vector of another length (422).
        """
        if bool(value) == bool(record):
            raise ValueError("Must provide either vector value or record to compute the similarity search")
        vector = value or (record.vector_value_by_vector_settings(vector_settings) if record else None)
        if not vector or len(vector) != vector_settings.dimensions:
            raise ValueError(f"The vector must have {vector_settings.dimensions} dimensions")
        target = np.asarray(vector, dtype=np.float64)
        if order == SimilarityOrder.least_similar:
            target = -target

        sql = _search_sql(dataset, query, filter)
        if record is not None:
            sql.where_other_than(record.id)
        settings_id = sql.bind(vector_settings.id.hex)

        def work(db: sqlite3.Connection) -> SearchResponses:
            rows = db.execute(
                "SELECT r.id, v.value FROM records r JOIN vectors v ON v.record_id = r.id"
                f" WHERE v.vector_settings_id = {settings_id} AND {sql.where(_lead(db, sql))}"
                " ORDER BY r.inserted_at, r.rowid",
                sql.parameters,
            ).fetchall()
            scores = _cosine_scores([json.loads(vector) for _, vector in rows], target)
            nearest = np.argsort(-scores, kind="stable")[:max_results]
            items = [
                SearchResponseItem(record_id=UUID(rows[position][0]), score=float(scores[position]))
                for position in nearest
                if threshold is None or scores[position] >= threshold
            ]
            return SearchResponses(items=items, total=len(items))

        return await self.read_index(work)

    async def compute_metrics_for(self, metadata_property: MetadataProperty) -> MetadataMetrics:
        """Terms by count, or the smallest and largest number."""
        of = f"FROM {METADATA_TABLE} WHERE dataset_id = ? AND name = ?"
        parameters = (metadata_property.dataset_id.hex, metadata_property.name)
        if metadata_property.type == MetadataPropertyType.terms:
            rows = await self.read_index(
                lambda db: db.execute(
                    f"SELECT value, count(*) {of} GROUP BY 1 ORDER BY 2 DESC, 1",
                    parameters,
                ).fetchall()
            )
            return TermsMetrics(
                total=sum(count for _, count in rows),
                values=[TermsMetrics.TermCount(term=str(term), count=count) for term, count in rows],
            )
        # Two subqueries, for SQLite answers one min or one max by the index but not both at once.
        low, high = await self.read_index(
            lambda db: db.execute(
                f"SELECT (SELECT min(value) {of}), (SELECT max(value) {of})",
                parameters * 2,
            ).fetchone()
        )
        if metadata_property.type == MetadataPropertyType.integer:
            return IntegerMetadataMetrics(min=low, max=high)
        return FloatMetadataMetrics(min=low, max=high)

    async def _count(self, sql: str, *ids: UUID) -> dict[str, int]:
        rows = await self.read_index(lambda db: db.execute(sql, [id_.hex for id_ in ids]).fetchall())
        return {"total": sum(count for _, count in rows), **dict(rows)}


def _search_sql(dataset: Dataset, query: TextQuery | str | None, filter_: Filter | None) -> SearchSql:
    sql = SearchSql(dataset.id)
    if query is not None:
        text = TextQuery(q=query) if isinstance(query, str) else query
        single = sum(not field.is_image for field in dataset.fields) == 1
        sql.where_text(text.q, field=text.field, single_field=single)
    if filter_ is not None:
        sql.where_filter(filter_)
    return sql


def _lead(db: sqlite3.Connection, sql: SearchSql) -> int | None:
    """Which candidate condition shall lead the search: the one that the fewest records meet."""
    if len(sql.candidates) <= 1:
        return 0 if sql.candidates else None
    probes = ", ".join(
        f"(SELECT count(*) FROM ({candidate.ids} LIMIT {PROBE}))" for candidate in sql.candidates
    )
    counts = db.execute(f"SELECT {probes}", sql.parameters).fetchone()
    return int(np.argmin(counts))


def _cosine_scores(vectors: list[list[float]], target: np.ndarray[Any, np.dtype[np.float64]]) -> Any:
    if not vectors:
        return np.zeros(0)
    matrix = np.asarray(vectors, dtype=np.float64)
    lengths = np.linalg.norm(matrix, axis=1) * np.linalg.norm(target)
    cosines = np.divide(matrix @ target, lengths, out=np.zeros(len(matrix)), where=lengths > 0)
    return (1 + cosines) / 2
