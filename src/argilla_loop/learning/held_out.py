"""Probabilities of examples by models that have not seen them: out-of-fold, for whoever doubts the examples' labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import Example, FloatArray, IndexArray, Learner, PoolSample
from argilla_loop.errors import TrainingError
from argilla_loop.learning.heads.evidence import assign_folds
from argilla_loop.observability.progress import progress

# Each fold is a training of its own; more than five find no more wrong answers (benchmarks/suspects.md).
FOLDS = 5


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Out-of-fold probabilities.

    Attributes:
        labels: the columns, sorted.
        probabilities: shape (n, k), one row an example; 0 for a label that the example's model does not know.
        expected: shape (n,), the column of each example's own label.
    """

    labels: tuple[str, ...]
    probabilities: FloatArray
    expected: IndexArray


def held_out_probabilities(
    learner: Learner,
    examples: Sequence[Example],
    *,
    seed: int,
    pool: PoolSample | None = None,
    previous: str | None = None,
    folds: int = FOLDS,
) -> HeldOut:
    """Train a model on the complement of each fold, and score the fold with it.

    Args:
        learner: trains the models.
        examples: labelled texts.
        seed: of the folds.
        pool: see ``Learner.fit``.
        previous: head of the present model, which each of these models keeps unless another is clearly better.
        folds: number of folds; fewer if there are fewer examples.

    Raises:
        TrainingError: the examples do not suffice for a model on each fold's complement.
        ModelError: the encoder's model is broken.
    """
    labels = tuple(sorted({example.label for example in examples}))
    column = {label: number for number, label in enumerate(labels)}
    expected = np.array([column[example.label] for example in examples], dtype=np.int64)
    probabilities = np.zeros((len(examples), len(labels)), dtype=np.float32)
    folds = min(folds, len(examples))
    if folds < 2:  # noqa: PLR2004  nothing can be held out
        raise TrainingError("cross-validation needs two examples or more")
    fold = assign_folds(expected, folds, seed)
    with progress("cross_validating", folds) as advance:
        for number in range(folds):
            out = np.flatnonzero(fold == number)
            rest = [example for n, example in enumerate(examples) if fold[n] != number]
            model = learner.fit(rest, pool=pool, previous=previous)
            scores = model.predict_proba([examples[n].text for n in out.tolist()])
            columns = np.array([column[label] for label in model.labels], dtype=np.int64)
            probabilities[np.ix_(out, columns)] = scores
            advance(1)
    return HeldOut(labels, probabilities, expected)
