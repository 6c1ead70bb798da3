"""Fit every head, cross-validate them on people's examples, and keep one.

While labels have few examples, each kind of ``heads.head`` also comes as ``-named``: the label's own name is one more,
weak example.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import get_args

import numpy as np

from argilla_loop.domain import IndexArray
from argilla_loop.learning.heads.evidence import assign_folds, count_folds, fit_scale, summarise
from argilla_loop.learning.heads.head import NAMED, Head, Kind, log_probabilities, mean_probabilities
from argilla_loop.learning.heads.offsets import fit_offsets
from argilla_loop.learning.heads.scorers import (
    MANY_LABELS,
    MAX_SPREAD_EXAMPLES,
    PARTS,
    Scorer,
    Training,
    fit_scorers,
)

# From so many examples a label on average, its name adds nothing (measured on nine sets when the heads were written;
# there is no table of it).
FEW_EXAMPLES_PER_LABEL = 10
# Log-likelihood, in nats over all held-out examples, by which another head must beat the preferred one: "positive"
# evidence in the words of Kass and Raftery (1995), a factor of seven.
MARGIN = 2.0
# Held-out examples below which nothing is said about any head. Chosen, not measured.
MIN_EVIDENCE = 4
# Share of the labels that must have held-out examples: a head that is good at these may be useless for the others (a
# simulation with 151 labels, docs/learner.md). The share itself is chosen, not measured.
MIN_LABEL_COVERAGE = 0.8

# Makes a head from a name, its scorers, the rows of the evidence, and all labels.
Calibrate = Callable[[str, Sequence[Scorer], IndexArray, IndexArray], Head]


def calibrate_head(name: str, scorers: Sequence[Scorer], evident: IndexArray, labels: IndexArray) -> Head:
    """Return the mean of ``scorers``, each scaled on held-out examples, and their mean scaled once more.

    Above ``MANY_LABELS`` labels, offsets are fitted on the same examples: k numbers, so the evidence flatters all heads
    alike.

    Args:
        name: of the head.
        scorers: at least one.
        evident: rows of the examples that are evidence; none for a head that is not calibrated.
        labels: class numbers of all examples, shape (n,).
    """
    coefficients = tuple(one.coefficients for one in scorers)
    if len(evident) == 0:
        return Head(name, coefficients, tuple(1.0 for _ in scorers))
    scores, expected = [one.held_out[evident] for one in scorers], labels[evident]
    scales = tuple(fit_scale(one, expected) for one in scores)
    scale, offsets = 1.0, None
    if len(scorers) > 1:
        scale = fit_scale(log_probabilities(mean_probabilities(scores, scales, 1.0)), expected)
    if coefficients[0].shape[1] > MANY_LABELS:
        offsets = fit_offsets(log_probabilities(mean_probabilities(scores, scales, scale)), expected)
    probabilities = mean_probabilities(scores, scales, scale, offsets)
    return Head(name, coefficients, scales, scale, offsets, (summarise(name, probabilities, expected),))


def choose_head(
    training: Training,
    *,
    seed: int,
    previous: str | None = None,
    kinds: Sequence[Kind] = get_args(Kind),
    calibrate: Calibrate = calibrate_head,
    max_spread: int = MAX_SPREAD_EXAMPLES,
) -> Head:
    """Fit every head that ``training`` allows, cross-validate them, and keep one.

    The head with the highest held-out likelihood is kept, after the ``previous`` head and the usual head each get a
    lead of ``MARGIN``. The usual head is ``blended`` while labels have few examples: it is best or nearly so on every
    kind of text, and so little evidence says more about chance than about heads. After that it is the simplest,
    ``linear``. While many labels have a single example, which cannot be held out, the usual head is kept.

    Args:
        training: the examples, and what else there is.
        seed: of the folds.
        previous: name of the previous model's head, if any.
        kinds: which heads may be chosen.
        calibrate: makes a head from its scorers.
        max_spread: the number of examples that spread over the pool.

    Returns:
        The head, with the evidence for all of them, its own first.
    """
    evident, fold, fold_count = _hold_out(training, seed)
    few = len(training.labels) < FEW_EXAMPLES_PER_LABEL * training.label_count
    named = few and training.names is not None
    allowed = [kind for kind in kinds if training.graph is not None or kind == "linear"]
    if fold_count == 0 or not allowed:
        allowed = ["linear"]  # nothing calibrates a discriminant's scores
    parts = {part for kind in allowed for part in PARTS[kind]}
    candidates: list[Head] = []
    for with_names in (True, False) if named else (False,):
        scorers = fit_scorers(training, fold, fold_count, parts, with_names=with_names, max_spread=max_spread)
        candidates += [
            calibrate(
                f"{kind}{NAMED if with_names else ''}",
                [scorers[part] for part in PARTS[kind]],
                evident if fold_count else evident[:0],
                training.labels,
            )
            for kind in allowed
        ]
    if fold_count == 0:
        return candidates[0]
    usual = ("blended" if few else "linear") + (NAMED if named else "")
    covered = len(np.unique(training.labels[evident])) >= MIN_LABEL_COVERAGE * training.label_count
    return _select(candidates, usual, previous, len(evident), covered=covered)


def _hold_out(training: Training, seed: int) -> tuple[IndexArray, IndexArray, int]:
    """Return the rows that are evidence, the fold of each example (-1: none), and the number of folds."""
    has_company = np.bincount(training.labels)[training.labels] > 1
    evident = np.flatnonzero(training.trusted.astype(bool) & has_company)
    fold = np.full(len(training.labels), -1, dtype=np.int64)
    if len(evident) < MIN_EVIDENCE:
        return evident, fold, 0
    count = count_folds(len(evident))
    fold[evident] = assign_folds(training.labels[evident], count, seed)
    return evident, fold, count


def _select(
    candidates: Sequence[Head], usual: str, previous: str | None, examples: int, *, covered: bool
) -> Head:
    """Return the candidate to keep, with the evidence for all of them, its own first."""
    if covered:
        order = sorted(
            candidates,
            key=lambda head: (
                head.evidence[0].log_loss * examples
                - MARGIN * (head.name == usual)
                - MARGIN * (head.name == previous)
            ),
        )
    else:
        order = sorted(candidates, key=lambda head: head.name != usual)
    return replace(order[0], evidence=tuple(head.evidence[0] for head in order))
