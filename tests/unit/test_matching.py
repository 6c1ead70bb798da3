"""Texts are told by what they say: whatever becomes of the pool, none is asked twice and none forgotten."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from worlds import CentroidLearner, FixedSource, ListPool, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.argilla.v2.markup import escape_markup, unescape_markup
from argilla_loop.domain import Example, LoggedRecord, NewRecord, Route
from argilla_loop.loop.turn import Loop
from argilla_loop.policy.matching import Matcher, all_examples
from argilla_loop.policy.plan import Finished
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.text_keys import kept_of, keys_of, own_id
from argilla_loop.pool.load import load_pool
from argilla_loop.settings import PoolSettings
from argilla_loop.simulate.precomputed import PrecomputedVectors

Row = tuple[str, str, str | None]
ARGILLA = PoolSettings.model_validate({"source": "argilla", "dataset": "texts"})


def record(id_: str, text: str, logged_as: str | None = None) -> LoggedRecord:
    """A record in Argilla; ``logged_as``: the text it had when the service logged it."""
    return LoggedRecord(id_, text, text_key=None if logged_as is None else kept_of(logged_as))


def pool_of(*rows: tuple[str, str]) -> ListPool:
    return ListPool([(id_, text, None) for id_, text in rows])


def test_a_text_is_left_until_it_is_logged_whatever_its_id() -> None:
    pool = pool_of(("1", "a"), ("2", "b"), ("3", "c"))
    match = Matcher().match(pool, [record("1", "a"), record("x", "c")])
    assert match.left.tolist() == [1]
    assert (match.changed, match.moved) == (0, 1)


def test_an_id_whose_text_changed_is_asked_under_an_id_of_its_own_which_a_restart_finds_again() -> None:
    pool = pool_of(("1", "new"), ("2", "b"))
    logged = [record("1", "old")]
    match = Matcher().match(pool, logged)
    assert match.left.tolist() == [0, 1]
    assert (match.changed, match.moved) == (1, 0)
    batch = [NewRecord("1", "new", 0, Route.ASK), NewRecord("2", "b", 0, Route.ASK)]
    named = match.named(batch)
    assert [one.id for one in named] == [own_id("1", "new"), "2"]
    assert named == Matcher().match(pool, logged).named(batch)
    after = Matcher().match(pool, [*logged, *(record(one.id, one.text) for one in named)])
    assert (after.left.tolist(), after.changed, after.moved) == ([], 1, 0)


def test_no_id_of_argilla_is_ever_given_to_another_text() -> None:
    """Not even where somebody put another text under the very id that a text would get for its own."""
    own = own_id("1", "new")
    match = Matcher().match(pool_of(("1", "new")), [record("1", "old"), record(own, "foreign")])
    (named,) = match.named([NewRecord("1", "new", 0, Route.ASK)])
    assert named.id not in ("1", own)
    assert (
        Matcher()
        .match(pool_of(("1", "new")), [record("1", "old"), record(own, "foreign"), record(named.id, "new")])
        .left.tolist()
        == []
    )


def test_a_text_that_somebody_edits_in_argilla_is_neither_asked_again_nor_a_change_of_the_pool() -> None:
    pool = pool_of(("1", "a"), ("2", "b"))
    match = Matcher().match(pool, [record("1", "a, corrected", logged_as="a")])
    assert (match.left.tolist(), match.changed, match.moved) == ([1], 0, 0)
    # edited into another text of the pool: that one is there, too
    both = Matcher().match(pool, [record("1", "b", logged_as="a")])
    assert (both.left.tolist(), both.changed, both.moved) == ([], 0, 1)


def test_a_key_that_a_script_copies_from_one_record_to_another_is_said() -> None:
    match = Matcher().match(pool_of(("1", "a"), ("2", "b")), [record("2", "b", logged_as="a")])
    assert (match.left.tolist(), match.moved) == ([], 1)


def test_texts_that_the_server_refused_are_left_out_by_text() -> None:
    refused = set(keys_of(["a"]).tolist())
    assert Matcher().match(pool_of(("1", "a"), ("2", "b")), [], without=refused).left.tolist() == [1]
    assert Matcher().match(pool_of(("1", "a, mended")), [], without=refused).left.tolist() == [0]


def test_labelled_texts_whose_id_has_another_text_are_counted_too() -> None:
    pool = ListPool([("1", "new", "L"), ("2", "b", None)])
    assert Matcher().match(pool, [record("1", "old")]).changed == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from("uvwxyz"), st.booleans()), max_size=8))
def test_what_a_matcher_remembers_changes_nothing(events: list[tuple[str, str, bool]]) -> None:
    """Records that come, change, go and come back, and pools that do: as if everything were looked at anew."""
    matcher = Matcher()
    records: dict[str, LoggedRecord] = {}
    pools = [
        pool_of(*zip("abcdef", "uvwxyz", strict=True)),
        pool_of(*zip("fedcba", "uvwxyz", strict=True)),
    ]
    for id_, text, swap in events:
        if records.get(id_) == record(id_, text):
            del records[id_]
        else:
            records[id_] = record(id_, text)
        if swap:
            pools.reverse()
        seen, anew = (one.match(pools[0], list(records.values())) for one in (matcher, Matcher()))
        assert seen.left.tolist() == anew.left.tolist()
        assert (seen.changed, seen.moved) == (anew.changed, anew.moved)
        texts = {one.text for one in records.values()}
        assert {pools[0].rows[n][1] for n in seen.left} == set("uvwxyz") - texts


def test_keys_of_the_pool_are_those_of_what_argilla_gives_back(tmp_path: Path) -> None:
    """Also where a text looks like what the guard makes of another: people could not tell them apart."""
    texts = ["plain", "ünï 🙂", "<b>bold</b>", "a < b", "x <\u2060b>", "<\u2060<\u2060i>", "y", "\u2060"]
    rows = [(str(n), text, None) for n, text in enumerate(texts)]
    pool, _ = load_pool(ARGILLA, labels=None, cache_dir=tmp_path, argilla_rows=lambda: rows)
    assert np.array_equal(pool.keys(), keys_of([unescape_markup(escape_markup(text)) for text in texts]))
    assert np.array_equal(pool.keys(), keys_of(texts))
    assert pool.ids_at([2, 0]) == ["2", "0"]


def test_texts_that_only_the_guard_tells_apart_are_taken_once(tmp_path: Path) -> None:
    rows = [("1", "<b>", None), ("2", "<\u2060b>", None)]
    pool, report = load_pool(ARGILLA, labels=None, cache_dir=tmp_path, argilla_rows=lambda: rows)
    assert (len(pool), report.duplicates) == (1, 1)


def test_an_answer_outranks_the_pool_by_text_and_not_by_id() -> None:
    seeds = [Example("1", "a", "X"), Example("2", "b", "X"), Example("3", "c", "X")]
    answered = [Example("1", "a, before the pool changed", "Y"), Example("9", "b", "Y")]
    found = {example.text: (example.id, example.label) for example in all_examples(seeds, answered)}
    assert found == {
        "a": (own_id("1", "a"), "X"),
        "a, before the pool changed": ("1", "Y"),
        "b": ("9", "Y"),
        "c": ("3", "X"),
    }


ROWS = sentences(40)
RULES = Rules(
    slice_size=4, accept_limit=2, min_examples_per_label=3, min_accept_examples=3, certainty_threshold=0.6
)


def changed(change: str) -> ListPool:
    """The pool as it is later: with new texts, with new ids, with both, or with its ids in another order."""
    ids, texts = [i for i, *_ in ROWS], [text for _, text, _ in ROWS]
    if change in ("ids", "both"):
        ids = [f"n{i}" for i in ids]
    elif change == "mixed up":
        ids = [*ids[20:], *ids[:20]]
    if change in ("texts", "both"):
        texts = [*texts[:5], *(f"{text}, anew" for text in texts[5:])]
    return pool_of(*zip(ids, texts, strict=True))


@pytest.mark.parametrize("change", ["texts", "ids", "both", "mixed up"])
def test_every_text_is_asked_exactly_once_however_the_pool_changes_on_the_way(change: str) -> None:
    dataset = MemoryDataset(("World", "Sports", "Business"))
    gold = {text: label for _, text, label in ROWS} | {f"{text}, anew": label for _, text, label in ROWS}
    source = FixedSource(ListPool([(i, text, None) for i, text, _ in ROWS]))
    learner = CentroidLearner()
    logged: dict[str, str] = {}

    def started() -> Loop:
        return Loop(dataset, source, learner, PrecomputedVectors(learner.encoder, seed=1), RULES)

    loop, turn = started(), 0
    with capture_logs() as events:
        while not isinstance(loop.turn().step, Finished):
            for one in list(dataset.scan()):
                if not one.answers:
                    dataset.answer(one.id, gold[one.text])
            turn += 1
            if turn == 1:
                logged = {one.id: one.text for one in dataset.scan()}
                source.pool = changed(change)
            if turn == 3:
                loop = started()
    records = list(dataset.scan())
    asked = [one.text for one in records]
    assert len(set(asked)) == len(asked), "a text was asked twice"
    assert set(asked) >= {text for _, text, _ in source.pool.rows}, "texts are missing"
    assert {one.id: one.text for one in records if one.id in logged} == logged, "a record was overwritten"
    told = [event for event in events if event["event"] == "pool_texts_changed"]
    assert len(told) == 2  # once, and after the restart
    assert all(event["ids_with_another_text"] + event["texts_under_another_id"] > 0 for event in told)


def test_an_edited_text_stays_known_when_its_record_is_routed_anew() -> None:
    dataset = MemoryDataset(("a", "b"))
    dataset.log([NewRecord("1", "text", 0, Route.ASK)])
    (one,) = dataset.scan()
    assert one.text_key == kept_of("text")
    dataset.return_to_queue([NewRecord("1", "text, edited", 0, Route.ASK)])
    assert [replace(r, answers=()).text_key for r in dataset.scan()] == [kept_of("text")]
