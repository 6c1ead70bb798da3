"""The stock ``ClassyClassifier`` as a learner: the classifier of the tutorial, with cached embeddings."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import GridSearchCV
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from argilla_loop.domain import Encoder, Example, FloatArray
from argilla_loop.errors import TrainingError
from argilla_loop.settings.files import text_digest

FOLDS_KEY = "max_cross_validation_folds"


class StockLearner:
    """``domain.Learner`` with the package's own class in its default configuration.

    Three things differ from a plain use of it, and none costs it accuracy. Its labels come sorted, as it mixes them up
    otherwise. Its random state is the run's seed; the default has none. Where no label has two examples, it would
    raise, as there is nothing to cross-validate: then one support vector machine replaces the grid search.

    Args:
        encoder: gives the embeddings, which the stock class would compute again in each training.
        seed: seed of Platt scaling.
    """

    def __init__(self, encoder: Encoder, *, seed: int) -> None:
        self._encoder = encoder
        self._seed = seed

    def fit(
        self, examples: Sequence[Example], *, pool: object = None, previous: str | None = None
    ) -> StockModel:
        """Train on ``examples`` of people and model alike; ``pool`` and ``previous`` are not used.

        Raises:
            TrainingError: all examples have the same label, or there are none.
        """
        del pool, previous
        data: dict[str, list[str]] = {}
        for example in sorted(examples, key=lambda one: one.id):
            data.setdefault(example.label, []).append(example.text)
        if len(data) < 2:  # noqa: PLR2004 - with one label the stock class detects outliers
            raise TrainingError(f"training needs two labels, but there is {', '.join(data) or 'none'}")
        with warnings.catch_warnings(), threadpool_limits(limits=1, user_api="blas"):
            # about rare labels, and about SVC's deprecated probabilities
            warnings.simplefilter("ignore")
            classifier = _quick_stock_class()(
                {label: data[label] for label in sorted(data)}, self._encoder, self._seed
            )
        parts = json.dumps([self._encoder.fingerprint, self._seed, sorted((e.id, e.label) for e in examples)])
        return StockModel(classifier, f"{StockModel.head}-{text_digest(parts)[:12]}")


class StockModel:
    """``domain.Model`` over a trained stock classifier."""

    head = "stock"
    evidence = ()  # it compares no heads

    def __init__(self, classifier: Any, version: str) -> None:
        self.version = version
        self.labels: tuple[str, ...] = tuple(classifier.label_list)
        self._classifier = classifier

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return the probabilities of its ``pipe``, shape (n, labels)."""
        return self.score(self._classifier.get_embeddings(list(texts)))

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return the same from embeddings of shape (n, d)."""
        if not len(vectors):
            return np.empty((0, len(self.labels)), dtype=np.float32)
        with threadpool_limits(limits=1, user_api="blas"):
            return np.asarray(self._classifier.clf.predict_proba(vectors), dtype=np.float32)

    def votes(self, texts: Sequence[str]) -> NDArray[np.str_]:
        """Return the labels that its support vector machine predicts, which ``pipe`` does not return; shape (n,)."""
        embeddings = self._classifier.get_embeddings(list(texts))
        with threadpool_limits(limits=1, user_api="blas"):
            numbers: NDArray[np.int64] = self._classifier.clf.predict(embeddings)
        return np.asarray(self.labels)[numbers]


@cache
def stock_class() -> Any:
    """Return the stock class, with embeddings of ours and a seed; ``simulate`` and ``benchmarks`` share it.

    It is called with training texts by label, a ``domain.Encoder`` and the seed, and searches its grid as the package
    does. The class is made on demand, because its parent takes seconds to import.
    """
    import_module(
        "argilla_loop.learning.classy.classifier"
    )  # importing the package changes the warning filters; this module restores them
    stock: Any = import_module("classy_classification").ClassyClassifier

    class Stock(stock):  # type: ignore[misc]  # the package ships no types
        """The stock class with given embeddings and a seed."""

        def __init__(self, data: dict[str, list[str]], encoder: Encoder, seed: int) -> None:
            self._given, self._seed = encoder, seed
            super().__init__(data)

        def set_embedding_model(self, model: str | None = None, device: str = "cpu") -> None:
            """Load no model."""
            del model, device

        def get_embeddings(self, docs: Sequence[str]) -> FloatArray:
            """Return the given encoder's embeddings, shape (n, d)."""
            return self._given.encode(list(docs))

        def set_config(self, config: dict[str, Any] | None = None) -> None:
            """Set the default configuration, with the seed."""
            super().set_config(config)
            self.config["seed"] = self._seed

    return Stock


@cache
def _quick_stock_class() -> Any:
    """Return the stock class with a quicker grid search that finds the same parameters."""
    stock: Any = stock_class()

    class QuickStock(stock):  # type: ignore[misc]  # as above
        """The stock class with a quicker grid search."""

        def set_classification_model(self, config: dict[str, Any] | None = None) -> None:
            """Do what the stock method does, in a sixth of the time.

            The grid is searched without probabilities: its score (F1 of ``predict``) does not use them, and they make
            libsvm fit every candidate six times. Only the best candidate is fitted with them. The result equals the
            stock method's to the last bit; a test compares the two.
            """
            del config
            svm = SVC(probability=True, class_weight="balanced", random_state=self._seed)
            counts = np.bincount(self.y)
            if counts.max() < 2:  # noqa: PLR2004 - as in the learner
                self.clf = svm.set_params(C=1, kernel="linear").fit(self.X, self.y)
                return
            grid = {key: value for key, value in self.config.items() if key not in (FOLDS_KEY, "seed")}
            folds = max(2, min(self.config[FOLDS_KEY], counts.min() // 5))
            search = GridSearchCV(
                SVC(class_weight="balanced", random_state=self._seed), grid, cv=folds, scoring="f1_weighted",
                refit=False,
            ).fit(self.X, self.y)  # fmt: skip
            best = search.cv_results_["params"][int(search.best_index_)]
            self.svm = svm
            self.clf = svm.set_params(**best).fit(self.X, self.y)

    return QuickStock
