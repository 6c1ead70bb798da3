"""What becomes of rows: one text once, nothing unusable, everything counted. Fed as an Argilla source, the barest."""

from __future__ import annotations

import string
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from argilla_loop.errors import PoolError
from argilla_loop.pool import ArrowPool, PoolReport, load_pool
from argilla_loop.pool.collect import MAX_LABELS
from argilla_loop.pool.read import BATCH
from argilla_loop.settings import PoolSettings

SETTINGS = PoolSettings.model_validate({"source": "argilla", "dataset": "news-unlabelled"})
CACHE = Path(tempfile.gettempdir()) / "argilla-loop-tests"

Row = tuple[object, object, object]


def load(
    *rows: Row, labels: list[str] | None = None, limit: int | None = None, batch_rows: int = BATCH
) -> tuple[ArrowPool, PoolReport]:
    settings = SETTINGS.model_copy(update={"limit": limit})
    return load_pool(
        settings,
        labels=labels,
        cache_dir=CACHE,
        argilla_rows=lambda: rows,  # type: ignore[arg-type, return-value]  # odd values on purpose
        batch_rows=batch_rows,
    )


def everything(pool: ArrowPool) -> list[tuple[str, str]]:
    return list(zip(pool.ids(), pool.texts(range(len(pool))), strict=True))


def adds_up(report: PoolReport) -> bool:
    return report.rows == report.taken + report.duplicates + sum(report.skipped.values())


# Few different strings, so that duplicates are common; surrogates, NUL and odd white space among them.
texts = st.one_of(
    st.sampled_from(
        ["", " ", "\t\n", "\u2003", "\x1f", "a", "a ", "b", "é", "e\u0301", "\ud800", "x\0y", "🙂"]
    ),
    st.text(max_size=20),
)


def mended(text: str) -> str:
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace("\0", "\ufffd")


@given(st.lists(texts, min_size=1, max_size=60))
def test_the_pool_is_the_unique_non_blank_texts_in_the_order_they_came(rows: list[str]) -> None:
    """Whatever the texts: each once, none blank, none altered but for characters that cannot be stored."""
    expected = list(dict.fromkeys(mended(text) for text in rows if text.strip()))
    if not expected:
        with pytest.raises(PoolError, match="no usable text"):
            load(*((None, text, None) for text in rows))
        return
    pool, report = load(*((None, text, None) for text in rows))
    assert pool.texts(range(len(pool))) == expected
    assert adds_up(report)
    assert report.taken == len(pool) == len(expected)
    assert report.skipped.get("blank", 0) == sum(not text.strip() for text in rows)


@given(st.lists(st.text(string.ascii_letters, min_size=1, max_size=3), min_size=1), st.randoms())
def test_ids_without_an_id_column_belong_to_the_text_alone(rows: list[str], random: object) -> None:
    """The same text has the same id in any order, among any others; different texts have different ids."""
    pool, _ = load(*((None, text, None) for text in rows))
    by_text = {text: id_ for id_, text in everything(pool)}
    assert len(set(by_text.values())) == len(by_text)
    shuffled = sorted(rows, key=lambda _: random.random())  # type: ignore[attr-defined]  # hypothesis types it as object
    other, _ = load(*((None, text, None) for text in [*shuffled, "one more"]))
    assert by_text.items() <= {text: id_ for id_, text in everything(other)}.items()


@given(
    st.lists(
        st.tuples(st.sampled_from("123456"), st.sampled_from("abcde"), st.sampled_from(["x", "y", None])),
        min_size=1,
        max_size=30,
    )
)
def test_ids_duplicates_and_labels_follow_the_stated_rules(rows: list[tuple[str, str, str | None]]) -> None:
    """Against the rules written row by row: the first text of an id keeps it, the first row of a text stays."""
    first_text: dict[str, str] = {}
    labels: dict[str, set[str]] = {}
    kept: dict[str, str] = {}
    for id_, text, label in rows:
        if first_text.setdefault(id_, text) != text:
            continue
        kept.setdefault(text, id_)
        labels.setdefault(text, set()).update({label} if label else set())
    pool, report = load(*rows)
    assert everything(pool) == [(id_, text) for text, id_ in kept.items()]
    expected = [(kept[text], text, *found) for text, found in labels.items() if len(found) == 1]
    assert [(e.id, e.text, e.label) for e in pool.examples()] == expected
    assert report.conflicts == sum(len(found) > 1 for found in labels.values())
    assert report.labels == Counter(label for _, _, label in expected)
    assert adds_up(report)
    assert sorted([*pool.unlabelled().tolist(), *(list(kept).index(t) for _, t, _ in expected)]) == list(
        range(len(pool))
    )


def test_a_row_without_text_is_skipped_counted_and_named_never_quoted() -> None:
    """Reasons and ids go to the log, at most twenty of each; texts never do."""
    odd: list[Row] = [("n1", None, None), ("n2", 7, None), ("n3", ["secret"], None), (None, " \t", None)]
    many: list[Row] = [(f"b{i}", "", None) for i in range(30)]
    with capture_logs() as logs:
        pool, report = load(("ok", "secret text", None), *odd, *many)
    assert everything(pool) == [("ok", "secret text")]
    assert report.skipped == {"null": 1, "not_text": 2, "blank": 31}
    by_reason = {entry["reason"]: entry for entry in logs if entry["event"] == "pool_rows_skipped"}
    assert by_reason["null"]["rows"] == ["n1"]
    assert by_reason["not_text"]["rows"] == ["n2", "n3"]
    assert by_reason["blank"]["rows"][:2] == ["row 5", "b0"]
    assert len(by_reason["blank"]["rows"]) == 20
    assert by_reason["blank"]["count"] == 31
    assert "secret" not in str(logs)


def test_the_log_names_rows_of_later_batches_by_their_number_in_the_source() -> None:
    with capture_logs() as logs:
        load(*((None, text, None) for text in ["a", "b", "c", "", "d", ""]), batch_rows=2)
    assert [entry["rows"] for entry in logs if entry["event"] == "pool_rows_skipped"] == [["row 4", "row 6"]]


def test_conflicting_labels_leave_a_text_to_people() -> None:
    """A text under two labels is unlabelled, counted, and named by its id."""
    with capture_logs() as logs:
        pool, report = load(
            ("1", "t", "Sports"), ("2", "t", "World"), ("3", "t", "Sports"), ("4", "u", "World")
        )
    assert [e.id for e in pool.examples()] == ["4"]
    assert pool.unlabelled().tolist() == [0]
    assert report.conflicts == 1
    assert [entry["ids"] for entry in logs if entry["event"] == "pool_labels_conflict"] == [["1"]]


def test_a_label_on_a_later_duplicate_counts_and_the_id_stays() -> None:
    """Adding a labelled copy of a row must not change the identity of what is already logged."""
    pool, report = load(("1", "t", None), ("2", "t", "Sports"))
    assert [(e.id, e.label) for e in pool.examples()] == [("1", "Sports")]
    assert (report.duplicates, report.labelled) == (1, 1)


def test_an_id_with_two_texts_stays_with_the_first() -> None:
    with capture_logs() as logs:
        pool, report = load(("1", "a", None), ("1", "b", None), ("2", "b", None))
    assert everything(pool) == [("1", "a"), ("2", "b")]
    assert report.skipped == {"id_taken": 1}
    assert [entry["rows"] for entry in logs if entry["event"] == "pool_rows_skipped"] == [["1"]]


def test_the_limit_counts_rows_of_the_source_before_anything_is_left_out() -> None:
    """The tutorial's first 500 are the first 500 rows, also where batches end elsewhere."""
    rows = [(str(i), text, None) for i, text in enumerate(["a", "", "a", "b", "c"])]
    for limit, expected in ((1, "a"), (3, "a"), (4, "ab"), (5, "abc"), (9, "abc")):
        pool, report = load(*rows, limit=limit, batch_rows=2)
        assert "".join(pool.texts(range(len(pool)))) == expected
        assert report.rows == min(limit, 5)


def test_unknown_labels_end_it_with_one_line() -> None:
    rows = [(str(i), f"text {i}", f"wrong {i % 7}") for i in range(20)]
    with pytest.raises(PoolError) as raised:
        load(*rows, ("x", "fine", "Sports"), labels=["Sports", "World"])
    message = str(raised.value)
    assert "'wrong 0' (3 rows)" in message
    assert "and 2 more" in message
    assert "Sports" not in message
    assert "\n" not in message


def test_labels_that_are_called_otherwise_now_are_read_as_that() -> None:
    """And two that have become one are no conflict."""
    rows = [("1", "one", "A"), ("2", "two", "B"), ("3", "one", "B"), ("4", "three", "C")]
    settings = SETTINGS.model_copy(update={"relabel": {"A": "X", "B": "X"}})
    pool, report = load_pool(settings, labels=["X", "C"], cache_dir=CACHE, argilla_rows=lambda: rows)
    assert [(one.text, one.label) for one in pool.examples()] == [("one", "X"), ("two", "X"), ("three", "C")]
    assert report.conflicts == 0


def test_labels_are_taken_as_they_come_where_none_are_configured() -> None:
    _, report = load(("1", "a", "x"), ("2", "b", "y"), ("3", "c", "x"), ("4", "d", " "))
    assert report.labels == {"x": 2, "y": 1}
    assert report.labelled == 3


def test_a_label_column_full_of_texts_is_refused() -> None:
    rows = [(str(i), f"text {i}", f"also a text {i}") for i in range(MAX_LABELS + 1)]
    with pytest.raises(PoolError, match=r"set pool\.label_column"):
        load(*rows)


def test_lone_surrogates_and_nul_are_replaced_and_counted() -> None:
    """Neither Arrow nor PostgreSQL stores them; surrogates that belong together become their character."""
    pool, report = load(
        ("1", "a\ud800", None), ("2", "b\0", None), ("3", "\ud83d\ude42", None), ("4", "\x07", None)
    )
    assert pool.texts(range(4)) == ["a\ufffd", "b\ufffd", "🙂", "\x07"]
    assert report.mended == 2


def test_the_fingerprint_changes_with_ids_texts_and_labels_only() -> None:
    base = [("1", "a", "x"), ("2", "b", None)]
    same = load(*base)[0].fingerprint
    assert load(*base)[0].fingerprint == same
    # What is left out, and the order in which labels are met, make no difference.
    assert load(("0", "", "y"), *base, ("3", "a", None))[0].fingerprint == same
    for other in (
        [("9", "a", "x"), ("2", "b", None)],
        [("1", "A", "x"), ("2", "b", None)],
        [("1", "a", "y"), ("2", "b", None)],
        [("1", "a", "x"), ("2", "b", "x")],
        [("1", "a", None), ("2", "b", "x")],
        [*base, ("3", "c", None)],
        base[::-1],
    ):
        assert load(*other)[0].fingerprint != same


def test_what_is_unlabelled_leaves_out_what_is_logged_already() -> None:
    pool, _ = load(("1", "a", "x"), ("2", "b", None), ("3", "c", None), ("4", "d", None))
    assert pool.unlabelled().tolist() == [1, 2, 3]
    assert pool.unlabelled(excluding={"1", "3", "elsewhere"}).tolist() == [1, 3]


def test_ids_and_texts_are_views_addressed_by_position() -> None:
    """Any order, any repetition, across batches and rows that were left out."""
    pool, _ = load(*((f"id {i}", f"text {i}" if i % 4 else "", None) for i in range(20)), batch_rows=3)
    numbers = [i for i in range(20) if i % 4]
    assert list(pool.ids()) == [f"id {i}" for i in numbers]
    assert pool.ids()[2] == "id 3"
    assert pool.ids()[-1] == "id 19"
    assert pool.ids()[1:3] == ["id 2", "id 3"]
    assert not isinstance(pool.ids(), list)
    assert pool.texts([14, 0, 14]) == ["text 19", "text 1", "text 19"]
    assert pool.texts(np.array([1])) == ["text 2"]
    assert pool.texts([]) == []
    with pytest.raises(IndexError):
        pool.ids()[15]


def test_lengths_are_characters_that_occur() -> None:
    _, report = load(*((None, "é" * n, None) for n in range(1, 102)))
    assert report.lengths == {0: 1, 25: 26, 50: 51, 75: 76, 95: 96, 100: 101}


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PoolError, match="cache_dir"):
        load_pool(SETTINGS, labels=None, cache_dir=tmp_path / "file", argilla_rows=lambda: [("1", "a", None)])


def test_nothing_is_left_on_disk(tmp_path: Path) -> None:
    pool, _ = load_pool(SETTINGS, labels=None, cache_dir=tmp_path, argilla_rows=lambda: [("1", "a", None)])
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert pool.texts([0]) == ["a"]
