"""Argilla's search engine on top of the server's own database: the committed rows are the index.

Methods that update the index do nothing here, because the triggers in ``index`` have already updated it in the
transaction that wrote the rows. ``docs/embedded.md`` lists each method, and
``docs/contributing/tests.md`` the test that covers it.
"""

# ruff: noqa: S608 - values are bound as parameters; only constant names are formatted into the SQL

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

# Up to this many matches are counted for each condition to find the most selective one. Chosen, not measured.
PROBE = 1_000


@lru_cache(maxsize=1)
def reader() -> Reader:
    """Return this process's reader of the server's database."""
    database = make_url(settings.database_url).database
    if database is None:
        raise ValueError("The embedded search engine needs a database file")
    return Reader(Path(database))


@SearchEngine.register(engine_name=NAME)
class EmbeddedSearchEngine(SearchEngine):  # type: ignore[misc]  # argilla_server ships no types
    """Argilla's search engine over SQLite."""

    @classmethod
    async def new_instance(cls) -> EmbeddedSearchEngine:
        """Return a new engine. The server creates one for each request; all share the reader."""
        return cls()

    async def close(self) -> None:
        """Do nothing: the engine holds no resources."""

    async def ping(self) -> bool:
        """Return whether the database answers."""
        return await reader().read(lambda db: bool(db.execute("SELECT 1").fetchone()))

    async def info(self) -> dict[str, Any]:
        """Return the name and version that the server's status page shows."""
        return {"name": NAME, "version": {"number": f"SQLite {sqlite3.sqlite_version}"}}

    async def read_index(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Call ``work`` with a connection to the index, which is the server's own database, and return its result."""
        return await reader().read(work)

    async def create_index(self, dataset: Dataset) -> None:
        """Do nothing: the tables hold all datasets."""

    async def delete_index(self, dataset: Dataset) -> None:
        """Do nothing: the rows were deleted with the dataset."""

    async def configure_metadata_property(
        self, dataset: Dataset, metadata_property: MetadataProperty
    ) -> None:
        """Do nothing: a trigger indexed the property, including values logged before it was declared."""

    async def configure_index_vectors(self, vector_settings: VectorSettings) -> None:
        """Do nothing: vectors are read from the server's own table."""

    async def index_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Do nothing: triggers have updated the index."""

    async def partial_record_update(self, record: Record, **update: Any) -> None:
        """Do nothing: triggers have updated the index."""

    async def delete_records(self, dataset: Dataset, records: Iterable[Record]) -> None:
        """Do nothing: triggers have updated the index."""

    async def update_record_response(self, response: Response) -> None:
        """Do nothing: responses are read from the server's own table."""

    async def delete_record_response(self, response: Response) -> None:
        """Do nothing: this is read from the server's own table."""

    async def update_record_suggestion(self, suggestion: Suggestion) -> None:
        """Do nothing: this is read from the server's own table."""

    async def delete_record_suggestion(self, suggestion: Suggestion) -> None:
        """Do nothing: this is read from the server's own table."""

    async def get_dataset_progress(self, dataset: Dataset) -> dict[str, int]:
        """Return the number of records by status, and the ``total``. A draft dataset has none."""
        if dataset.is_draft:
            return {}
        return await self._count(
            "SELECT status, count(*) FROM records WHERE dataset_id = ? GROUP BY 1", dataset.id
        )

    async def get_dataset_user_progress(self, dataset: Dataset, user: User) -> dict[str, int]:
        """Return the number of the user's responses by status, and the ``total``. A draft dataset has none."""
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
        """Find records, ordered by relevance to ``query`` unless ``sort`` is given.

        With ``user_id``, which the /me endpoints pass, records without another order are shuffled for that user.

        Raises:
            ValueError: a filter or sort order is invalid (the server answers 422).
            NotSortableError: Elasticsearch would refuse the sort order (the server answers 500).
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
        """Return the records nearest to a vector, or to a record's vector, by cosine similarity.

        The search is exact and reads every vector that passes the filters. Scores are (1 + cosine) / 2, as in
        Elasticsearch. ``least_similar`` searches for the opposite vector.

        Raises:
            ValueError: neither or both of ``value`` and ``record`` are given, or the vector has the wrong length (422).
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
        """Return the terms with their counts, or the smallest and largest number."""
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
        # Two subqueries: SQLite uses the index for a single min or max, but not for both in one SELECT.
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
    """Return the number of the most selective candidate condition, or None if there are no candidates."""
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
