"""A model before the first example: what the labels' names say of the pool's texts."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from argilla_loop.domain import Encoder, FloatArray, HeadEvidence, PoolSample
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import Head
from argilla_loop.learning.heads.names import GUESS_SCALE, score_names
from argilla_loop.learning.label_names import embed_names
from argilla_loop.settings.files import text_digest

# Name of its head: the first part of its version.
HEAD = "names"
# Part of its version: raise it when the same inputs give other probabilities.
GUESS_VERSION = 1
# Hexadecimal digits of its version, as of a trained model's.
VERSION_DIGITS = 12


class Guess:
    """Suggests by the labels' names; implements ``domain.Model``. ``guess_from_names`` makes it.

    It has no evidence, and its certainty is that of a guess: lower than its accuracy on most sets, see
    ``heads.names.GUESS_SCALE``.
    """

    def __init__(self, head: Head, encoder: Encoder, labels: Sequence[str], version: str) -> None:
        self._head, self._encoder = head, encoder
        self.labels, self.version, self.head = tuple(labels), version, HEAD
        self.evidence: tuple[HeadEvidence, ...] = ()

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return probabilities, float32 of shape (n, len(labels)), rows summing to 1."""
        return np.asarray(self._head.predict_proba(self._encoder.encode(texts)), dtype=np.float32)

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return probabilities of embeddings (n, d)."""
        return self._head.score(vectors)


def guess_from_names(
    labels: Sequence[str], encoder: Encoder, pool: PoolSample, graph: PoolGraph
) -> Guess | None:
    """Return the model that the names of ``labels`` make; ``None`` if they are codes, or fewer than two.

    Args:
        labels: of the dataset.
        encoder: embeds the names.
        pool: a sample of the pool.
        graph: its neighbour graph.
    """
    ordered = sorted(set(labels))
    names = embed_names(ordered, encoder) if len(ordered) > 1 else None
    if names is None:
        return None
    with threadpool_limits(limits=1, user_api="blas"):  # as in a training: see ``classy.classifier``
        coefficients = score_names(names, pool.vectors, graph)
    inputs = [GUESS_VERSION, ordered, encoder.fingerprint, pool.fingerprint]
    version = f"{HEAD}-{text_digest(json.dumps(inputs))[:VERSION_DIGITS]}"
    return Guess(Head(HEAD, (coefficients,), (GUESS_SCALE,)), encoder, ordered, version)
