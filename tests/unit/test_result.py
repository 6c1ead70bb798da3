"""Rows of the data set, from records in memory: each source, each order, each collision of texts and ids."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from worlds import ListPool

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import IndexArray, LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate
from argilla_loop.policy.figures import Tally, count_people, is_formula, measure
from argilla_loop.policy.result import Row, Source, Wanted, lay_out, rows
from argilla_loop.policy.text_keys import kept_of, own_id
from argilla_loop.policy.validation.promise import AuditResult

POOL = ListPool(
    [("a", "text a", None), ("b", "text b", "World"), ("c", "text c", None), ("d", "text d", None)]
)


class Always:
    """Predicts World, and remembers what it was asked."""

    version = "always-1"

    def __init__(self) -> None:
        self.positions: list[int] = []
        self.texts: list[str] = []

    def at(self, positions: IndexArray) -> tuple[list[str], NDArray[np.float64]]:
        self.positions += positions.tolist()
        return ["World"] * len(positions), np.full(len(positions), 0.12345678)

    def of(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
        self.texts += texts
        return ["World"] * len(texts), np.full(len(texts), 1.0000001)


def adjudicated(dataset: MemoryDataset, min_submitted: int = 1) -> list[AdjudicatedRecord]:
    rule = AnswerRule(dataset.service_user_id, min_submitted=min_submitted)
    return [adjudicate(record, rule) for record in dataset.scan()]


def made(pool: ListPool, records: Sequence[AdjudicatedRecord], predictor: Always | None = None) -> list[Row]:
    blocks = rows(
        pool, records, lay_out(pool, records), predictor=predictor, thresholds={"World": 0.8}, block=2
    )
    return [row for block in blocks for row in block]


def test_predictions_fill_only_what_nobody_labelled() -> None:
    dataset = MemoryDataset(["World", "Sports"])
    dataset.log([NewRecord("a", "text a", 0, Route.ASK, "Sports", 0.7, "m")])
    dataset.log([NewRecord("c", "text c", 1, Route.ACCEPT, "Sports", 0.9, "m", 0.8)])
    dataset.log([NewRecord("x", "elsewhere", 1, Route.ASK), NewRecord("y", "  ", 1, Route.ASK)])
    predictor = Always()
    a, b, c, d, x, y = made(POOL, adjudicated(dataset), predictor)
    assert (predictor.positions, predictor.texts) == ([0, 3], ["elsewhere"])
    assert a == Row("a", "text a", "World", Source.PREDICTION, 0.123457, 0.8, None, "always-1", 0)
    assert b == Row("b", "text b", "World", Source.PERSON)
    assert c == Row("c", "text c", "Sports", Source.SERVICE, 0.9, 0.8, None, "m", 1)
    assert d == Row("d", "text d", "World", Source.PREDICTION, 0.123457, 0.8, None, "always-1")
    assert (x.label, x.certainty) == ("World", 1.0)
    assert y == Row("y", "  ", batch=1)


def test_an_edited_text_stays_in_its_place_and_an_id_that_is_taken_gets_another() -> None:
    """The pool's "a" now says something else; the record that was logged under "a" is no longer in the pool."""
    dataset = MemoryDataset(["World", "Sports"])
    dataset.log([NewRecord("a", "what a said before", 0, Route.ASK)])
    dataset.answer("a", "Sports")
    records = adjudicated(dataset)
    edited = LoggedRecord("d", "edited", 0, Route.ASK, text_key=kept_of("text d"))
    records.append(adjudicate(edited, AnswerRule("daemon")))
    found = made(POOL, records)
    assert [row.id for row in found] == ["a", "b", "c", "d", own_id("a", "what a said before")]
    assert (found[0].source, found[-1].label, found[3].text) == (Source.NONE, "Sports", "edited")


def test_of_several_records_with_one_text_the_answered_one_is_taken() -> None:
    dataset = MemoryDataset(["World", "Sports"])
    dataset.log([NewRecord("a", "text a", 0, Route.ASK), NewRecord("a2", "text a", 0, Route.ASK)])
    dataset.log([NewRecord("o1", "outside", 0, Route.ASK), NewRecord("o2", "outside", 0, Route.ASK)])
    dataset.answer("a2", "Sports")
    dataset.answer("o2", "World")
    records = adjudicated(dataset)
    assert len(lay_out(POOL, records).repeated) == 2
    found = made(POOL, records)
    assert [(row.id, row.label) for row in found if row.people] == [("a", "Sports"), ("o2", "World")]
    assert len(found) == 5


@given(st.data())
def test_every_text_has_one_row_whatever_happened(data: st.DataObject) -> None:
    """Ids of the pool come first and in order; a label is missing exactly where no source is named; ids are unique."""
    n = data.draw(st.integers(0, 12))
    labels = st.sampled_from([None, "World", "Sports"])
    pool = ListPool([(f"p{k}", f"text {k}", data.draw(labels)) for k in range(n)])
    dataset = MemoryDataset(["World", "Sports"], min_submitted=2)
    texts = st.sampled_from([*(f"text {k}" for k in range(n)), "other", "another"])
    ids = st.sampled_from([*(f"p{k}" for k in range(n)), "x", "y"])
    for batch in range(data.draw(st.integers(0, 6))):
        route = data.draw(st.sampled_from(list(Route)))
        dataset.log([NewRecord(data.draw(ids), data.draw(texts), batch, route, "World", 0.9, "m", 0.8)])
    for record in list(dataset.scan()):
        for user in data.draw(st.sets(st.sampled_from(["ann", "bob"]))):
            label = data.draw(labels)
            dataset.answer(record.id, label, user_id=user, status="submitted" if label else "discarded")
    records = adjudicated(dataset, 2)
    found = made(pool, records, data.draw(st.sampled_from([None, Always()])))
    assert [row.id for row in found[:n]] == pool.ids()
    assert len({row.id for row in found}) == len(found)
    assert len(found) == n + len({r.record.text for r in records} - {text for _, text, _ in pool.rows})
    for row in found:
        assert (row.label is None) == (row.source is Source.NONE)
        assert (row.certainty is not None) == (row.source in (Source.SERVICE, Source.PREDICTION))
        assert not (row.discarded and row.label)
    tally = Tally(2)
    tally.add(found)
    assert sum(tally.of(source) for source in Source) == tally.rows == len(found)


def test_wanted() -> None:
    person, sure = Row("a", "t", "World", Source.PERSON), Row("b", "t", "World", Source.SERVICE, 0.9)
    assert Wanted(min_certainty=0.95).takes(person)
    assert not Wanted(min_certainty=0.95).takes(sure)
    assert Wanted(min_certainty=0.9).takes(sure)
    assert not Wanted(frozenset({Source.PERSON})).takes(sure)
    assert not Wanted(frozenset({Source.PERSON})).predictions
    assert Wanted().predictions


def test_only_checks_above_the_audits_measure_what_was_accepted() -> None:
    checks = [
        AuditResult("World", 0.95, right=True, above=0.9), AuditResult("Sports", 0.92, right=False, above=0.9),
        AuditResult("World", 0.5, right=False), AuditResult("World", 0.99, right=True),
    ]  # fmt: skip
    found = measure(checks, ["World", "Sports"], 0.95)
    assert [(found[one].checked, found[one].right) for one in (None, "World", "Sports")] == [
        (3, 2),
        (2, 2),
        (1, 0),
    ]
    assert 0 < found["World"].lower < 1
    assert measure([], ["World"], 0.95)["World"].checked == 0


def test_formulas() -> None:
    assert all(is_formula(cell) for cell in ("=1", "+1", "-1", "@a", "\ta", "\ra"))
    assert not any(is_formula(cell) for cell in ("", "a=1", " =1", "'=1", "\U0001f642"))


def test_people_are_counted_once() -> None:
    dataset = MemoryDataset(["World", "Sports"])
    dataset.log([NewRecord(one, one, 0, Route.ASK) for one in "xy"])
    for user, one in (("ann", "x"), ("ann", "y"), ("bob", "x")):
        dataset.answer(one, "World", user_id=user)
    dataset.answer("y", "World", user_id="eve", status="draft")
    assert count_people(adjudicated(dataset)) == 2
