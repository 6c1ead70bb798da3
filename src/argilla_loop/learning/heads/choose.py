"""Fit all scorers, cross-validate them on people's examples, and weigh them into one head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from argilla_loop.domain import FloatArray, HeadEvidence, IndexArray
from argilla_loop.learning.heads.evidence import (
    SCALES,
    DoubleArray,
    assign_folds,
    count_folds,
    fit_scale,
    softmax,
    summarise,
)
from argilla_loop.learning.heads.head import NAMED, Head, Kind
from argilla_loop.learning.heads.names import GUESS_SCALE
from argilla_loop.learning.heads.offsets import fit_offsets
from argilla_loop.learning.heads.scorers import (
    CALLED,
    FIRM,
    LINEAR,
    MANY_LABELS,
    MAX_SPREAD_EXAMPLES,
    NAMES,
    NEAR_MEANS,
    PARTS,
    POOL_MEANS,
    Part,
    Scorer,
    Training,
    fit_scorers,
)
from argilla_loop.learning.heads.weigh import weigh

# Held-out examples below which nothing is said about any scorer. Chosen, not measured.
MIN_EVIDENCE = 4
# Share of the labels that must have held-out examples: a scorer that is good at these may be useless for the others (a
# simulation with 151 labels, docs/learner.md). The share itself is chosen, not measured.
MIN_LABEL_COVERAGE = 0.8
# Log-likelihood, in nats over all held-out examples, by which names must improve a discriminant before they serve as
# examples: "positive" evidence in the words of Kass and Raftery (1995), a factor of seven.
MARGIN = 2.0
# What the weight of the names is drawn to; the scorers of examples together have the rest. Of 0.2, 0.35 and 0.5, 0.35
# is best or within 0.1 points, whichever kind of text is left out (benchmarks/kinds.md).
NAMES_SHARE = 0.35
# How the examples' part is shared out: most to the one that was best or nearly so on every kind of text when there are
# few examples. Equal shares are 0.1 points away on average.
SHARES: dict[Part, float] = {LINEAR: 0.15, FIRM: 0.15, NEAR_MEANS: 0.4, POOL_MEANS: 0.3}
# Deviation that a scorer's held-out scores keep at least: two examples a label, held out, can look worse than chance.
# Chosen, not measured.
LEAST_DEVIATION = 0.3
# Lower limit of a deviation that something is divided by. Chosen, not measured.
TINY = 1e-9


def choose_head(
    training: Training,
    *,
    seed: int,
    kind: Kind = "weighed",
    max_spread: int = MAX_SPREAD_EXAMPLES,
) -> Head:
    """Fit the scorers of ``kind`` that ``training`` allows, cross-validate them, and weigh them into one head.

    Each scorer is scaled on held-out examples (``evidence.fit_scale``), then all are weighed on the same examples
    (``weigh``), and the sum is scaled once more. While many labels have a single example, which cannot be held out, the
    scorers are put on an even scale and the weights are the prior shares: what is good for the labels with evidence may
    be useless for the others.

    Names are a scorer of their own where there is a pool. Without one each name is one more example, always while there
    is no evidence, and then where held-out examples say that it helps. On four labels of news and ten draws that is
    72 % right after one text a label, and 60 % with names compared to the examples alone.

    Args:
        training: the examples, and what else there is.
        seed: of the folds.
        kind: which scorers are weighed; without a pool only regressions are.
        max_spread: the number of examples that spread over the pool.

    Returns:
        The head, with the evidence for it, and for each scorer alone.
    """
    evident, fold, fold_count = hold_out(training, seed)
    labels = training.labels[evident]
    # without a pool the names have no texts to be compared with, so they can only serve as examples
    unpooled = training.graph is None
    parts = PARTS["linear"] if unpooled else PARTS[kind]
    as_examples = training.names is not None and (unpooled or training.label_count > MANY_LABELS)

    def fitted(parts: Sequence[Part], *, with_names: bool = False) -> dict[Part, Scorer]:
        return fit_scorers(training, fold, fold_count, parts, with_names=with_names, max_spread=max_spread)

    if fold_count == 0:
        return _without_evidence(kind, fitted(parts, with_names=unpooled))
    examples = [part for part in parts if part != NAMES]
    probed = [part for part in examples if part not in (LINEAR, FIRM)] or examples
    scorers, with_names = fitted(probed), False
    if as_examples:
        named = fitted(probed, with_names=True)
        without, within = (_alone(one, evident, labels)[0].log_loss for one in (scorers, named))
        if with_names := (without - within) * len(labels) > MARGIN:
            scorers = named
    scorers |= fitted([part for part in parts if part not in probed], with_names=with_names)
    scorers = {part: scorers[part] for part in CALLED if part in scorers}
    covered = len(np.unique(labels)) >= MIN_LABEL_COVERAGE * training.label_count
    return weighed_head(kind, scorers, evident, labels, covered=covered)


def hold_out(training: Training, seed: int) -> tuple[IndexArray, IndexArray, int]:
    """Return the rows that are evidence, the fold of each example (-1: none), and the number of folds."""
    has_company = np.bincount(training.labels)[training.labels] > 1
    evident = np.flatnonzero(training.trusted.astype(bool) & has_company)
    fold = np.full(len(training.labels), -1, dtype=np.int64)
    if len(evident) < MIN_EVIDENCE:
        return evident, fold, 0
    count = count_folds(len(evident))
    fold[evident] = assign_folds(training.labels[evident], count, seed)
    return evident, fold, count


def weighed_head(
    kind: Kind, scorers: Mapping[Part, Scorer], evident: IndexArray, labels: IndexArray, *, covered: bool
) -> Head:
    """Return the weighed sum of ``scorers``, with the evidence of rows ``evident``, whose labels are ``labels``."""
    scaled, factors = [], []
    for part, one in scorers.items():
        scores = _centred(one.held_out[evident])
        even = min(1.0 / max(float(scores.std()), TINY), SCALES[1])
        # a few examples that the names got wrong are no reason to ignore them: that is for the weights to say
        least = GUESS_SCALE if part == NAMES else LEAST_DEVIATION * even
        factor = max(fit_scale(scores, labels), least) if covered else even
        scaled.append(factor * scores)
        factors.append(factor)
    names = [part == NAMES for part in scorers]
    shares = _shares(list(scorers))
    weights = weigh(scaled, labels, shares, names=names) if covered else np.array(shares)
    summed = np.asarray(sum(weight * one for weight, one in zip(weights, scaled, strict=True)))
    scale = fit_scale(summed, labels)
    if not covered:
        scale = min(scale, 1.0)
    offsets = fit_offsets(scale * summed, labels) if summed.shape[1] > MANY_LABELS else None
    probabilities = softmax(scale * summed + (0.0 if offsets is None else offsets))
    counts = bool(weights[0] > 0) and names[0]
    name = f"{kind}{NAMED if counts else ''}"
    coefficients = _sum(scorers, scale * weights * np.array(factors))
    evidence = (summarise(name, probabilities, labels), *_alone(scorers, evident, labels))
    return Head(name, (coefficients,), (1.0,), 1.0, offsets, evidence)


def _without_evidence(kind: Kind, scorers: Mapping[Part, Scorer]) -> Head:
    """Return the sum of the names' guess and of the regression: nothing else has a scale of its own."""
    kept: dict[Part, Scorer] = {part: one for part, one in scorers.items() if part in (NAMES, LINEAR)}
    kept = kept or {**scorers}
    factors = np.array([GUESS_SCALE if part == NAMES else 1.0 for part in kept])
    name = f"{kind}{NAMED if NAMES in kept else ''}"
    return Head(name, (_sum(kept, factors),), (1.0,))


def _alone(scorers: Mapping[Part, Scorer], evident: IndexArray, labels: IndexArray) -> list[HeadEvidence]:
    """Return the evidence for each scorer alone, scaled."""
    found = []
    for part, one in scorers.items():
        scores = _centred(one.held_out[evident])
        found.append(summarise(CALLED[part], softmax(fit_scale(scores, labels) * scores), labels))
    return found


def _shares(parts: Sequence[Part]) -> list[float]:
    """Return what the weight of each of ``parts`` is drawn to; the sum is 1."""
    examples = sum(SHARES[part] for part in parts if part != NAMES)
    left = 1.0 - NAMES_SHARE * (NAMES in parts)
    return [NAMES_SHARE if part == NAMES else left * SHARES[part] / examples for part in parts]


def _sum(scorers: Mapping[Part, Scorer], factors: DoubleArray) -> FloatArray:
    """Return the sum of linear scorers as one, its rows of mean 0: that changes no probability."""
    total = np.asarray(
        sum(
            factor * one.coefficients.astype(np.float64)
            for factor, one in zip(factors, scorers.values(), strict=True)
        )
    )
    return np.asarray(total - total.mean(axis=1, keepdims=True), dtype=np.float32)


def _centred(scores: FloatArray) -> FloatArray:
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))
