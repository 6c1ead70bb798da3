"""Scoring texts with a model, as a turn does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argilla_loop.domain import Model
from argilla_loop.policy.task import Predictions, Task

DECIMALS = 6  # of a certainty in Argilla


def score_texts(model: Model, texts: Sequence[str], task: Task, *, exact: bool = False) -> Predictions:
    """Predict the labels of ``texts`` from the texts themselves, with certainties as they are logged.

    Args:
        model: the current one.
        texts: n of them.
        task: the kind of question.
        exact: whether to leave the certainties unrounded.
    """
    found = task.predict(model.predict_proba(texts), model.labels)
    return found if exact else as_logged(found)


def as_logged(found: Predictions) -> Predictions:
    """Return predictions with the certainties as a record holds them: rounded, and never above 1."""
    return found._replace(certainties=np.minimum(found.certainties.round(DECIMALS), 1.0))
