"""The search box's language, on a real FTS5 table."""

# ruff: noqa: S608 - the names in the SQL are ours

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from argilla_embedded.index import ensure_index
from argilla_embedded.slop import register, within
from argilla_embedded.text_query import MAX_DEPTH, Both, Either, Not, Phrase, TextSql, parse

TABLES = """
CREATE TABLE fields (id TEXT PRIMARY KEY, name TEXT, settings TEXT, dataset_id TEXT);
CREATE TABLE metadata_properties (id TEXT PRIMARY KEY, name TEXT, dataset_id TEXT);
CREATE TABLE records (id TEXT PRIMARY KEY, dataset_id TEXT, fields TEXT, metadata TEXT, status TEXT, inserted_at TEXT);
INSERT INTO fields VALUES ('f1', 'text', '{"type": "text"}', 'd'), ('f2', 'note', '{"type": "text"}', 'd');
"""

TEXTS = {
    "fox": ("The quick brown fox", "alpha"),
    "dog": ("The lazy brown dog", "beta"),
    "both": ("quick", "brown"),
}


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript(TABLES)
    ensure_index(connection)
    register(connection)
    for id_, (text, note) in TEXTS.items():
        fields = json.dumps({"text": text, "note": note})
        connection.execute("INSERT INTO records VALUES (?, 'd', ?, NULL, 'pending', '')", (id_, fields))
    yield connection
    connection.close()


def find(
    db: sqlite3.Connection, query: str, field: str | None = None, *, single_field: bool = False
) -> set[str]:
    """Ids found, after making sure that the scores' statement runs too."""
    parameters: dict[str, object] = {}

    def bind(value: object) -> str:
        parameters[f"p{len(parameters)}"] = value
        return f":p{len(parameters) - 1}"

    sql = TextSql(parse(query), bind, field=field, single_field=single_field)
    found = {id_ for (id_,) in db.execute(f"SELECT r.id FROM records r WHERE {sql.condition()}", parameters)}
    if scores := sql.scores():
        assert all(score > 0 for _, score in db.execute(f"SELECT * FROM {scores}", parameters))
    return found


@pytest.mark.parametrize(
    ("query", "tree"),
    [
        ("a", Phrase("a")),
        ("a b", Both((Phrase("a"), Phrase("b")))),
        ("a+b", Both((Phrase("a"), Phrase("b")))),
        ("a | b", Either((Phrase("a"), Phrase("b")))),
        ("a | b c", Both((Either((Phrase("a"), Phrase("b"))), Phrase("c")))),
        ("a | (b c)", Either((Phrase("a"), Both((Phrase("b"), Phrase("c")))))),
        ("-a", Not(Phrase("a"))),
        ("--a", Phrase("a")),
        ("- a", Phrase("a")),
        ("a-b", Phrase("a-b")),
        ("-(a b)", Not(Both((Phrase("a"), Phrase("b"))))),
        ('"a b" c', Both((Phrase("a b"), Phrase("c")))),
        ('-"a b"', Not(Phrase("a b"))),
        ("pre*", Phrase("pre", prefix=True)),
        (r"pre\*", Phrase("pre*")),
        ('"pre*"', Phrase("pre*")),
        ("fuzzy~1", Phrase("fuzzy")),
        ('"a b"~3', Phrase("a b", slop=3)),
        ('"a b"~', Phrase("a b")),
        ('"a b"~0', Phrase("a b")),
        ('"a"~3', Phrase("a")),
        (f'"a b"~{"9" * 5000}', Phrase("a b", slop=10_000)),
        (r"\(a\)", Phrase("(a)")),
        ('"unclosed', Phrase("unclosed")),
        ("((a", Phrase("a")),
        ("a))", Phrase("a")),
        ("| a", Phrase("a")),
        ("a |", Phrase("a")),
        ("a ! b", Both((Phrase("a"), Phrase("b")))),
        ("*", Both(())),
        ("", Either(())),
        ("+-|", Either(())),
        ("\0", Either(())),
    ],
)
def test_every_string_has_a_meaning(query: str, tree: object) -> None:
    """The trees are those of Lucene's SimpleQueryParser with AND between words."""
    assert parse(query) == tree


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("quick brown", {"fox", "both"}),
        ('"quick brown"', {"fox"}),
        ("alpha | beta", {"fox", "dog"}),
        ("brown -lazy", {"fox", "both"}),
        ("lazy | (quick -fox)", {"dog", "both"}),
        ("NOT", set()),
        ("text:fox", set()),
        ("quick OR lazy", set()),
        ("NEAR(quick fox)", set()),
    ],
)
def test_operators_are_ours_not_those_of_fts5(db: sqlite3.Connection, query: str, found: set[str]) -> None:
    """Only our operators operate; FTS5's own words are words."""
    assert find(db, query) == found


def test_words_of_one_field(db: sqlite3.Connection) -> None:
    """With a field named, all words must be in it."""
    assert find(db, "quick brown", field="text") == {"fox"}
    assert find(db, "brown", field="note") == {"both"}


# What a real Elasticsearch found (Lucene 8), query by query.
SONGS = {
    "a": "what's new in the play about a song",
    "b": "play a song",
    "c": "song to play",
    "d": "Play the very old song now",
    "e": "play it again and then one long long song",
    "k": "play play song",
    "l": "song play song",
}


@pytest.mark.parametrize(
    ("phrase", "slop", "found"),
    [
        ("play song", 0, "kl"),
        ("play song", 1, "bkl"),
        ("play song", 2, "abkl"),
        ("play song", 3, "abcdkl"),
        ("song play", 1, "cl"),
        ("song play", 2, "ckl"),
        ("song play", 3, "bckl"),
        ("play the song", 5, "ad"),
        ("play play", 5, "k"),
    ],
)
def test_words_of_a_phrase_may_lie_apart_as_in_elasticsearch(phrase: str, slop: int, found: str) -> None:
    assert "".join(name for name, text in SONGS.items() if within(text, phrase, slop)) == found


def test_a_sloppy_phrase_stands_beside_other_words(db: sqlite3.Connection) -> None:
    """It is met in one field, combined, and negated."""
    assert find(db, '"quick fox"~1') == {"fox"}
    assert find(db, '"quick fox"~1 brown', single_field=True) == {"fox"}
    assert find(db, '"the fox"~1') == set()
    assert find(db, '"the fox"~2 | lazy') == {"fox", "dog"}
    assert find(db, '-"the fox"~2') == {"dog", "both"}
    assert find(db, '"quick brown"~9') == {"fox"}
    assert find(db, '"quick fox"~1', "note") == set()


texts = st.text(max_size=60) | st.text(alphabet="abq\"'*+-|()~\\:^ \0{}%_;,.é\ud800", max_size=80)


@settings(max_examples=500, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=texts, single_field=st.booleans(), field=st.none() | st.just("text") | st.text(max_size=5))
@example(query="a | b + c " * 200, single_field=False, field=None)
@example(query="a " * 5000, single_field=False, field=None)
@example(query="-(" * 5000 + "a", single_field=False, field=None)
@example(query="(a|b)(c -d)" * 300, single_field=False, field=None)
@example(query="(a | -(b " * 200, single_field=False, field=None)
@example(query='"' * 5001, single_field=True, field=None)
@example(query="\\", single_field=True, field=None)
def test_no_query_is_an_error(
    db: sqlite3.Connection, *, query: str, single_field: bool, field: str | None
) -> None:
    """Whatever is typed, SQLite runs it."""
    find(db, query, field.encode("utf-8", "ignore").decode() if field else field, single_field=single_field)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    query=st.recursive(
        st.sampled_from(["quick", "brown", "lazy", "fox", "dog", "alpha", "la*", '"brown fox"', "absent"]),
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]} {pair[1]})"),
            st.tuples(inner, inner).map(lambda pair: f"({pair[0]} | {pair[1]})"),
            st.tuples(inner).map(lambda one: f"-({one[0]})"),
        ),
        max_leaves=8,
    )
)
def test_the_sql_finds_what_the_tree_says(db: sqlite3.Connection, query: str) -> None:
    """Records found are those for which the tree, worked out by hand, is true."""

    def holds(node: object, id_: str) -> bool:
        if isinstance(node, Phrase):
            marked = [f" {text.lower()} " for text in TEXTS[id_]]
            return any(f" {node.text}" + ("" if node.prefix else " ") in text for text in marked)
        if isinstance(node, Not):
            return not holds(node.node, id_)
        assert isinstance(node, Both | Either)
        return (all if isinstance(node, Both) else any)(holds(each, id_) for each in node.nodes)

    tree = parse(query)
    assert find(db, query) == {id_ for id_ in TEXTS if holds(tree, id_)}


def test_too_deep_a_query_asks_for_all_its_words(db: sqlite3.Connection) -> None:
    """What SQLite could not nest is not refused."""
    deep = "fox" + " | quick + brown" * MAX_DEPTH
    assert find(db, deep) == {"fox"}
