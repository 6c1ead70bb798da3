"""The stock ``ClassyClassifier`` as a method."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.simulate.stock import stock_class
from few_labels.data import Task, Texts, by_label
from few_labels.fitted import Fitted


class QuickSearch:
    """Finds the parameters that the stock class's ``GridSearchCV`` finds, which takes hours with many labels.

    ``GridSearchCV`` scores each candidate by ``SVC.predict``, which does not use probabilities, but fits them each
    time, and it computes each kernel again for each ``C``. This class fits no probabilities and computes each kernel
    once. Folds, scores and ties are the same, and the best candidate is fitted in the same way. It has the interface
    that the stock class uses.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        param_grid: Any,
        cv: int,
        scoring: Literal["f1_weighted"],
        verbose: bool,
    ) -> None:
        assert scoring == "f1_weighted"
        self.estimator, self.param_grid, self.cv, self.verbose = estimator, param_grid, cv, verbose

    def fit(self, vectors: FloatArray, numbers: NDArray[np.int64]) -> QuickSearch:
        """Search the grid and fit the best candidate."""
        from sklearn.base import clone  # noqa: PLC0415 - seconds, the report does without
        from sklearn.metrics import f1_score  # noqa: PLC0415 - as above
        from sklearn.metrics.pairwise import pairwise_kernels  # noqa: PLC0415 - as above
        from sklearn.model_selection import ParameterGrid, StratifiedKFold  # noqa: PLC0415 - as above

        candidates = list(ParameterGrid(self.param_grid))
        kernels = list(dict.fromkeys(candidate["kernel"] for candidate in candidates))
        scores = np.zeros((len(candidates), self.cv))
        exact = vectors.astype(np.float64)  # as SVC computes
        for fold, (learnt, held_back) in enumerate(StratifiedKFold(self.cv).split(vectors, numbers)):
            gamma = 1 / (exact.shape[1] * exact[learnt].var())  # SVC's "scale"
            for kernel in kernels:
                options = {"metric": kernel, "filter_params": True, "gamma": gamma, "degree": 3, "coef0": 0.0}
                among = pairwise_kernels(exact[learnt], **options)
                between = pairwise_kernels(exact[held_back], exact[learnt], **options)
                for number, candidate in enumerate(candidates):
                    if candidate["kernel"] == kernel:
                        svc = clone(self.estimator).set_params(
                            **{**candidate, "kernel": "precomputed", "probability": False}
                        )
                        found = svc.fit(among, numbers[learnt]).predict(between)
                        scores[number, fold] = f1_score(
                            numbers[held_back], found, average="weighted", zero_division=0.0
                        )
        self.best_params_ = candidates[int(scores.mean(axis=1).argmax())]
        self.best_estimator_ = clone(self.estimator).set_params(**self.best_params_).fit(vectors, numbers)
        return self

    def predict(self, vectors: FloatArray) -> Any:
        """Return the best candidate's labels."""
        return self.best_estimator_.predict(vectors)

    def predict_proba(self, vectors: FloatArray) -> Any:
        """Return the best candidate's probabilities."""
        return self.best_estimator_.predict_proba(vectors)


def fit_stock(task: Task, encoder: Encoder, *, whole_search: bool = False) -> Fitted:
    """Fit the real ``ClassyClassifier`` in its default configuration; only its embeddings come from elsewhere.

    Its ``seed`` is the task's, where the default is another draw each time. It searches with ``QuickSearch``, or with
    its own ``GridSearchCV`` where ``whole_search`` is set; the model is the same.
    """
    from classy_classification.classifiers import classy_skeleton  # noqa: PLC0415 - slow to import

    search = classy_skeleton.GridSearchCV
    classy_skeleton.GridSearchCV = search if whole_search else QuickSearch
    try:
        stock = stock_class()(by_label(task.examples), encoder, task.seed)
    finally:
        classy_skeleton.GridSearchCV = search

    def score(texts: Texts) -> tuple[Texts, NDArray[np.float64]]:
        answers = stock.pipe(texts)
        return list(answers[0]), np.array([list(answer.values()) for answer in answers])

    def vote(texts: Texts) -> Texts:
        return [stock.label_list[number] for number in stock.clf.predict(encoder.encode(texts))]

    return Fitted(score, vote)
