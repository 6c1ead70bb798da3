"""Softmax regressions on embeddings, many at once: the folds of a cross-validation share one pass over the data."""

from __future__ import annotations

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import minimize

from argilla_loop.domain import FloatArray, IndexArray

# Most steps of the solver. It takes some ten in these coordinates, so this is only a limit. Chosen, not measured.
ITERATIONS = 60
# The solver stops when the loss, relative to itself, or the gradient changes by less; ``maxcor`` is the number of past
# steps that L-BFGS remembers. Chosen, not measured.
SOLVER = {"maxiter": ITERATIONS, "ftol": 1e-6, "gtol": 1e-3, "maxcor": 8}


def softmax_regressions(
    vectors: FloatArray, labels: IndexArray, weights: FloatArray, *, ridges: FloatArray, labels_count: int
) -> FloatArray:
    """Fit one multinomial logistic regression for each row of ``weights``, all on the same rows.

    Minimises the weighted log-loss plus ``ridges / 2`` times the squared coefficients, by L-BFGS in coordinates in
    which a bound on the curvature is the identity (Böhning 1992, "Multinomial logistic regression algorithm"), where it
    takes some ten steps.

    Args:
        vectors: embeddings, shape (n, d).
        labels: class numbers 0..labels_count-1, shape (n,).
        weights: of every row in every regression, shape (j, n); 0 leaves a row out.
        ridges: strength of the penalty, shape (j,); one over scikit-learn's C.
        labels_count: k, the number of classes.

    Returns:
        Coefficients of shape (j, d + 1, k), the intercepts last.
    """
    count, rows = weights.shape
    inputs = np.hstack([vectors, np.ones((rows, 1), dtype=np.float32)])
    width = inputs.shape[1]
    curvature = (inputs * (0.5 * weights.max(axis=0))[:, None]).T @ inputs
    curvature += ridges.min() * np.eye(width, dtype=np.float32)
    lower = cholesky(curvature.astype(np.float64), lower=True)
    back = solve_triangular(lower, np.eye(width), lower=True).astype(np.float32)
    inputs = inputs @ back.T
    penalty = back @ back.T
    strength = np.repeat(ridges, labels_count).astype(np.float32)
    share = np.ascontiguousarray(weights.T, dtype=np.float32)
    right = np.arange(rows)

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        coefficients = flat.reshape(width, count * labels_count).astype(np.float32)
        scores = (inputs @ coefficients).reshape(rows, count, labels_count)
        scores -= scores.max(axis=2, keepdims=True)
        own = scores[right, :, labels]
        np.exp(scores, out=scores)
        total = scores.sum(axis=2)
        log_loss = (share * (np.log(total) - own)).sum(dtype=np.float64)
        scores /= total[:, :, None]
        scores[right, :, labels] -= 1.0
        scores *= share[:, :, None]
        shrink = (penalty @ coefficients) * strength
        slope = inputs.T @ scores.reshape(rows, count * labels_count) + shrink
        value = log_loss + 0.5 * (coefficients * shrink).sum(dtype=np.float64)
        return float(value), slope.ravel().astype(np.float64)

    found = minimize(
        loss,
        np.zeros(width * count * labels_count),
        jac=True,
        method="L-BFGS-B",
        options=SOLVER,
    )
    coefficients = back.T @ found.x.reshape(width, count * labels_count).astype(np.float32)
    return np.ascontiguousarray(
        coefficients.reshape(width, count, labels_count).transpose(1, 0, 2), dtype=np.float32
    )
