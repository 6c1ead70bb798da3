"""The stock class's head: a support vector machine, with probabilities that hold for few examples too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.svm import SVC

from argilla_loop.domain import FloatArray, IndexArray
from argilla_loop.learning.heads.margins import PairwiseMargins

GRID_FOLDS_KEY = "max_cross_validation_folds"
SEED_KEY = "seed"
NOT_SVC_PARAMETERS = (GRID_FOLDS_KEY, SEED_KEY, "random_state", "head", "self_training_weight")
# Most folds of the calibration, scikit-learn's number for Platt scaling.
CALIBRATION_FOLDS = 5
# Limits of the search for a scale. Chosen, not measured.
SCALE_BOUNDS = (0.1, 30.0)
# Lower limit of a probability in the log-loss. Chosen, not measured.
TINY = 1e-12

DoubleArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PairwiseSvc:
    """An SVC with probabilities from its pairwise margins and one scale fitted on held-out folds.

    ``SVC(probability=True)`` fits two parameters for each pair of labels by Platt scaling on five random folds; with
    fewer than ten examples for each label these are noise, and its ``predict_proba`` contradicts its ``predict``. Here
    the pair probabilities are ``sigmoid(scale * margin)`` with one scale for all pairs, chosen to minimise the
    log-loss of margins from stratified, seeded, held-out folds (temperature scaling, Guo et al. 2017); a
    label's probability is proportional to the product of its pair probabilities. ``predict`` is their argmax.

    Attributes:
        svc: fitted on all examples, one-vs-one margins.
        scale: the factor on margins; positive, so it never changes which label wins a pair.
    """

    svc: Any
    scale: float

    @classmethod
    def fit(cls, vectors: FloatArray, labels: IndexArray, config: Mapping[str, Any]) -> PairwiseSvc:
        """Choose among the ``config``'s candidates by cross-validation, then fit and calibrate.

        Args:
            vectors: embeddings, shape (n, d).
            labels: class numbers 0..k-1, shape (n,), each at least twice.
            config: classy-classification's own: lists of SVC parameters, ``max_cross_validation_folds``, ``seed``.
        """
        seed = config.get(SEED_KEY)
        grid = {key: value for key, value in config.items() if key not in NOT_SVC_PARAMETERS}
        best = _best_parameters(
            vectors, labels, grid, int(config.get(GRID_FOLDS_KEY, CALIBRATION_FOLDS)), seed
        )
        count = int(labels.max()) + 1
        held_out = np.empty((len(labels), count, count))
        for train, test in _folds(labels, CALIBRATION_FOLDS, seed).split(vectors, labels):
            fold = _svc(seed, best).fit(vectors[train], labels[train])
            held_out[test] = _margins(fold, vectors[test], count)
        return cls(svc=_svc(seed, best).fit(vectors, labels), scale=_fit_scale(held_out, labels))

    @property
    def classes_(self) -> IndexArray:
        """Class numbers, under the name that scikit-learn's classifiers use."""
        return np.asarray(self.svc.classes_, dtype=np.int64)

    def margins(self) -> PairwiseMargins:
        """Return the same head as arrays.

        Raises:
            ValueError: its kernel is neither linear nor RBF.
        """
        svc = self.svc
        if svc.kernel not in ("linear", "rbf"):
            raise ValueError(f"a head with the kernel {svc.kernel!r} cannot be written as arrays")
        # for two labels scikit-learn turns the signs of what libsvm gives
        sign = -1.0 if len(svc.classes_) == 2 else 1.0  # noqa: PLR2004 - see above
        return PairwiseMargins(
            support=np.asarray(svc.support_vectors_, dtype=np.float64),
            counts=np.asarray(svc.n_support_, dtype=np.int64),
            dual=sign * np.asarray(svc.dual_coef_, dtype=np.float64),
            intercepts=sign * np.asarray(svc.intercept_, dtype=np.float64),
            scale=self.scale,
            # what scikit-learn made of "scale" or "auto"; it has no public name
            gamma=float(svc._gamma) if svc.kernel == "rbf" else None,  # noqa: SLF001 - see above
        )

    def predict_proba(self, vectors: FloatArray) -> DoubleArray:
        """Return probabilities, shape (n, k), rows summing to 1."""
        return _couple(_margins(self.svc, vectors, len(self.svc.classes_)), self.scale)

    def predict(self, vectors: FloatArray) -> IndexArray:
        """Return the most probable class of each row, in agreement with ``predict_proba``."""
        return np.asarray(self.classes_[self.predict_proba(vectors).argmax(axis=1)], dtype=np.int64)


def _svc(seed: int | None, parameters: Mapping[str, Any]) -> Any:
    return SVC(class_weight="balanced", decision_function_shape="ovo", random_state=seed, **parameters)


def _folds(labels: IndexArray, max_folds: int, seed: int | None) -> Any:
    """Return as many stratified folds as the rarest label has examples: at least two, at most ``max_folds``."""
    return StratifiedKFold(
        max(2, min(max_folds, int(np.bincount(labels).min()))), shuffle=True, random_state=seed
    )


def _best_parameters(
    vectors: FloatArray, labels: IndexArray, grid: Mapping[str, Any], folds: int, seed: int | None
) -> dict[str, Any]:
    lists = {key: list(value) if isinstance(value, (list, tuple)) else [value] for key, value in grid.items()}
    if all(len(values) == 1 for values in lists.values()):
        return {key: values[0] for key, values in lists.items()}
    search = GridSearchCV(
        _svc(seed, {}), lists, cv=_folds(labels, folds, seed), scoring="f1_weighted", refit=False
    ).fit(vectors, labels)
    return dict(search.cv_results_["params"][int(np.argmin(search.cv_results_["rank_test_score"]))])


def _margins(svc: Any, vectors: FloatArray, count: int) -> DoubleArray:
    """Return margins of every class over every other, shape (n, k, k), antisymmetric."""
    pairs = np.asarray(svc.decision_function(vectors), dtype=np.float64)
    if count == 2:  # noqa: PLR2004 - for two classes scikit-learn gives the margin of the second over the first
        pairs = -pairs[:, None]
    margins = np.zeros((len(pairs), count, count))
    first, second = np.triu_indices(count, k=1)
    margins[:, first, second] = pairs
    margins[:, second, first] = -pairs
    return margins


def _couple(margins: DoubleArray, scale: float) -> DoubleArray:
    """Return class probabilities from pair margins: proportional to the product of a class's pair probabilities."""
    # The diagonal adds log(1/2) to every class alike, which normalising removes.
    scores = -np.logaddexp(0.0, -scale * margins).sum(axis=2)
    scores -= scores.max(axis=1, keepdims=True)
    weights = np.exp(scores)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _fit_scale(margins: DoubleArray, labels: IndexArray) -> float:
    rows = np.arange(len(labels))

    def log_loss(log_scale: float) -> float:
        right = _couple(margins, float(np.exp(log_scale)))[rows, labels]
        return float(-np.log(np.maximum(right, TINY)).mean())

    low, high = np.log(SCALE_BOUNDS)
    return float(np.exp(minimize_scalar(log_loss, bounds=(low, high), method="bounded").x))
