"""Cross-validation of tuning: each fold's encoder is trained on the others, and a head on it judges the fold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import Encoder, Example, FloatArray, IndexArray, Learner, PoolSample
from argilla_loop.errors import TrainingError
from argilla_loop.learning.heads.evidence import assign_folds
from argilla_loop.learning.tuning.contrast import Recipe, train
from argilla_loop.learning.tuning.trunk import TopEncoder, Trunk
from argilla_loop.learning.tuning.verdict import Verdict, compare, is_hopeless

# Makes the learner whose models stand on an encoder.
MakeLearner = Callable[[Encoder], Learner]


@dataclass(frozen=True, slots=True)
class Labelled:
    """The examples of a trial.

    Attributes:
        examples: n of them.
        names: the labels, sorted.
        labels: class number of each example, shape (n,).
        pool: texts of the pool.
    """

    examples: Sequence[Example]
    names: tuple[str, ...]
    labels: IndexArray
    pool: Sequence[str]

    def texts(self, rows: IndexArray) -> list[str]:
        """Return the texts of ``rows``."""
        return [self.examples[row].text for row in rows.tolist()]


def judge(
    trunk: Trunk, data: Labelled, make_learner: MakeLearner, recipe: Recipe, *, folds: int, seed: int
) -> tuple[Verdict, int]:
    """Return the verdict on tuning with ``recipe``, and the number of folds that were trained.

    After half of the folds the others are left out if there is no gain so far.

    Raises:
        TrainingError: there are too few examples for heads.
    """
    fold = assign_folds(data.labels, folds, seed)
    frozen = np.zeros((len(data.labels), len(data.names)), dtype=np.float32)
    tuned = np.zeros_like(frozen)
    done = 0
    seen = np.zeros(len(fold), dtype=np.bool_)
    for number in range(folds):
        out, rest = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if not len(out):
            continue
        weights = train(trunk, data.texts(rest), data.labels[rest], recipe, seed)
        for name, top, into in (
            ("frozen", trunk.bert.top(trunk.top), frozen),
            ("tuned", weights, tuned),
        ):
            encoder = TopEncoder(trunk, top, f"{name} {number}")
            into[out] = _held_out(encoder, data, make_learner(encoder), rest, out)
        seen[out], done = True, done + 1
        hopeless = is_hopeless(frozen[seen], tuned[seen], data.labels[seen])
        if hopeless and done >= folds / 2:
            break
    if not done:
        raise TrainingError("nothing could be held out")
    return compare(frozen[seen], tuned[seen], data.labels[seen]), done


def _held_out(
    encoder: Encoder, data: Labelled, learner: Learner, rest: IndexArray, out: IndexArray
) -> FloatArray:
    """Return probabilities of the examples ``out`` by a model of the examples ``rest``."""
    pool = PoolSample(encoder.encode(data.pool), encoder.fingerprint) if data.pool else None
    model = learner.fit([data.examples[row] for row in rest.tolist()], pool=pool)
    found = np.zeros((len(out), len(data.names)), dtype=np.float32)
    found[:, [data.names.index(label) for label in model.labels]] = model.predict_proba(data.texts(out))
    return found
