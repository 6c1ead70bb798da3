"""The tables beside the server's own, kept right by triggers."""

# ruff: noqa: S608 - the names in the SQL are ours

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argilla_embedded.index import METADATA_TABLE, ensure_index
from argilla_embedded.text_query import FTS_TABLE, TEXT_TABLE

TABLES = """
CREATE TABLE fields (id TEXT PRIMARY KEY, name TEXT, settings TEXT, dataset_id TEXT);
CREATE TABLE metadata_properties (id TEXT PRIMARY KEY, name TEXT, dataset_id TEXT);
CREATE TABLE records (id TEXT PRIMARY KEY, dataset_id TEXT, fields TEXT, metadata TEXT, status TEXT, inserted_at TEXT);
INSERT INTO fields VALUES ('f1', 'text', '{"type": "text"}', 'd'), ('f2', 'p', '{"type": "image"}', 'd');
INSERT INTO metadata_properties VALUES ('m1', 'idx', 'd'), ('m2', 'tags', 'd');
"""


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TABLES)
    yield connection
    connection.close()


def insert(db: sqlite3.Connection, id_: str, text: str, metadata: object) -> None:
    db.execute(
        "INSERT INTO records VALUES (?, 'd', ?, ?, 'pending', '')",
        (id_, json.dumps({"text": text, "p": "data:image"}), json.dumps(metadata)),
    )


def content(db: sqlite3.Connection) -> tuple[list[tuple[str, ...]], list[tuple[object, ...]]]:
    """Everything in the index, FTS5 having checked its own part."""
    db.execute(f"INSERT INTO {FTS_TABLE} ({FTS_TABLE}, rank) VALUES ('integrity-check', 1)")
    texts = db.execute(f"SELECT record_id, field, text FROM {TEXT_TABLE} ORDER BY 1, 2").fetchall()
    values = db.execute(f"SELECT record_id, name, value FROM {METADATA_TABLE} ORDER BY 1, 2, 3").fetchall()
    return texts, values


def test_a_database_with_metadata_passes_sqlites_check(db: sqlite3.Connection) -> None:
    """Whoever checks a backup finds nothing wrong with it."""
    ensure_index(db)
    insert(db, "a", "one", {"idx": 1, "tags": ["x", "y"]})
    insert(db, "b", "two", {"idx": 1.5})
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_records_logged_before_the_index_are_in_it(db: sqlite3.Connection) -> None:
    """Building the index takes in what is there, images and undeclared metadata left out."""
    insert(db, "a", "one", {"idx": 1, "tags": ["x", "y", "x"], "other": 5})
    insert(db, "b", "two", None)
    assert ensure_index(db)
    assert content(db) == (
        [("a", "text", "one"), ("b", "text", "two")],
        [("a", "idx", 1), ("a", "tags", "x"), ("a", "tags", "y")],
    )


def test_a_complete_index_is_left_alone(db: sqlite3.Connection) -> None:
    """A second start builds nothing."""
    assert ensure_index(db)
    assert not ensure_index(db)


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TRIGGER argilla_loop_record_insert",
        f"DROP TABLE {METADATA_TABLE}",
        f"DROP TABLE {FTS_TABLE}",
        "DROP INDEX argilla_loop_records_order",
        """DROP TRIGGER argilla_loop_record_fields;
        CREATE TRIGGER argilla_loop_record_fields AFTER UPDATE ON records BEGIN SELECT 1; END""",
        """DROP TABLE records; CREATE TABLE records (
        id TEXT PRIMARY KEY, dataset_id TEXT, fields TEXT, metadata TEXT, status TEXT, inserted_at TEXT)""",
    ],
)
def test_a_damaged_or_older_index_is_built_anew(db: sqlite3.Connection, damage: str) -> None:
    """Where any part is missing or other than ours, as after a migration, all of it is made from the records."""
    ensure_index(db)
    insert(db, "a", "one", {"idx": 1})
    before = content(db)
    db.executescript(damage)
    if not db.execute("SELECT count(*) FROM records").fetchone()[0]:
        db.execute(
            "INSERT INTO records VALUES ('a', 'd', '{\"text\": \"one\"}', '{\"idx\": 1}', 'pending', '')"
        )
    assert ensure_index(db)
    assert content(db) == before


@settings(max_examples=100)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["insert", "text", "metadata", "status", "delete", "roll back"]),
            st.sampled_from("abc"),
            st.text(alphabet='xy "\u00e9', max_size=6),
            st.dictionaries(
                st.sampled_from(["idx", "tags", 'od"d']),
                st.none()
                | st.integers()
                | st.booleans()
                | st.floats()
                | st.lists(st.text(max_size=2))
                | st.text(),
                max_size=3,
            ),
        ),
        max_size=12,
    )
)
def test_triggers_give_what_building_anew_gives(
    steps: list[tuple[str, str, str, dict[str, object]]],
) -> None:
    """After any changes, rolled back ones too, the index is the one that would be built from the records."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(TABLES)
    ensure_index(db)
    for what, id_, text, metadata in steps:
        db.execute("BEGIN")
        if what in ("insert", "roll back"):
            if not db.execute("SELECT 1 FROM records WHERE id = ?", (id_,)).fetchone():
                insert(db, id_, text, metadata)
        elif what == "text":
            db.execute("UPDATE records SET fields = ? WHERE id = ?", (json.dumps({"text": text}), id_))
        elif what == "metadata":
            db.execute("UPDATE records SET metadata = ? WHERE id = ?", (json.dumps(metadata), id_))
        elif what == "status":
            db.execute("UPDATE records SET status = 'completed' WHERE id = ?", (id_,))
        else:
            db.execute("DELETE FROM records WHERE id = ?", (id_,))
        db.execute("ROLLBACK" if what == "roll back" else "COMMIT")
    kept = content(db)
    db.execute("DROP TRIGGER argilla_loop_record_delete")
    assert ensure_index(db)
    assert content(db) == kept
    db.close()
