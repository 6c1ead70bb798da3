"""What is specific to the question that people answer: its labels, answers, predictions, and when two agree.

Everything else (the loop, the plan, the promise) handles labels as opaque values. To support another kind of question,
write another ``Task``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import Answer, FloatArray, IndexArray

# How the answers of several people make one label: the majority's, none if they tie; or the label of the latest answer.
LabelRule = Literal["majority", "latest"]


class Outcome(NamedTuple):
    """What the answers of people to one record come to."""

    label: str | None  # None: no answer, a tie, or a discard
    is_discarded: bool = False


class Predictions(NamedTuple):
    """What a model predicts for n texts."""

    labels: list[str]  # n predicted values, in the form that a record's label has
    columns: IndexArray  # shape (n,): the label whose acceptance threshold applies to each text
    certainties: NDArray[np.float64]  # shape (n,): probability that the prediction is right, 0 to 1


class Task(Protocol):
    """One kind of question."""

    def outcome(self, answers: Sequence[Answer], rule: LabelRule) -> Outcome:
        """Combine the final (submitted or discarded) ``answers`` of people to one record."""

    def agree(self, one: str | None, other: str | None) -> bool:
        """Return whether two labels count as the same; ``None`` stands for a discard or an undecided record."""

    def names(self, label: str) -> tuple[str, ...]:
        """Return the labels of the question that ``label`` stands for, each of which it is an example of."""

    def predict(self, probabilities: FloatArray, labels: Sequence[str]) -> Predictions:
        """Turn probabilities of shape (n, k) into predictions; ``labels`` name the k columns."""


@dataclass(frozen=True, slots=True)
class SingleLabel:
    """Exactly one of the labels applies to each text."""

    def outcome(self, answers: Sequence[Answer], rule: LabelRule) -> Outcome:
        """Count the answers as votes; a discard is a vote too."""
        votes = [a for a in answers if a.status == "discarded" or a.label is not None]
        if not votes:
            return Outcome(None)
        if len(votes) == 1:  # by far the most frequent case
            return _as_outcome(_vote(votes[0]))
        if rule == "latest":
            return _as_outcome(_vote(max(votes, key=lambda answer: (answer.updated_at, answer.user_id))))
        (first, most), *others = Counter(_vote(answer) for answer in votes).most_common(2)
        if others and others[0][1] == most:
            return Outcome(None)
        return _as_outcome(first)

    def agree(self, one: str | None, other: str | None) -> bool:
        """Return whether both are the same label."""
        return one == other

    def names(self, label: str) -> tuple[str, ...]:
        """Return the label itself."""
        return (label,)

    def predict(self, probabilities: FloatArray, labels: Sequence[str]) -> Predictions:
        """Predict the most probable label, the leftmost column if several are equally probable."""
        columns = probabilities.argmax(axis=1).astype(np.int64)
        certainties = probabilities[np.arange(len(probabilities)), columns].astype(np.float64)
        return Predictions([labels[column] for column in columns], columns, certainties)


SINGLE_LABEL = SingleLabel()


def _vote(answer: Answer) -> str | None:
    return answer.label if answer.status == "submitted" else None


def _as_outcome(vote: str | None) -> Outcome:
    return Outcome(vote, is_discarded=vote is None)
