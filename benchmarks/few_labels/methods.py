"""The methods that are compared."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import get_args

import numpy as np

from argilla_loop.domain import Encoder, Example, PoolSample
from argilla_loop.learning.heads.head import Kind
from argilla_loop.learning.learner import ClassyLearner
from few_labels.data import Task
from few_labels.fitted import Fitted
from few_labels.stock import fit_stock

MOST_SAMPLE = 4_000  # of the pool, as many as the service gives its learner


def fit_logistic(task: Task, encoder: Encoder) -> Fitted:
    """Fit a plain logistic regression, scikit-learn's defaults (C = 1), on the same embeddings."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - seconds

    model = LogisticRegression(max_iter=1000)
    model.fit(encoder.encode(list(task.examples)), list(task.examples.values()))
    return Fitted(lambda texts: (list(model.classes_), model.predict_proba(encoder.encode(texts))))


def fit_ours(task: Task, encoder: Encoder, head: str = "auto") -> Fitted:
    """Fit ``ClassyLearner`` as the service does, with a sample of the pool; ``auto`` lets it choose its head."""
    examples = [
        Example(str(number), text, label) for number, (text, label) in enumerate(task.examples.items())
    ]
    sample = task.pool[:MOST_SAMPLE]
    pool = PoolSample(encoder.encode(sample), "the cell's own") if sample else None
    model = ClassyLearner(encoder, seed=task.seed, config={"head": head}).fit(examples, pool=pool)
    return Fitted(
        lambda texts: (list(model.labels), model.predict_proba(texts).astype(np.float64)), head=model.head
    )


METHODS: dict[str, Callable[[Task, Encoder], Fitted]] = {
    "stock": fit_stock,
    "logistic": fit_logistic,
    "ours": fit_ours,
    **{head: functools.partial(fit_ours, head=head) for head in ("svm", *get_args(Kind))},
}


BASELINES = ("stock", "logistic")
