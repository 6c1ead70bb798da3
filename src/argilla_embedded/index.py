"""The search index: tables of texts and metadata values beside the server's own tables.

SQLite triggers update these tables in the transaction that changes a record. The index therefore always agrees with
the committed rows, whichever process writes them and even if it is killed.
"""

# ruff: noqa: S608 - values are bound as parameters; only constant names are formatted into the SQL

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from argilla_embedded.text_query import FTS_TABLE, TEXT_TABLE

METADATA_TABLE = "argilla_loop_metadata"

# The records' JSON where SQLite can read it: Python may write Infinity, which is not valid JSON.
_FIELDS = "CASE WHEN json_valid({row}.fields) THEN {row}.fields END"
_METADATA = "CASE WHEN json_valid({row}.metadata) THEN {row}.metadata END"
# A member as JSON: json_each returns objects and arrays as JSON, but scalars as SQL values.
_MEMBER = "CASE WHEN e.type IN ('array', 'object') THEN e.value ELSE json_quote(e.value) END"


def _select_texts(row: str, joined: str = "") -> str:
    """Return SQL for the rows (record_id, field, text) of record ``row``: all texts of all fields except images."""
    return f"""SELECT {row}.id, f.name,
        (SELECT group_concat(t.atom, char(10)) FROM json_tree({_MEMBER}) t WHERE t.atom IS NOT NULL)
    FROM {joined} fields f JOIN json_each({_FIELDS.format(row=row)}) e ON e.key = f.name
    WHERE f.dataset_id = {row}.dataset_id AND json_extract(f.settings, '$.type') != 'image'
        AND e.type != 'null'"""


def _select_metadata(row: str, joined: str = "") -> str:
    """Return SQL for the rows (record_id, dataset_id, name, value) of ``row``: all values of declared properties."""
    return f"""SELECT DISTINCT {row}.id, {row}.dataset_id, p.name,
        CASE v.type WHEN 'true' THEN 'true' WHEN 'false' THEN 'false' ELSE v.atom END
    FROM {joined} metadata_properties p JOIN json_each({_METADATA.format(row=row)}) e ON e.key = p.name
        JOIN json_each({_MEMBER}) v
    WHERE p.dataset_id = {row}.dataset_id AND v.atom IS NOT NULL"""


_ALL_RECORDS = "records r JOIN"
_INSERT_TEXTS = f"INSERT INTO {TEXT_TABLE} (record_id, field, text) "
_INSERT_METADATA = f"INSERT INTO {METADATA_TABLE} (record_id, dataset_id, name, value) "

# Name and statement of each object, in the order of creation. SQLite stores the statements verbatim, so comparing them
# shows whether a database has exactly these objects.
_OBJECTS = {
    TEXT_TABLE: f"""CREATE TABLE {TEXT_TABLE} (
        id INTEGER PRIMARY KEY, record_id TEXT NOT NULL, field TEXT NOT NULL, text TEXT)""",
    f"{TEXT_TABLE}_record": f"CREATE INDEX {TEXT_TABLE}_record ON {TEXT_TABLE} (record_id)",
    # Like Elasticsearch's standard analyzer: lower case, with accents.
    FTS_TABLE: f"""CREATE VIRTUAL TABLE {FTS_TABLE} USING fts5(
        text, content='{TEXT_TABLE}', content_rowid='id', tokenize='unicode61 remove_diacritics 0')""",
    f"{TEXT_TABLE}_insert": f"""CREATE TRIGGER {TEXT_TABLE}_insert AFTER INSERT ON {TEXT_TABLE} BEGIN
        INSERT INTO {FTS_TABLE} (rowid, text) VALUES (NEW.id, NEW.text); END""",
    f"{TEXT_TABLE}_delete": f"""CREATE TRIGGER {TEXT_TABLE}_delete AFTER DELETE ON {TEXT_TABLE} BEGIN
        INSERT INTO {FTS_TABLE} ({FTS_TABLE}, rowid, text) VALUES ('delete', OLD.id, OLD.text); END""",
    # Without a declared type, numbers stay numbers and texts stay texts. The key's columns must come first: otherwise
    # SQLite's integrity_check (seen in 3.40) confuses columns and reports NULL for values that are present.
    METADATA_TABLE: f"""CREATE TABLE {METADATA_TABLE} (
        record_id TEXT NOT NULL, name TEXT NOT NULL, value NOT NULL, dataset_id TEXT NOT NULL,
        PRIMARY KEY (record_id, name, value)) WITHOUT ROWID""",
    f"{METADATA_TABLE}_value": f"""CREATE INDEX {METADATA_TABLE}_value
        ON {METADATA_TABLE} (dataset_id, name, value, record_id)""",
    "argilla_loop_record_insert": f"""CREATE TRIGGER argilla_loop_record_insert AFTER INSERT ON records BEGIN
        {_INSERT_TEXTS}{_select_texts("NEW")};
        {_INSERT_METADATA}{_select_metadata("NEW")}; END""",
    "argilla_loop_record_fields": f"""CREATE TRIGGER argilla_loop_record_fields
        AFTER UPDATE OF fields ON records WHEN NEW.fields IS NOT OLD.fields BEGIN
        DELETE FROM {TEXT_TABLE} WHERE record_id = OLD.id;
        {_INSERT_TEXTS}{_select_texts("NEW")}; END""",
    "argilla_loop_record_metadata": f"""CREATE TRIGGER argilla_loop_record_metadata
        AFTER UPDATE OF metadata ON records WHEN NEW.metadata IS NOT OLD.metadata BEGIN
        DELETE FROM {METADATA_TABLE} WHERE record_id = OLD.id;
        {_INSERT_METADATA}{_select_metadata("NEW")}; END""",
    "argilla_loop_record_delete": f"""CREATE TRIGGER argilla_loop_record_delete AFTER DELETE ON records BEGIN
        DELETE FROM {TEXT_TABLE} WHERE record_id = OLD.id;
        DELETE FROM {METADATA_TABLE} WHERE record_id = OLD.id; END""",
    "argilla_loop_property_insert": f"""CREATE TRIGGER argilla_loop_property_insert
        AFTER INSERT ON metadata_properties BEGIN
        {_INSERT_METADATA}{_select_metadata("r", _ALL_RECORDS)} AND p.id = NEW.id; END""",
    "argilla_loop_property_delete": f"""CREATE TRIGGER argilla_loop_property_delete
        AFTER DELETE ON metadata_properties BEGIN
        DELETE FROM {METADATA_TABLE} WHERE dataset_id = OLD.dataset_id AND name = OLD.name; END""",
    # For pages in order of insertion and for progress, without sorting or reading the whole table.
    "argilla_loop_records_order": """CREATE INDEX argilla_loop_records_order
        ON records (dataset_id, inserted_at)""",
    "argilla_loop_records_status": "CREATE INDEX argilla_loop_records_status ON records (dataset_id, status)",
}  # fmt: skip


def ensure_index(connection: sqlite3.Connection) -> bool:
    """Create the index, or rebuild it unless the database has exactly this version of it.

    Args:
        connection: to a migrated database, in autocommit mode (``isolation_level=None``).

    Returns:
        Whether the index was built.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        found = dict(
            connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE name LIKE 'argilla\\_loop\\_%' ESCAPE '\\'"
            )
        )
        if all(found.get(name) == sql for name, sql in _OBJECTS.items()):
            connection.execute("ROLLBACK")
            return False
        _drop(connection)
        for sql in _OBJECTS.values():
            connection.execute(sql)
        connection.execute(_INSERT_TEXTS + _select_texts("r", _ALL_RECORDS))
        connection.execute(_INSERT_METADATA + _select_metadata("r", _ALL_RECORDS))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return True


def has_index(database: Path) -> bool:
    """Return whether the file is a database that has this index. The file is opened read-only."""
    try:
        with closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (TEXT_TABLE,)).fetchone()
    except sqlite3.Error:
        return False
    return found is not None


def _drop(connection: sqlite3.Connection) -> None:
    """Drop all objects of an earlier version or an interrupted start; FTS5 drops its tables with the virtual one."""
    for kind in ("trigger", "index"):
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = ? AND name LIKE 'argilla\\_loop\\_%' ESCAPE '\\'",
            (kind,),
        ).fetchall()
        for (name,) in names:
            connection.execute(f'DROP {kind} "{name}"')
    for table in (FTS_TABLE, TEXT_TABLE, METADATA_TABLE):
        connection.execute(f'DROP TABLE IF EXISTS "{table}"')
