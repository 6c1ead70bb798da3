"""What must hold whatever has happened: one function, called after every fault."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import pytest

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy import verification
from argilla_loop.policy.answers import AnswerRule, adjudicate, human_answers
from argilla_loop.policy.text_keys import own_id

Human = tuple[str, str | None]  # status, and label where there is one
Predict = Callable[[str, str], tuple[str, float]]  # of a model version, on a text: label and certainty


def check_invariants(
    records: Mapping[str, Mapping[str, Any]],
    *,
    texts: Mapping[str, str],
    answers: Mapping[str, Human],
    person: str,
    daemon: str | Collection[str],
    foreign: Mapping[str, str] | None = None,
    predict: Predict | None = None,
    seen_by: Mapping[str, Iterable[LoggedRecord]] | None = None,
    largest_batch: int,
    complete: bool = False,
    earlier: Sequence[Mapping[str, str]] = (),
) -> None:
    """No record twice, none missing; no person's answer, no foreign metadata changed; what was accepted reproducible.

    And whoever runs the service: what people said is all that counts as people's, and nothing the model said does.
    After a swap of the pool, too: each text is there once, under an id that it has, or had, in a pool, or its own.

    Args:
        records: as ``daemon.held`` gives them, which fails where a record is there twice.
        texts: of the pool's unlabelled rows, by id.
        answers: that ``person`` has given and not withdrawn, by id.
        person: username.
        daemon: username of the service, or of each that has run it.
        foreign: metadata ``theirs`` that somebody else has set, by id.
        predict: what a model version says; None where the test does not know the models.
        seen_by: the records as each user that has run the service sees them, by the user's id.
        largest_batch: records that a batch may have.
        complete: whether every text must be there by now.
        earlier: what ``texts`` was before the pool changed, each time.
    """
    daemons = {daemon} if isinstance(daemon, str) else set(daemon)
    there = {record_id: record["fields"]["text"] for record_id, record in records.items()}
    for record_id, text in there.items():
        assert any(_is_of(pool, record_id, text) for pool in (texts, *earlier)), (
            f"{record_id} has a foreign text"
        )
    assert not complete or set(there.values()) >= set(texts.values()), "texts are missing"
    if not earlier:
        assert all(texts.get(record_id) == text for record_id, text in there.items())
    given: dict[str, Human] = {}
    for record_id, record in records.items():
        assert set(record["fields"]) == {"text"}
        assert record["metadata"].get("theirs") == (foreign or {}).get(record_id)
        users = Counter(user for user, _, _ in record["responses"])
        assert set(users) <= {person, *daemons}
        assert max(users.values(), default=0) <= 1
        for user, status, values in record["responses"]:
            if user == person:
                given[record_id] = (status, label_of(values))
            else:
                assert record["metadata"]["service_user"] == user
                _check_accepted(record, status, label_of(values), there[record_id], predict)
        if record["metadata"]["route"] == "accept":
            assert users[record["metadata"]["service_user"]] == 1
    assert given == dict(answers)
    for user_id, seen in (seen_by or {}).items():
        assert people_said(seen, user_id) == dict(answers)
    observed = [logged(record_id, record) for record_id, record in records.items()]
    assert list(verification.repeated_texts(observed)) == []
    assert [
        one for one in verification.batches(observed, largest=largest_batch) if "is missing" not in one
    ] == []
    assert list(verification.audits(observed)) == []
    # whoever reads the answers, each record names the user whose service accepted it
    assert list(verification.accepted([adjudicate(one, AnswerRule("nobody")) for one in observed])) == []


def logged(record_id: str, record: Mapping[str, Any]) -> LoggedRecord:
    """The record as the service observes it, from what ``daemon.held`` gives; users are names."""
    metadata = record["metadata"]
    return LoggedRecord(
        id=record_id,
        text=record["fields"]["text"],
        batch=metadata.get("idx"),
        route=Route(metadata["route"]) if "route" in metadata else None,
        certainty=metadata.get("certainty"),
        model=metadata.get("model"),
        suggestion=record["suggestions"][0][0] if record["suggestions"] else None,
        prediction=metadata.get("prediction"),
        threshold=metadata.get("threshold"),
        held_back=metadata.get("held_back") == "yes",
        answers=tuple(
            Answer(user, status, label_of(values), "") for user, status, values in record["responses"]
        ),
        service_user=metadata.get("service_user"),
        text_key=metadata.get("text_key"),
    )


def people_said(records: Iterable[LoggedRecord], service_user_id: str) -> dict[str, Human]:
    """What counts as a person's answer, by record, for that service; fails where two do on one."""
    said: dict[str, Human] = {}
    for record in records:
        for answer in human_answers(record, service_user_id):
            assert record.id not in said, "two answers count as people's where one person answered"
            said[record.id] = (answer.status, answer.label)
    return said


def _is_of(pool: Mapping[str, str], record_id: str, text: str) -> bool:
    """Whether ``text`` may have that id: the pool's, or one of its own where the pool's was taken by another text."""
    return pool.get(record_id) == text or any(
        text == one and record_id == own_id(pool_id, text) for pool_id, one in pool.items()
    )


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
    if predict is not None:  # reproducible from its model's version
        predicted, certainty = predict(metadata["model"], text)
        assert predicted == label
        assert metadata["certainty"] == pytest.approx(certainty, abs=1e-5)
