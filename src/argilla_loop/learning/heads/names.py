"""What the labels' names say of a text before anybody has labelled one: a linear scorer that needs no example.

A text is compared with each name in several templates, after the pool's mean is taken from the texts and the names'
mean from the names: what all texts and all names have in common says nothing. These scores are a guess for each text of
the pool. Spread over the pool's neighbour graph, as examples are (``graph``), they give each label a mean among the
pool's own texts, and a discriminant of these means is the scorer. On thirteen sets of six kinds the spreading raised
the accuracy without any label by 9 points on average (benchmarks/names.md).
"""

from __future__ import annotations

import hashlib

import numpy as np

from argilla_loop.domain import FloatArray
from argilla_loop.learning.heads.evidence import softmax
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.pooled import discriminant, spread_labels

# Factor on standardised name scores before they are spread. 2 and 4 gave the same accuracy (benchmarks/names.md).
SHARPNESS = 2.0
# Shrinkage of the covariance. 0.3 and 0.9 gave the same accuracy; the firmer one relies less on the guess.
SHRINKAGE = 0.9
# Factor on the standardised scores that makes probabilities of them while there is no evidence. On thirteen sets the
# most likely factor lay between 0.2 and 3.8. At 0.5 the mean certainty exceeds the accuracy on two of them only, by up
# to 10 points (benchmarks/names.md).
GUESS_SCALE = 0.5
# Lower limit of what something is divided by. Chosen, not measured.
TINY = 1e-9


def score_names(names: FloatArray, texts: FloatArray, graph: PoolGraph | None = None) -> FloatArray:
    """Return a linear scorer of texts by the labels' names.

    Args:
        names: embeddings of the labels' names in each template, shape (t, k, d).
        texts: what the names are compared with where there is no pool, shape (n, d).
        graph: of the pool; None for none.

    Returns:
        Coefficients of shape (d + 1, k), the intercepts last. Over the pool, or ``texts`` without one, the scores have
        mean 0 in each row, and standard deviation 1 over all of them.
    """
    if graph is None:
        return _standardise(np.mean([_compare(one, texts) for one in names], axis=0), texts)
    return graph.remember(hashlib.sha256(names.tobytes()).digest(), lambda: _spread(names, graph))


def _spread(names: FloatArray, graph: PoolGraph) -> FloatArray:
    sample = graph.vectors
    compared = np.mean([_compare(one, sample) for one in names], axis=0)
    scorer = _standardise(compared, sample)
    shares = graph.spread(np.asarray(softmax(SHARPNESS * _scores(scorer, sample)), dtype=np.float32))
    spread = spread_labels(shares, sample, graph.moments)
    # a label that wins no text has no mean of its own texts: it gets that of all texts, by their shares
    weights = shares / np.maximum(shares.sum(axis=0), TINY)
    means = np.where(spread.found[:, None] > 0, spread.means, weights.T @ sample)
    fitted = discriminant(np.asarray(means, dtype=np.float32), spread, trust=0.0, shrinkage=SHRINKAGE)
    return _standardise(fitted, sample)


def _compare(names: FloatArray, sample: FloatArray) -> FloatArray:
    """Return the centred similarity to ``names`` (k, d) as a scorer, each label of deviation 1 over ``sample``."""
    centred = names - names.mean(axis=0)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), TINY)
    mean = sample.mean(axis=0)
    slopes = centred.T / np.maximum(((sample - mean) @ centred.T).std(axis=0), TINY)
    return np.asarray(np.vstack([slopes, -(mean @ slopes)[None]]), dtype=np.float32)


def _standardise(scorer: FloatArray, sample: FloatArray) -> FloatArray:
    """Scale a scorer: rows of mean 0, which changes no probability, and deviation 1 over ``sample``."""
    scorer = scorer - scorer.mean(axis=1, keepdims=True)
    return np.asarray(scorer / max(float(_scores(scorer, sample).std()), TINY), dtype=np.float32)


def _scores(scorer: FloatArray, vectors: FloatArray) -> FloatArray:
    return np.asarray(vectors @ scorer[:-1] + scorer[-1])
