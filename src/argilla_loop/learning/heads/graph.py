"""The pool as a neighbour graph, over which labels spread to texts that nobody labelled."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from argilla_loop.domain import FloatArray, IndexArray

NEIGHBOURS = 10
# How much of its spread label a text hands on, against what it was given; 0.8 to 0.95 give the same accuracy.
SPREAD = 0.9
STEPS = 20
# Near neighbours count for more: similarities are raised to this power.
SHARPNESS = 3
BLOCK = 1024


class PoolGraph:
    """A symmetric k-nearest-neighbour graph over pool texts (label spreading, Zhou et al. 2004).

    Unlike scikit-learn's ``LabelSpreading`` it is sparse, built once for all trainings on a pool, and takes labelled
    texts that are no nodes: they hand their label to their nearest nodes.

    Args:
        vectors: embeddings of the nodes, shape (m, d), rows of unit length.
    """

    def __init__(self, vectors: FloatArray) -> None:
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        count = len(self.vectors)
        self._neighbours = min(NEIGHBOURS, count - 1)
        columns, values = _nearest(self.vectors, self.vectors, self._neighbours, themselves=False)
        edges = _matrix(columns, values, count)
        edges = edges.maximum(edges.T)
        degree = np.asarray(edges.sum(axis=1)).ravel()
        scale = sparse.diags_array((1.0 / np.sqrt(np.maximum(degree, 1e-9))).astype(np.float32))
        self._edges = sparse.csr_array(scale @ edges @ scale)
        # Second moments of the pool: what a within-label covariance is taken from.
        self.moments: FloatArray = self.vectors.T @ self.vectors / np.float32(count)

    def __len__(self) -> int:
        return len(self.vectors)

    def anchored(self, vectors: FloatArray) -> sparse.csr_array:
        """The nodes that each of ``vectors`` (n, d) stands for: weights of shape (m, n), columns summing to 1."""
        columns, values = _nearest(vectors, self.vectors, self._neighbours, themselves=True)
        values /= np.maximum(values.sum(axis=1, keepdims=True), 1e-9)
        return sparse.csr_array(_matrix(columns, values, len(self)).T)

    def spread(self, seeds: FloatArray) -> FloatArray:
        """Spread ``seeds`` (m, c) over the graph, each column for itself: shape (m, c)."""
        spread = seeds
        for _ in range(STEPS):
            spread = np.float32(SPREAD) * (self._edges @ spread) + np.float32(1 - SPREAD) * seeds
        return np.asarray(spread, dtype=np.float32)


def _nearest(
    of: FloatArray, among: FloatArray, count: int, *, themselves: bool
) -> tuple[IndexArray, FloatArray]:
    """Columns and sharpened similarities of the ``count`` nearest rows, each of shape (n, count)."""
    columns = np.empty((len(of), count), dtype=np.int64)
    values = np.empty((len(of), count), dtype=np.float32)
    for start in range(0, len(of), BLOCK):
        similar = of[start : start + BLOCK] @ among.T
        if not themselves:
            rows = np.arange(len(similar))
            similar[rows, rows + start] = -np.inf
        part = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        columns[start : start + len(part)] = part
        values[start : start + len(part)] = np.take_along_axis(similar, part, axis=1)
    return columns, np.maximum(values, 0.0) ** SHARPNESS


def _matrix(columns: IndexArray, values: FloatArray, width: int) -> sparse.csr_array:
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    return sparse.csr_array((values.ravel(), (rows, columns.ravel())), shape=(len(columns), width))
