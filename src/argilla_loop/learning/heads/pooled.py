"""What the pool teaches: linear discriminants whose means and covariance come from labels spread over the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from argilla_loop.domain import FloatArray, IndexArray


@dataclass(frozen=True, slots=True)
class Spread:
    """Labels spread over the pool, as a discriminant needs them.

    Attributes:
        means: of the pool texts that fell to each label, the clear ones counting more, shape (k, d).
        found: labels to which any text fell, shape (k,).
        within: covariance within labels, shape (d, d).
    """

    means: FloatArray
    found: FloatArray
    within: FloatArray


def spread_labels(shares: FloatArray, vectors: FloatArray, moments: FloatArray) -> Spread:
    """Give each pool text to the label that reaches it most.

    Args:
        shares: how much of each label reached each text, shape (m, k); each label's column is scaled to the same mass,
            so that a label of many examples does not swallow the others (class mass normalisation, Zhu et al. 2003).
        vectors: embeddings of the pool texts, shape (m, d).
        moments: their second moments, shape (d, d).
    """
    shares = shares / np.maximum(shares.sum(axis=0), 1e-12)
    total = shares.sum(axis=1, keepdims=True)
    shares /= np.maximum(total, 1e-12)
    count, labels = shares.shape
    winner = shares.argmax(axis=1)
    # An island of the graph that no example reaches is nobody's, not the first label's.
    reached = np.asarray(total[:, 0] > 0, dtype=np.float32)
    clarity = shares[np.arange(count), winner] ** 2
    members = np.bincount(winner, reached, labels).astype(np.float32)
    plain = _sums(vectors, winner, reached, labels)
    centres = plain / np.maximum(members, 1)[:, None]
    within = moments - (centres * (members / count)[:, None]).T @ centres
    clear = _sums(vectors, winner, clarity, labels)
    mass = np.bincount(winner, clarity, labels).astype(np.float32)
    means = np.asarray(clear / np.maximum(mass, 1e-9)[:, None], dtype=np.float32)
    return Spread(means, (members > 0).astype(np.float32), within)


def discriminant(means: FloatArray, spread: Spread, *, trust: float, shrinkage: float) -> FloatArray:
    """A linear discriminant: the examples' means drawn to the pool's, in the pool's covariance.

    Args:
        means: of the examples of each label, shape (k, d).
        spread: what the pool says.
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
    covariance = (1 - shrinkage) * spread.within.astype(np.float64) + (ridge + 1e-9) * np.eye(width)
    slopes = cho_solve(cho_factor(covariance, overwrite_a=True), centres.T.astype(np.float64))
    intercepts = -0.5 * np.einsum("kd,dk->k", centres, slopes)
    return np.vstack([slopes, intercepts[None]]).astype(np.float32)


def _sums(vectors: FloatArray, groups: IndexArray, weights: FloatArray, count: int) -> FloatArray:
    """Weighted sums of ``vectors`` by group, shape (count, d)."""
    rows = np.arange(len(vectors))
    return np.asarray(sparse.csr_array((weights, (groups, rows)), shape=(count, len(vectors))) @ vectors)
