"""What must hold whatever has happened: one function, called after every fault."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

Human = tuple[str, str | None]  # status, and label where there is one
Predict = Callable[[str, str], tuple[str, float]]  # of a model version, on a text: label and certainty


def check_invariants(
    records: Mapping[str, Mapping[str, Any]],
    *,
    texts: Mapping[str, str],
    answers: Mapping[str, Human],
    person: str,
    daemon: str,
    foreign: Mapping[str, str] | None = None,
    predict: Predict | None = None,
    largest_batch: int,
    complete: bool = False,
) -> None:
    """No record twice, none missing; no person's answer, no foreign metadata changed; what was accepted reproducible.

    Args:
        records: as ``daemon.held`` gives them, which fails where a record is there twice.
        texts: of the pool's unlabelled rows, by id.
        answers: that ``person`` has given and not withdrawn, by id.
        person: username.
        daemon: username of the service.
        foreign: metadata ``theirs`` that somebody else has set, by id.
        predict: what a model version says; None where the test does not know the models.
        largest_batch: records that a batch may have.
        complete: whether every text must be there by now.
    """
    assert set(records) <= set(texts)
    assert not complete or set(records) == set(texts), "texts are missing"
    given: dict[str, Human] = {}
    for record_id, record in records.items():
        assert record["fields"] == {"text": texts[record_id]}
        assert record["metadata"].get("theirs") == (foreign or {}).get(record_id)
        users = Counter(user for user, _, _ in record["responses"])
        assert set(users) <= {person, daemon}
        assert max(users.values(), default=0) <= 1
        for user, status, values in record["responses"]:
            if user == person:
                given[record_id] = (status, label_of(values))
            else:
                _check_accepted(record, status, label_of(values), texts[record_id], predict)
        if record["metadata"]["route"] == "accept":
            assert users[daemon] == 1
    assert given == dict(answers)
    sizes = Counter(record["metadata"]["idx"] for record in records.values())
    assert max(sizes.values(), default=0) <= largest_batch


def label_of(values: str) -> str | None:
    """The label in a response's values, as ``daemon.held`` writes them."""
    found: dict[str, dict[str, str]] | None = ast.literal_eval(values)
    return found["label"]["value"] if found else None


def _check_accepted(
    record: Mapping[str, Any], status: str, label: str | None, text: str, predict: Predict | None
) -> None:
    metadata = record["metadata"]
    assert (status, metadata["route"], metadata["validated_by"]) == ("submitted", "accept", "model")
    assert label == metadata["prediction"]
    assert metadata["certainty"] > metadata["threshold"]
    assert metadata["model"]
    if predict is not None:  # reproducible from its model's version
        predicted, certainty = predict(metadata["model"], text)
        assert predicted == label
        assert metadata["certainty"] == pytest.approx(certainty, abs=1e-5)
