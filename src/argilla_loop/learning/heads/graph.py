"""A neighbour graph of the pool, over which labels spread to texts that nobody has labelled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import sparse

from argilla_loop.domain import FloatArray, IndexArray

# Neighbours of each text. Chosen, not measured.
NEIGHBOURS = 10
# How much a text hands on of what reached it, against what it was given: alpha in Zhou et al. (2004). 0.8 to 0.95 gave
# the same accuracy when the heads were written; no table records it.
SPREAD = 0.9
# Rounds of spreading; what is left to spread after them is SPREAD ** STEPS, an eighth. Chosen, not measured.
STEPS = 20
# The power that similarities are raised to, so that near neighbours count for more. Chosen, not measured.
SHARPNESS = 3
# Rows compared with all others at a time. Chosen, not measured.
BLOCK = 1024
# Lower limit of a sum that something is divided by. Chosen, not measured.
TINY = 1e-9


class PoolGraph:
    """A symmetric k-nearest-neighbour graph over pool texts (label spreading, Zhou et al. 2004).

    Unlike scikit-learn's ``LabelSpreading`` it is sparse, built once for all trainings on a pool, and takes labelled
    texts that are not nodes: these hand their label to their nearest nodes.

    Args:
        vectors: embeddings of the nodes, shape (m, d), rows of unit length.
        block: rows compared with all others at a time.
    """

    def __init__(self, vectors: FloatArray, *, block: int = BLOCK) -> None:
        self.vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        count, self._block = len(self.vectors), block
        self._neighbours = min(NEIGHBOURS, count - 1)
        columns, values = _nearest_neighbours(
            self.vectors, self.vectors, self._neighbours, block, themselves=False
        )
        edges = _sparse_matrix(columns, values, count)
        edges = edges.maximum(edges.T)
        degree = np.asarray(edges.sum(axis=1)).ravel()
        scale = sparse.diags_array((1.0 / np.sqrt(np.maximum(degree, TINY))).astype(np.float32))
        self._edges = sparse.csr_array(scale @ edges @ scale)
        # Second moments of the pool, from which the covariance within labels is computed.
        self.moments: FloatArray = self.vectors.T @ self.vectors / np.float32(count)
        # What was computed last of this graph and something else, by a digest of that, see ``remember``.
        self._remembered: tuple[bytes, FloatArray] | None = None

    def __len__(self) -> int:
        return len(self.vectors)

    def anchor(self, vectors: FloatArray) -> sparse.csr_array:
        """Return the weights (m, n) of each text's nearest nodes, for ``vectors`` (n, d); columns sum to 1."""
        columns, values = _nearest_neighbours(
            vectors, self.vectors, self._neighbours, self._block, themselves=True
        )
        values /= np.maximum(values.sum(axis=1, keepdims=True), TINY)
        return sparse.csr_array(_sparse_matrix(columns, values, len(self)).T)

    def remember(self, key: bytes, make: Callable[[], FloatArray]) -> FloatArray:
        """Return what ``make`` returns; for the same ``key`` as last time it is not called again.

        What names say of a pool stays the same from turn to turn.
        """
        if self._remembered is None or self._remembered[0] != key:
            self._remembered = key, make()
        return self._remembered[1]

    def spread(self, seeds: FloatArray) -> FloatArray:
        """Spread each column of ``seeds`` (m, c) over the graph: shape (m, c)."""
        spread = seeds
        for _ in range(STEPS):
            spread = np.float32(SPREAD) * (self._edges @ spread) + np.float32(1 - SPREAD) * seeds
        return np.asarray(spread, dtype=np.float32)


def _nearest_neighbours(
    of: FloatArray, among: FloatArray, count: int, block: int, *, themselves: bool
) -> tuple[IndexArray, FloatArray]:
    """Return columns and sharpened similarities of the ``count`` nearest rows, each of shape (n, count)."""
    columns = np.empty((len(of), count), dtype=np.int64)
    values = np.empty((len(of), count), dtype=np.float32)
    for start in range(0, len(of), block):
        similar = of[start : start + block] @ among.T
        if not themselves:
            rows = np.arange(len(similar))
            similar[rows, rows + start] = -np.inf
        part = np.argpartition(-similar, count - 1, axis=1)[:, :count]
        columns[start : start + len(part)] = part
        values[start : start + len(part)] = np.take_along_axis(similar, part, axis=1)
    return columns, np.maximum(values, 0.0) ** SHARPNESS


def _sparse_matrix(columns: IndexArray, values: FloatArray, width: int) -> sparse.csr_array:
    rows = np.repeat(np.arange(len(columns)), columns.shape[1])
    return sparse.csr_array((values.ravel(), (rows, columns.ravel())), shape=(len(columns), width))
