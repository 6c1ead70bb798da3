"""People's answers that a model which has not seen them contradicts: what ``argilla-loop suspects`` prints."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import Example, Origin
from argilla_loop.errors import FatalError, TrainingError
from argilla_loop.learning.held_out import held_out_probabilities
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.suspects import Suspect, find_suspects
from argilla_loop.service.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Doubt:
    """One doubtful answer.

    Attributes:
        one: the record.
        label: what people answered.
        suggested: what the models say instead.
        given: probability of ``label``, by models that have not seen the record.
        other: probability of ``suggested``, by the same models.
        url: opens the record in Argilla, for whoever answered it.
    """

    one: AdjudicatedRecord
    label: str
    suggested: str
    given: float
    other: float
    url: str


def doubts(now: Snapshot) -> tuple[list[Doubt], int]:
    """Return the doubtful answers, most suspicious first, and the number of answers that were compared.

    The examples that came with the pool are learnt from, but only answers in Argilla are compared. Held-back records
    are never learnt from, so a model of all examples judges them.

    Raises:
        FatalError: there are too few answers to train models.
        RetryableError: Argilla is away.
    """
    seen = now.plan.seen
    examples = [example for example in seen.examples if example.origin is Origin.HUMAN]
    answered = {one.record.id: one for one in now.records if one.answers and one.label is not None}
    held_back = [
        one
        for one in answered.values()
        if one.record.held_back and one.is_answered and one.record.text.strip()
    ]
    sample = now.selection.sample(now.pool)
    try:
        found = held_out_probabilities(
            now.learner, examples, seed=now.settings.seed, pool=sample, previous=seen.head
        )
        model = now.learner.fit(examples, pool=sample, previous=seen.head) if held_back else None
    except TrainingError as error:
        raise FatalError(f"no answer can be judged: {error}") from None
    labels, probabilities, expected = list(found.labels), found.probabilities, found.expected
    if model is not None:
        labels += sorted({one.label for one in held_back if one.label is not None} - set(labels))
        more = np.zeros((len(held_back), len(labels)), dtype=np.float32)
        columns = [labels.index(label) for label in model.labels]
        more[:, columns] = model.predict_proba([one.record.text for one in held_back])
        widened = np.zeros((len(probabilities), len(labels)), dtype=np.float32)
        widened[:, : probabilities.shape[1]] = probabilities
        probabilities = np.vstack([widened, more])
        expected = np.append(expected, [labels.index(str(one.label)) for one in held_back])
        examples = [
            *examples,
            *(Example(one.record.id, one.record.text, str(one.label)) for one in held_back),
        ]
    ours = [n for n, example in enumerate(examples) if _is_record(example, answered)]
    return [
        _doubt(now, answered[examples[suspect.position].id], suspect, labels)
        for suspect in find_suspects(probabilities, expected)
        if _is_record(examples[suspect.position], answered)
    ], len(ours)


def _is_record(example: Example, answered: dict[str, AdjudicatedRecord]) -> bool:
    """Return whether ``example`` is an answer in Argilla, and not one of the pool with the same id."""
    one = answered.get(example.id)
    return one is not None and one.record.text == example.text


def _doubt(now: Snapshot, one: AdjudicatedRecord, suspect: Suspect, labels: list[str]) -> Doubt:
    return Doubt(
        one,
        str(one.label),
        labels[suspect.column],
        suspect.given,
        suspect.other,
        now.backend.record_url(now.info.id, one.record),
    )
