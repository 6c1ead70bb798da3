"""One run: the annotator, the rows, the tutorial's loop and its stock classifier."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from worlds import CentroidLearner, sentences

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import Encoder, Example, NewRecord, Route
from argilla_loop.errors import TrainingError
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.policy.rules import Rules
from argilla_loop.simulate.annotator import Annotator
from argilla_loop.simulate.data import Labelled, LabelledSet
from argilla_loop.simulate.replay import Row, Run, first_of_each, in_order, replay, tutorial_rules
from argilla_loop.simulate.stock import StockLearner, stock_class

ALL = [Labelled(*row) for row in sentences(108)]
DATA = LabelledSet("reports", ALL[:80], ALL[80:])
RULES = Rules(slice_size=5, min_examples_per_label=3, certainty_threshold=None, evaluation_share=0.0, seed=1)
RUN = Run("sequential", 1, RULES, budget=30, measure_every=5)


def centroids(_: Run, encoder: Encoder) -> CentroidLearner:
    return CentroidLearner(encoder)


def rows_of(run: Run, data: LabelledSet = DATA) -> list[Row]:
    return list(replay(run, data, HashingEncoder(), make_learner=centroids))


def test_a_run_spends_its_budget_and_no_more() -> None:
    rows = rows_of(RUN)
    spent = [row["human_labels"] for row in rows]
    assert spent[0] == 0
    assert spent == sorted(spent, key=int)  # type: ignore[arg-type]  # a column of integers
    assert spent[-1] == 30
    assert rows[-1]["human_examples"] == 30


def test_what_is_learnt_shows_on_the_held_back_texts() -> None:
    rows = rows_of(RUN)
    assert rows[0]["measured"] == "chance"
    assert rows[0]["accuracy"] == pytest.approx(1 / 3)
    assert float(rows[-1]["accuracy"] or 0) > 0.9
    assert float(rows[-1]["macro_f1"] or 0) > 0.9
    assert "turn" in {row["measured"] for row in rows}


def test_there_is_a_figure_at_every_look_of_a_long_cold_start() -> None:
    """The first batch is longer than the budget: it is looked at every five labels all the same."""
    rows = rows_of(replace(RUN, rules=replace(RULES, min_examples_per_label=20)))
    assert [row["human_labels"] for row in rows] == [0, 5, 10, 15, 20, 25, 30]
    assert {row["step"] for row in rows[1:]} == {"Wait"}
    assert rows[-1]["measured"] == "fit"
    assert float(rows[-1]["accuracy"] or 0) > 0.8


def test_one_label_so_far_is_measured_as_the_majority() -> None:
    only = [row for row in DATA.pool if row.label == "World"]
    other = [row for row in DATA.pool if row.label == "Sports"][:1]
    rows = rows_of(replace(RUN, budget=10, measure_every=1), replace(DATA, pool=[*only, *other]))
    assert rows[1]["measured"] == "majority"
    held_back = Counter(row.label for row in DATA.held_back)
    assert rows[1]["accuracy"] in {held_back[label] / len(DATA.held_back) for label in ("World", "Sports")}


def test_the_same_run_twice_gives_the_same_figures_and_another_seed_gives_others() -> None:
    def figures(run: Run) -> list[tuple[object, ...]]:
        return [(r["human_labels"], r["accuracy"], r["model"], r["model_labels"]) for r in rows_of(run)]

    assert figures(RUN) == figures(RUN)
    assert figures(RUN) != figures(replace(RUN, seed=2))


def test_what_the_service_accepts_is_counted_and_judged() -> None:
    run = replace(RUN, rules=replace(RULES, certainty_threshold=0.55))
    last = rows_of(run)[-1]
    accepted, scored = int(last["model_labels"] or 0), int(last["scored"] or 0)
    assert accepted > 0
    assert last["accepted_coverage"] == accepted / scored
    assert last["accepted_precision"] == int(last["accepted_right"] or 0) / accepted
    assert 0.0 < float(last["certain_coverage"] or 0) <= 1.0
    assert float(last["certain_precision"] or 0) > 0.9


def test_an_exhausted_pool_ends_a_run() -> None:
    rows = rows_of(replace(RUN, budget=1000))
    assert rows[-1]["step"] == "Finished"
    assert rows[-1]["human_labels"] == len(DATA.pool)


def test_a_wrong_answer_hangs_on_seed_and_text_alone() -> None:
    """Whenever a record comes up it gets the same answer, about as many are wrong as was asked for, none at zero."""
    gold = {f"r{n}": "abc"[n % 3] for n in range(2000)}
    dataset = MemoryDataset("abc")
    noisy = Annotator(dataset, gold, "abc", noise=0.1, seed=3)
    said = {record_id: noisy.label(record_id) for record_id in gold}
    again = Annotator(dataset, gold, "abc", noise=0.1, seed=3)
    assert said == {record_id: again.label(record_id) for record_id in reversed(gold)}
    wrong = {record_id for record_id in gold if said[record_id] != gold[record_id]}
    assert 150 < len(wrong) < 250
    assert {said[record_id] for record_id in wrong} == set("abc")
    other = Annotator(dataset, gold, "abc", noise=0.1, seed=4)
    assert wrong != {record_id for record_id in gold if other.label(record_id) != gold[record_id]}
    right = Annotator(dataset, gold, "abc", noise=0.0, seed=3)
    assert all(right.label(record_id) == label for record_id, label in gold.items())


def test_the_annotator_answers_what_waits_for_a_human_only() -> None:
    dataset = MemoryDataset(["a", "b"])
    dataset.log(
        [
            NewRecord("1", "one", 0, Route.ASK),
            NewRecord("2", "two", 0, Route.ACCEPT, label="a", certainty=0.95),
            NewRecord("3", "three", 0, Route.ASK),
        ]
    )
    annotator = Annotator(dataset, dict.fromkeys("123", "b"), ["a", "b"], noise=0.0, seed=0)
    assert annotator.answer(1) == 1
    assert annotator.answer(5) == 1
    assert annotator.answer(5) == 0
    assert annotator.given == 2
    people = {r.id: [a.user_id for a in r.answers] for r in dataset.scan()}
    assert people == {"1": ["annotator"], "2": ["daemon"], "3": ["annotator"]}


def test_the_tutorial_learns_from_its_own_validations() -> None:
    run = Run("tutorial", 0, tutorial_rules(0, threshold=0.55), budget=30, measure_every=10)
    rows = list(replay(run, DATA, HashingEncoder()))
    assert [row["human_labels"] for row in rows[:2]] == [0, 10]
    assert {row["head"] for row in rows[1:]} == {"stock"}
    assert int(rows[-1]["model_labels"] or 0) > 0
    assert 0.0 <= float(rows[-1]["accuracy_votes"] or 0) <= 1.0


def test_the_tutorial_starts_in_pool_order_or_with_five_of_each_label_by_hand() -> None:
    rows = [Labelled(str(n), f"text {n}", label) for n, label in enumerate("aaaaaaabbbbbbcccccccc")]
    assert [row.id for row in in_order(rows, 3)] == [str(n) for n in range(18)]
    assert in_order(rows[:4], 3) == rows[:4]
    assert [row.label for row in first_of_each(rows)] == list("abc" * 5)
    assert first_of_each(rows)[:3] == [rows[0], rows[7], rows[13]]


@pytest.mark.parametrize("name", ["tutorial", "tutorial-by-hand"])
def test_the_start_is_answered_before_anything_is_trained(name: str) -> None:
    run = Run(name, 0, tutorial_rules(0), budget=24, measure_every=3)
    rows = list(replay(run, DATA, HashingEncoder(), make_learner=centroids))
    start = [int(row["human_labels"] or 0) for row in rows if row["step"] == "Wait"]
    assert max(start) >= 12
    assert rows[-1]["human_labels"] == 24


def examples_of(texts: Sequence[Labelled]) -> list[Example]:
    return [Example(*row) for row in texts]


@pytest.mark.parametrize("count", [7, 30, 75])
def test_the_stock_learner_gives_what_the_stock_class_gives(count: int) -> None:
    """Searching the grid without probabilities changes nothing: same parameters, same probabilities to the last bit."""
    examples = examples_of(ALL[:count])
    encoder = HashingEncoder()
    model = StockLearner(encoder, seed=5).fit(examples)

    literal = type("Literal", (stock_class(),), {"verbose": False})
    data: dict[str, list[str]] = {}
    for one in examples:
        data.setdefault(one.label, []).append(one.text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = literal({label: data[label] for label in sorted(data)}, encoder, 5)
    texts = [row.text for row in DATA.held_back]
    said = reference.pipe(texts)
    assert model.labels == tuple(said[0])
    expected = np.asarray([list(one.values()) for one in said], dtype=np.float32)
    assert np.array_equal(model.predict_proba(texts), expected)


def test_the_stock_learner_does_with_one_example_a_label_and_refuses_one_label() -> None:
    encoder = HashingEncoder()
    model = StockLearner(encoder, seed=0).fit(examples_of(ALL[:3]))
    assert model.predict_proba([ALL[9].text]).sum() == pytest.approx(1.0)
    assert model.predict_proba([]).shape == (0, 3)
    with pytest.raises(TrainingError, match="needs two labels"):
        StockLearner(encoder, seed=0).fit(examples_of([ALL[0], ALL[3]]))


def test_a_stock_model_has_a_version_of_its_examples() -> None:
    learner = StockLearner(HashingEncoder(), seed=0)
    one, same, other = (learner.fit(examples_of(part)) for part in (ALL[:12], ALL[11::-1], ALL[1:12]))
    assert one.version == same.version != other.version
    assert one.version.startswith("stock-")
