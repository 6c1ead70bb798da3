"""How right the labels are, how stable the model is, how many more answers are needed, and whether to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from argilla_loop.policy.estimate.accuracy import Estimate, Result, estimate_accuracy, estimate_labels

# The share of right labels from which "you can stop" is advised if no other target is set, and the least lower bound.
# Chosen on the first seven seeds of benchmarks/stopping.md, so that all sets are at least as right as it says.
GOOD, GOOD_LOW = 0.96, 0.9
# Agreement of successive models from which a model counts as stable: a change of some texts in a hundred is less than
# the interval of any estimate here. Altman (1991) calls 0.81 and more very good.
STABLE = 0.95
STABLE_MODELS = 2  # successive comparisons that have to be stable
# How errors fall with the number of labels: as a power of it. Exponents of benchmarks/accuracy.csv, 2 to 50 labels a
# class: their median and range over four sets.
EXPONENT, EXPONENT_LOW, EXPONENT_HIGH = 0.35, 0.15, 0.75
MOST_FORECAST = 20.0  # times the labels that there are: a forecast beyond that says no more than "many"


@dataclass(frozen=True, slots=True)
class Forecast:
    """About how many more labels of people a target takes.

    The interval covers what is uncertain now, and slower and faster learning.
    """

    labels: int
    low: int
    high: int | None  # None: more than can be told
    target: float


@dataclass(frozen=True, slots=True)
class Outlook:
    """The state of the work, as ``status`` and every headline show it.

    Attributes:
        human: number of texts that people have labelled.
        accepted: number of records that the service has accepted and that still stand.
        left: number of texts that are not labelled yet.
        model: share of the texts without a human label on which the model is right.
        labels: share of all texts whose label is right once the model labels what is left, if people's labels are.
        agreement: Cohen's kappa of successive models on a fixed random sample of the pool, the latest last.
        forecast: how many more labels a target takes; ``None`` if it is reached.
        can_stop: whether more labels would hardly change the result.
        held_back: how many held-back answers the model predicts, and how many there are; ``None`` without any.
        acceptable: number of texts left whose certainty allows to accept them; ``None`` if unknown.
    """

    human: int
    accepted: int
    left: int
    model: Estimate
    labels: Estimate
    agreement: tuple[float, ...] = ()
    forecast: Forecast | None = None
    can_stop: bool = False
    held_back: tuple[int, int] | None = None
    acceptable: int | None = None

    @property
    def total(self) -> int:
        """Number of texts."""
        return self.human + self.accepted + self.left


def look_ahead(
    results: Sequence[Result],
    certainties: NDArray[np.float64],
    *,
    human: int,
    accepted: int,
    accepted_results: Sequence[bool],
    left: int,
    agreement: Sequence[float],
    confidence: float,
    target: float | None = None,
    held_back: tuple[int, int] | None = None,
    acceptable: int | None = None,
) -> Outlook:
    """Put together what is known after a turn.

    Args:
        results: what people said of a random sample, compared with the current model.
        certainties: of the current model for the texts that are left, or for a random part of them.
        human: number of texts that people have labelled.
        accepted: number of records that the service has accepted.
        accepted_results: whether the audits drawn from such records were right.
        left: number of texts that are left.
        agreement: kappa of successive models, the latest last.
        confidence: probability of the intervals.
        target: share of right labels at which to stop; ``None``: ``GOOD``.
        held_back: how many held-back answers the model predicts, and how many there are.
        acceptable: number of texts left whose certainty allows to accept them.
    """
    model = estimate_accuracy(results, certainties, confidence=confidence)
    scale = left / max(len(certainties), 1)
    labels = estimate_labels(
        results,
        certainties,
        scale=scale,
        accepted=accepted,
        accepted_results=accepted_results,
        human=human,
        confidence=confidence,
    )
    wanted = GOOD if target is None else target
    can_stop = advise_stop(labels, agreement, left=left, target=target)
    return Outlook(
        human,
        accepted,
        left,
        model,
        labels,
        tuple(agreement),
        None if labels.value >= wanted else forecast(labels, human, wanted),
        can_stop,
        held_back,
        acceptable,
    )


def advise_stop(
    labels: Estimate, agreement: Sequence[float], *, left: int, target: float | None = None
) -> bool:
    """Return whether more labels would hardly change the result.

    Args:
        labels: share of all texts whose label is right.
        agreement: kappa of successive models, the latest last.
        left: number of texts that are left.
        target: share of right labels that is asked for; ``None``: ``GOOD``, with a lower end of ``GOOD_LOW``.
    """
    stable = len(agreement) >= STABLE_MODELS and min(agreement[-STABLE_MODELS:]) >= STABLE
    good, low = (GOOD, GOOD_LOW) if target is None else (target, target)
    return labels.value >= good and labels.low >= low and (stable or not left)


def forecast(labels: Estimate, human: int, target: float) -> Forecast:
    """Return how many more labels it takes until the share of right labels is ``target``.

    Errors are taken to fall as a power of the number of labels (an inverse power law, Cortes et al. 1993). One dataset
    tells too little to fit the exponent, so it comes from other ones, with its range.
    """

    def further(right: float, exponent: float) -> float:
        ratio = (max(1 - right, 1e-6) / max(1 - target, 1e-6)) ** (1 / exponent)
        return max(float(human * (ratio - 1)), 0.0)

    most = MOST_FORECAST * max(human, 1)
    high = further(labels.low, EXPONENT_LOW)
    return Forecast(
        math.ceil(min(further(labels.value, EXPONENT), most)),
        math.ceil(min(further(labels.high, EXPONENT_HIGH), most)),
        math.ceil(high) if high <= most else None,
        target,
    )


def outlook_from(content: Mapping[str, Any]) -> Outlook:
    """Return the outlook that ``dataclasses.asdict`` and JSON made ``content`` of.

    Raises:
        KeyError, TypeError, ValueError: it is something else.
    """
    ahead, held_back = content["forecast"], content["held_back"]
    return Outlook(
        human=int(content["human"]),
        accepted=int(content["accepted"]),
        left=int(content["left"]),
        model=Estimate(**content["model"]),
        labels=Estimate(**content["labels"]),
        agreement=tuple(float(one) for one in content["agreement"]),
        forecast=None if ahead is None else Forecast(**ahead),
        can_stop=bool(content["can_stop"]),
        held_back=None if held_back is None else (int(held_back[0]), int(held_back[1])),
        acceptable=content["acceptable"],
    )


def headline(now: Outlook) -> str:
    """Return the state in one line, with numbers only."""
    labelled = now.human + now.accepted
    parts = [
        f"{now.human:,} human labels",
        (
            f"the model is right on {_percent(now.model.value)} of the other texts "
            f"({_percent(now.model.low)} to {math.ceil(100 * now.model.high - 1e-9)}%)"
        ),
        f"{labelled:,} of {now.total:,} texts labelled, {now.accepted:,} by the service",
    ]
    if now.can_stop:
        parts.append("you can stop")
    elif now.forecast is not None:
        ahead = now.forecast
        many = f"about {ahead.labels:,} more labels" if ahead.high is not None else "many more labels"
        parts.append(f"{many} to {_percent(ahead.target)}")
    else:
        parts.append("keep labelling until the estimate is certain")
    return "; ".join(parts)


def _percent(share: float) -> str:
    """Return a share in percent, never rounded up."""
    return f"{math.floor(100 * share + 1e-9)}%"
