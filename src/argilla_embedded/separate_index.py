"""A search index that is separate from the database, as Elasticsearch is, to test what happens when the two disagree.

Every write of Argilla's search engine copies rows to this index. A skipped write therefore leaves the index behind the
database, until the next write of the same record updates it.
"""

# ruff: noqa: S608 - values are bound as parameters; only constant names are formatted into the SQL

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

from argilla_embedded.index import ensure_index

# The tables that a search reads, besides those of ``index``. The rows of a record are its document.
_OF_RECORD = {"records": "id", "responses": "record_id", "suggestions": "record_id", "vectors": "record_id"}
_OF_DATASET = ("fields", "questions", "metadata_properties")

Statement = tuple[str, tuple[object, ...]]
Change = list[Statement]


class MissingDocumentError(Exception):
    """An update concerns a record that is not in the index."""


class SeparateIndex:
    """The index file and the database that it copies. Use it from one thread only.

    Args:
        path: the index file, created and filled if it is missing.
        database: the server's database.
    """

    def __init__(self, path: Path, database: Path) -> None:
        new = not path.exists()
        self._index = sqlite3.connect(path, isolation_level=None, timeout=15)
        self._index.execute("PRAGMA journal_mode = WAL")
        self._index.execute("PRAGMA synchronous = NORMAL")
        self._database = sqlite3.connect(database, isolation_level=None, timeout=15)
        self._database.execute("PRAGMA query_only = ON")
        if new:
            self._create()
            self.rebuild()

    def read_records(self, ids: Iterable[str]) -> Change:
        """Return the change that updates the documents of these records to the database's current rows."""
        wanted = list(ids)
        marks = ", ".join("?" * len(wanted))
        change: Change = []
        for table, column in _OF_RECORD.items():
            change.append((f"DELETE FROM {table} WHERE {column} IN ({marks})", tuple(wanted)))
            change += self._read(table, f"{column} IN ({marks})", wanted)
        return change

    def read_row(self, table: str, row_id: str) -> Change:
        """Return the change that updates, or removes, one response or suggestion as in the database now."""
        return [(f"DELETE FROM {table} WHERE id = ?", (row_id,)), *self._read(table, "id = ?", [row_id])]

    def read_dataset(self, dataset_id: str) -> Change:
        """Return the change that updates a dataset's fields, questions and metadata properties."""
        change: Change = []
        for table in _OF_DATASET:
            select = f"SELECT id FROM {table} WHERE dataset_id = ?"
            known, there = (
                {id_ for (id_,) in connection.execute(select, (dataset_id,))}
                for connection in (self._index, self._database)
            )
            change += [(f"DELETE FROM {table} WHERE id = ?", (id_,)) for id_ in known - there]
            for id_ in there - known:
                change += self._read(table, "id = ?", [id_])
        return change

    def has_record(self, record_id: str) -> bool:
        """Return whether the index has a document for this record."""
        return self._index.execute("SELECT 1 FROM records WHERE id = ?", (record_id,)).fetchone() is not None

    def apply(self, change: Change) -> None:
        """Apply a change atomically."""
        self._index.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in change:
                self._index.execute(sql, values)
            self._index.execute("COMMIT")
        except BaseException:
            self._index.execute("ROLLBACK")
            raise

    def forget_dataset(self, dataset_id: str) -> None:
        """Remove all documents of a dataset."""
        of_dataset = "IN (SELECT id FROM records WHERE dataset_id = ?)"
        tables = [(table, column) for table, column in _OF_RECORD.items() if table != "records"]
        change: Change = [
            (f"DELETE FROM {table} WHERE {column} {of_dataset}", (dataset_id,)) for table, column in tables
        ]
        change += [
            (f"DELETE FROM {table} WHERE dataset_id = ?", (dataset_id,))
            for table in ("records", *_OF_DATASET)
        ]
        self.apply(change)

    def empty(self) -> None:
        """Remove all documents."""
        self.apply([(f"DELETE FROM {table}", ()) for table in _OF_RECORD])

    def rebuild(self) -> None:
        """Rebuild the index from the database, as ``search-engine reindex`` does."""
        change: Change = []
        for table in (*_OF_RECORD, *_OF_DATASET):
            change.append((f"DELETE FROM {table}", ()))
        # The records come last, because the triggers read the fields and properties.
        for table in (*_OF_DATASET, *_OF_RECORD):
            change += self._read(table, "1", [])
        self.apply(change)

    @property
    def orders_done(self) -> int:
        """Number of the last command (see ``index_faults.Switch.order``) that was run. It survives a restart."""
        (number,) = self._index.execute("PRAGMA user_version").fetchone()
        return int(number)

    @orders_done.setter
    def orders_done(self, number: int) -> None:
        self._index.execute(f"PRAGMA user_version = {int(number)}")

    def _read(self, table: str, condition: str, values: Sequence[object]) -> Change:
        rows = self._database.execute(f"SELECT * FROM {table} WHERE {condition}", values)
        names = [f'"{column[0]}"' for column in rows.description]
        insert = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
        return [(insert, tuple(row)) for row in rows]

    def _create(self) -> None:
        """Create the tables with the database's types but without its constraints, which an index does not have."""
        for table in (*_OF_RECORD, *_OF_DATASET):
            columns = self._database.execute(f"PRAGMA table_info({table})").fetchall()
            listed = ", ".join(f'"{name}" {kind}' for _, name, kind, *_ in columns)
            self._index.execute(f"CREATE TABLE {table} ({listed})")
            self._index.execute(f"CREATE INDEX {table}_id ON {table} (id)")
        for table, column in _OF_RECORD.items():
            if column != "id":
                self._index.execute(f"CREATE INDEX {table}_{column} ON {table} ({column})")
        ensure_index(self._index)
