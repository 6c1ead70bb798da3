"""Confident learning on small numbers, and how an answer is printed."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import CentroidLearner, sentences

from argilla_loop.argilla.v2.links import record_url
from argilla_loop.cli.suspects_list import as_csv, in_words, shortened
from argilla_loop.domain import Example, LoggedRecord, Route
from argilla_loop.errors import TrainingError
from argilla_loop.learning.held_out import held_out_probabilities
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.suspects import find_suspects
from argilla_loop.service.doubts import Doubt


def test_wrong_labels_are_found_and_only_they() -> None:
    rows = sentences(90)
    wrong = {3: "Business", 31: "World", 62: "Sports"}
    examples = [Example(i, text, wrong.get(n, label)) for n, (i, text, label) in enumerate(rows)]
    assert all(wrong[n] != rows[n][2] for n in wrong)
    found = held_out_probabilities(CentroidLearner(), examples, seed=3)
    suspects = find_suspects(found.probabilities, found.expected)
    assert {one.position for one in suspects} == set(wrong)
    assert all(found.labels[one.column] == rows[one.position][2] for one in suspects)


def test_no_model_has_seen_the_example_that_it_judges() -> None:
    learner = CentroidLearner()
    examples = [Example(*row) for row in sentences(30)]
    held_out_probabilities(learner, examples, seed=1)
    seen = [{example.id for example in fitted} for fitted in learner.fitted]
    assert len(seen) == 5
    for example in examples:
        assert sum(example.id not in one for one in seen) == 1


def test_a_label_that_only_one_fold_has_is_unknown_to_its_model() -> None:
    examples = [*(Example(*row) for row in sentences(30)), Example("odd", "an odd one", "Odd")]
    found = held_out_probabilities(CentroidLearner(), examples, seed=1)
    assert found.probabilities[-1, found.labels.index("Odd")] == 0
    assert not [
        one for one in find_suspects(found.probabilities, found.expected) if found.labels[one.column] == "Odd"
    ]


def test_too_few_examples_are_an_error() -> None:
    with pytest.raises(TrainingError):
        held_out_probabilities(CentroidLearner(), [Example("a", "a", "a")], seed=1)


@given(st.integers(0, 200), st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_suspects_are_contradicted_confidently_most_suspicious_first(
    rows: int, labels: int, seed: int
) -> None:
    chance = np.random.default_rng(seed)
    probabilities = chance.dirichlet(np.ones(labels), rows).astype(np.float32)
    own = chance.integers(0, labels, rows)
    found = find_suspects(probabilities, own)
    margins = [one.given - one.other for one in found]
    assert margins == sorted(margins)
    assert len({one.position for one in found}) == len(found)
    for one in found:
        assert one.column != own[one.position]
        assert one.given == pytest.approx(float(probabilities[one.position, own[one.position]]))
        mine = probabilities[own == one.column, one.column]
        assert len(mine) >= 2
        assert one.other >= mine.mean() - 1e-6
        assert one.other > one.given


@pytest.mark.parametrize(
    "text",
    [
        "a\x1b[31mred\x07",
        "two\nlines\r\nand\ttabs",
        "x" * 100_000,
        "\u202eright to left",
        "👩‍👩‍👧 [bold]markup[/] <b>",
        "",
    ],
)
def test_a_text_is_one_short_line_that_commands_nothing(text: str) -> None:
    line = shortened(text)
    assert line.isprintable()
    assert len(line) < 1000


def test_a_spreadsheet_gets_no_formula_and_the_whole_text() -> None:
    text = '=HYPERLINK("http://evil")\nand more'
    record = LoggedRecord("+1", text, 0, Route.ASK)
    one = Doubt(adjudicate(record, AnswerRule("s")), "a, [b]\n", "c", 0.02, 0.98, "http://x/?a=[1]")
    (row,) = csv.DictReader(io.StringIO(as_csv([one])))
    assert row["text"] == f"'{text}"
    assert row["id"] == "'+1"
    assert row["label"] == "a, [b]\n"
    assert in_words(1, one).count("\n") == 2


def test_a_link_names_words_and_certainty_and_no_character_that_a_terminal_breaks_at() -> None:
    record = LoggedRecord(
        "r", 'The "striker" <b>scored</b> 3_goals; naïve & 漢字\n' + "x" * 99, 2, Route.ASK, 0.912345
    )
    url = record_url("http://h:1/", "D", record)
    assert url.startswith(
        "http://h:1/dataset/D/annotation-mode?page=1&status=submitted&search=The_striker_b_scored_3_goals"
    )
    assert url.endswith("~all&metadata=certainty.ge0.912345.le0.912345")
    assert url.isascii()
    assert not set(url) & set(" <>\"'\n")
    cold = LoggedRecord("r", "!!!", 2, Route.ASK)
    assert record_url("http://h", "D", cold).endswith("?page=1&status=submitted&metadata=idx.ge2.le2")
