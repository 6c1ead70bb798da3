"""A fitted ``PairwiseSvc`` as plain arrays: what it needs to score, without scikit-learn and without a pickle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.heads.evidence import DoubleArray, softmax


@dataclass(frozen=True, slots=True)
class PairwiseMargins:
    """One-vs-one margins of a support vector machine over k labels, and the scale that calibrates them.

    Attributes:
        support: support vectors, shape (s, d), those of each label together.
        counts: how many of them each label has, shape (k,).
        dual: their dual coefficients against each other label, shape (k - 1, s), as libsvm orders them.
        intercepts: of each pair of labels, shape (k (k - 1) / 2,), pairs in the order 01, 02, …, 12, ….
        scale: factor on the margins.
        gamma: width of the RBF kernel; None for the linear kernel.
    """

    support: DoubleArray
    counts: IndexArray
    dual: DoubleArray
    intercepts: DoubleArray
    scale: float
    gamma: float | None = None

    @property
    def name(self) -> str:
        """The head's name in a model's version."""
        return "svm"

    @property
    def evidence(self) -> tuple[HeadEvidence, ...]:
        """None: the machine's cross-validation chooses its parameters and keeps no figures."""
        return ()

    @property
    def label_count(self) -> int:
        """The number of labels, k."""
        return len(self.counts)

    @property
    def parts(self) -> list[tuple[DoubleArray, DoubleArray]]:
        """Support vectors (s, d) and dual coefficients (s, k - 1) of each label."""
        ends = np.cumsum(self.counts)
        return [
            (self.support[end - count : end], self.dual[:, end - count : end].T)
            for count, end in zip(self.counts, ends, strict=True)
        ]

    def pairs(self) -> tuple[IndexArray, IndexArray, DoubleArray, DoubleArray]:
        """Return what makes the margin of each label over each other one, for all k (k - 1) ordered pairs.

        With the columns of all ``parts`` side by side, the margin of an ordered pair is ``sign * (columns[first] +
        columns[second] + intercept)``.

        Returns:
            ``first``, ``second``, ``sign`` and ``intercept``, each of shape (k (k - 1),), by first label, then second.
        """
        k = self.label_count
        own, other = np.array([(i, j) for i in range(k) for j in range(k) if i != j], dtype=np.int64).T
        low, high = np.minimum(own, other), np.maximum(own, other)
        # a label's columns are the other labels in order: a lower label's place is its number, a higher one's one less
        first, second = low * (k - 1) + high - 1, high * (k - 1) + low
        pair = low * k - low * (low + 1) // 2 + high - low - 1
        return first, second, np.where(own < other, 1.0, -1.0), self.intercepts[pair]

    def predict_proba(self, vectors: FloatArray) -> DoubleArray:
        """Return probabilities, shape (n, k), rows summing to 1, of embeddings of shape (n, d) and unit length."""
        inputs = np.asarray(vectors, dtype=np.float64)
        columns = np.hstack([self._kernel(inputs, support) @ dual for support, dual in self.parts])
        first, second, sign, intercept = self.pairs()
        margins = sign * (columns[:, first] + columns[:, second] + intercept)
        losses = np.logaddexp(0.0, -self.scale * margins)
        return softmax(-losses.reshape(len(inputs), self.label_count, -1).sum(axis=2))

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return the same as float32."""
        return np.asarray(self.predict_proba(vectors), dtype=np.float32)

    def _kernel(self, inputs: DoubleArray, support: DoubleArray) -> DoubleArray:
        similar = np.asarray(inputs @ support.T)
        if self.gamma is None:
            return similar
        lengths = (inputs**2).sum(axis=1)[:, None] + (support**2).sum(axis=1)
        return np.asarray(np.exp(-self.gamma * (lengths - 2 * similar)))
