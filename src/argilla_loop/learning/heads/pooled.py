"""Linear discriminants whose means and covariance come from labels that were spread over the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from argilla_loop.domain import FloatArray, IndexArray

# Lower limits of sums and eigenvalues that something is divided by. Chosen, not measured.
TINY_MASS, TINY_MEAN = 1e-12, 1e-9


@dataclass(frozen=True, slots=True)
class Spread:
    """Statistics of labels that were spread over the pool, as a discriminant needs them.

    Attributes:
        means: of the pool texts assigned to each label, clear ones weighing more, shape (k, d).
        found: 1 for each label that has any text, else 0, shape (k,).
        within: covariance within labels, shape (d, d).
    """

    means: FloatArray
    found: FloatArray
    within: FloatArray


def spread_labels(shares: FloatArray, vectors: FloatArray, moments: FloatArray) -> Spread:
    """Assign each pool text to the label that reaches it most.

    Args:
        shares: how much of each label reached each text, shape (m, k); each label's column is scaled to the same mass,
            so that a label of many examples does not swallow the others (class mass normalisation, Zhu et al. 2003).
        vectors: embeddings of the pool texts, shape (m, d).
        moments: their second moments, shape (d, d).
    """
    shares = shares / np.maximum(shares.sum(axis=0), TINY_MASS)
    total = shares.sum(axis=1, keepdims=True)
    shares /= np.maximum(total, TINY_MASS)
    count, labels = shares.shape
    winner = shares.argmax(axis=1)
    # A text that no example reaches has no label; argmax would give it the first one.
    reached = np.asarray(total[:, 0] > 0, dtype=np.float32)
    clarity = shares[np.arange(count), winner] ** 2
    members = np.bincount(winner, reached, labels).astype(np.float32)
    plain = _group_sums(vectors, winner, reached, labels)
    centres = plain / np.maximum(members, 1)[:, None]
    within = moments - (centres * (members / count)[:, None]).T @ centres
    clear = _group_sums(vectors, winner, clarity, labels)
    mass = np.bincount(winner, clarity, labels).astype(np.float32)
    means = np.asarray(clear / np.maximum(mass, TINY_MEAN)[:, None], dtype=np.float32)
    return Spread(means, (members > 0).astype(np.float32), within)


def discriminant(means: FloatArray, spread: Spread, *, trust: float, shrinkage: float) -> FloatArray:
    """Return a linear discriminant: the examples' means drawn to the pool's, in the pool's covariance.

    Args:
        means: of the examples of each label, shape (k, d).
        spread: statistics of the pool.
        trust: weight of a pool mean against an example mean.
        shrinkage: of the covariance towards a multiple of the identity (Friedman 1989, regularised discriminants);
            near 1 it is the nearest mean.

    Returns:
        Coefficients of shape (d + 1, k), the intercepts last.
    """
    weight = (np.float32(trust) * spread.found)[:, None]
    centres = (means + weight * spread.means) / (1 + weight)
    width = len(spread.within)
    ridge = shrinkage * float(np.trace(spread.within)) / width
    covariance = (1 - shrinkage) * spread.within.astype(np.float64) + (ridge + TINY_MEAN) * np.eye(width)
    slopes = cho_solve(cho_factor(covariance, overwrite_a=True), centres.T.astype(np.float64))
    intercepts = -0.5 * np.einsum("kd,dk->k", centres, slopes)
    return np.vstack([slopes, intercepts[None]]).astype(np.float32)


def _group_sums(vectors: FloatArray, groups: IndexArray, weights: FloatArray, count: int) -> FloatArray:
    """Return weighted sums of ``vectors`` by group, shape (count, d)."""
    rows = np.arange(len(vectors))
    return np.asarray(sparse.csr_array((weights, (groups, rows)), shape=(count, len(vectors))) @ vectors)
