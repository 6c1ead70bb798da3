"""What ``argilla-loop finish`` may accept, which of it is audited, and what these audits have to say."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray, Route
from argilla_loop.errors import SettingsError
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.rules import MAX_BATCH
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.bound import checks_needed, lower_bound
from argilla_loop.policy.validation.certainty import Levels, levels_of

# The precision that the last audits are to show if no precision is required: that nine in ten labels are right takes 29
# audits at 95% confidence. Chosen, not measured.
CLAIM = 0.9
# By so much a claim lies below the estimate: a model that is as good as the estimate shows no more than that.
SLACK, LEAST_CLAIM = 0.05, 0.5  # both chosen, not measured
# The largest share of what could be accepted that is audited instead; the rest would hardly be worth it otherwise.
# Chosen, not measured.
MOST_AUDITED = 0.5


@dataclass(frozen=True, slots=True)
class Wish:
    """What the operator wants to be accepted.

    Attributes:
        min_certainty: accept above this certainty, whatever was granted; ``None``: what the service may accept.
        promise: accept only what a required precision was granted for.
    """

    min_certainty: float | None = None
    promise: bool = False


@dataclass(frozen=True, slots=True)
class LastRound:
    """The last round of audits.

    Attributes:
        audits: number of records that are audited instead of accepted.
        claim: precision that they are to show.
        confidence: probability with which they show it.
        wrong: the most of them that may be wrong for the labels to stand; ``None`` if they are too few to show it.
        least: lower bound of the precision if all of them are right.
    """

    audits: int
    claim: float
    confidence: float
    wrong: int | None
    least: float


def wanted_levels(labels: Sequence[str], acceptance: Acceptance, wish: Wish) -> Levels:
    """Return above which certainty a text may be accepted, for the model's ``labels``, in their order.

    Raises:
        SettingsError: records of this dataset need several answers, the settings accept nothing, or ``--promise`` is
            given and the settings require no precision.
    """
    rules = acceptance.rules
    if acceptance.min_submitted > 1:
        raise SettingsError(
            f"records of this dataset need {acceptance.min_submitted} answers, and the service would give one, "
            "which would leave its records in everybody's queue: let people label the rest"
        )
    if wish.min_certainty is not None:
        above = np.full(len(labels), wish.min_certainty)
        return Levels(above, np.ones(len(labels), np.bool_), above)
    criterion = rules.criterion
    if criterion is None:
        raise SettingsError("auto_validate is false, so nothing is accepted: set it, or give --min-certainty")
    if wish.promise and criterion.precision is None:
        raise SettingsError(
            "--promise needs a required precision: set target_precision or min_precision, or leave --promise out "
            f"to accept above certainty {rules.certainty_threshold:g}"
        )
    if acceptance.missing:
        return levels_of(labels, {})
    return levels_of(labels, acceptance.decisions, closed=acceptance.below_accept_minimum)


def open_reasons(
    labels: Sequence[str],
    columns: IndexArray,
    certainties: NDArray[np.float64],
    level: Levels,
    acceptance: Acceptance,
    wish: Wish,
) -> Counter[str]:
    """Count the texts that stay open, by the reason.

    Args:
        labels: of the model.
        columns: shape (n,): predicted label of each text.
        certainties: shape (n,): of each text.
        level: what may be accepted.
        acceptance: why.
        wish: what the operator wants.
    """
    reasons: Counter[str] = Counter()
    explicit = wish.min_certainty is not None
    for column, certainty in zip(columns.tolist(), certainties.tolist(), strict=True):
        label, above = labels[column], float(level.above[column])
        if level.granted[column]:
            if not certainty > above:
                reasons[f"the model's certainty is not above {above:g}"] += 1
        elif acceptance.missing and not explicit:
            lacking = ", ".join(f"{name} ({count})" for name, count in acceptance.missing.items())
            reasons[
                f"nothing is accepted before each label has its human examples; still missing: {lacking}"
            ] += 1
        elif label in acceptance.below_accept_minimum and not explicit:
            count = acceptance.below_accept_minimum[label]
            reasons[f"the model says {label}, which lacks {count} human examples to be accepted"] += 1
        else:
            decision = acceptance.decisions.get(label)
            more = decision.missing if decision is not None else 0
            reasons[f"the required precision is not granted; it takes at least {more} more right audits"] += 1
    return reasons


def beyond_promise(acceptance: Acceptance) -> str:
    """Return why texts stay open that are certain enough, with a promise for the dataset."""
    return f"the promise for the dataset allows no more yet: {acceptance.what_allows_more}"


def last_round(acceptable: int, acceptance: Acceptance, expected: Estimate) -> LastRound:
    """Return how many of the ``acceptable`` records are audited: the share ``audit_rate``, and a least number.

    The least number would show the claim if all audits are right. More than one batch of audits would cost people time
    and tell them little more. With ``audit_rate = 0`` nothing is audited.

    Args:
        acceptable: number of records that may be accepted, those included that the same model has accepted already.
        acceptance: the rules.
        expected: the estimated precision of all of them.
    """
    rules = acceptance.rules
    criterion, error = rules.criterion, 1 - rules.confidence
    required = criterion.precision if criterion is not None else None
    claim = required or min(max(math.floor(100 * (expected.value - SLACK)) / 100, LEAST_CLAIM), CLAIM)
    count = 0
    if rules.audit_rate:
        count = max(math.ceil(rules.audit_rate * acceptable), checks_needed(claim, error))
        count = min(count, math.ceil(MOST_AUDITED * acceptable), MAX_BATCH)
    return LastRound(
        count, claim, rules.confidence, wrong_allowed(count, claim, error), lower_bound(count, count, error)
    )


def wrong_allowed(audits: int, claim: float, error: float) -> int | None:
    """Return how many of ``audits`` may be wrong for their lower bound to reach ``claim``; ``None`` if none may."""
    allowed = None
    for wrong in range(audits):
        if lower_bound(audits - wrong, audits, error) < claim:
            break
        allowed = wrong
    return allowed


def routed_by(records: Iterable[AdjudicatedRecord], version: str) -> tuple[NDArray[np.float64], int]:
    """Return the certainties of what model ``version`` has accepted or audited, and the number of audits."""
    mine = [
        one.record
        for one in records
        if one.record.model == version
        and one.record.route in (Route.ACCEPT, Route.AUDIT)
        and not one.record.held_back
    ]
    certainties = np.array([record.certainty or 0.0 for record in mine], dtype=np.float64)
    return certainties, sum(record.route is Route.AUDIT for record in mine)
