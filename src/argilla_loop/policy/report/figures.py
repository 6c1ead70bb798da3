"""All figures of a report, from the plan that ``status`` explains too."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.plan import Plan
from argilla_loop.policy.progress import Progress, progress
from argilla_loop.policy.report.curves import (
    CurvePoint,
    PrecisionPoint,
    blind_pairs,
    kept_curve,
    latest_accuracy,
    learning_curve,
    precision_curve,
)
from argilla_loop.policy.report.effort import Effort, effort


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """What one label has.

    Attributes:
        label: its name.
        human: examples of people, as in ``status``.
        held_back: records that people gave it and that no model learns from.
        pool: examples that came with the pool.
        service: records that the service accepted and nobody answered.
    """

    label: str
    human: int
    held_back: int
    pool: int
    service: int

    @property
    def total(self) -> int:
        """All texts with this label."""
        return self.human + self.held_back + self.pool + self.service


@dataclass(frozen=True, slots=True)
class Shares:
    """Where the texts are; each counts once.

    Attributes:
        people: labelled by people.
        service: accepted by the service, and nobody has answered them.
        pool: came with a label, which nobody has changed.
        discarded: by people.
        undecided: people have answered, nobody else has to, and no label follows from it.
        waiting: for people.
        left: not logged yet.
    """

    people: int
    service: int
    pool: int
    discarded: int
    undecided: int
    waiting: int
    left: int

    @property
    def labelled(self) -> int:
        """Texts that have a label."""
        return self.people + self.service + self.pool

    @property
    def total(self) -> int:
        """All texts."""
        return self.labelled + self.discarded + self.undecided + self.waiting + self.left


@dataclass(frozen=True, slots=True)
class Report:
    """The figures of a report.

    Attributes:
        plan: what a turn would do now.
        seen: progress, as ``status`` shows it.
        labels: by label, in the question's order.
        shares: where the texts are.
        learning: accuracy over the pool by batch, from held-back records.
        accuracy: over the pool, from the latest held-back records; ``None`` without an answer.
        kept: suggestions that people kept, by batch.
        precision: of what may be accepted, after each audit result.
        pairs: blind answers by prediction and people's label; ``None``: discarded or undecided.
        effort: of people.
    """

    plan: Plan
    seen: Progress
    labels: Sequence[LabelFigures]
    shares: Shares
    learning: Sequence[CurvePoint]
    accuracy: CurvePoint | None
    kept: Sequence[CurvePoint]
    precision: Sequence[PrecisionPoint]
    pairs: Counter[tuple[str, str | None]]
    effort: Effort

    @property
    def saved_hours(self) -> float | None:
        """Hours that the service saved: its records times the median seconds of an answer; ``None`` if unknown."""
        seconds = self.effort.median_seconds
        return None if seconds is None else self.shares.service * seconds / 3600


def report_of(plan: Plan, seeds: Mapping[str, int]) -> Report:
    """Compute the figures.

    Args:
        plan: the plan that a turn would act on now.
        seeds: labelled examples that came with the pool, by label.
    """
    records, rules = plan.seen.records, plan.acceptance.rules
    seen, came = progress(records), sum(seeds.values())
    confidence = rules.confidence
    return Report(
        plan,
        seen,
        _labels(plan, seen, seeds),
        _shares(records, came, plan.seen.pool_left),
        learning_curve(records, came, confidence=confidence),
        latest_accuracy(records, came, confidence=confidence),
        kept_curve(records, came, confidence=confidence),
        precision_curve(plan.seen.checks, rules.criterion),
        blind_pairs(records),
        effort(records),
    )


def _labels(plan: Plan, seen: Progress, seeds: Mapping[str, int]) -> list[LabelFigures]:
    held_back = Counter(
        one.label
        for one in plan.seen.records
        if one.record.held_back and one.is_answered and one.label is not None
    )
    others = {*seen.human, *seen.model, *seeds, *held_back} - set(plan.seen.labels) - {None}
    names = [*plan.seen.labels, *sorted(name for name in others if name is not None)]
    return [
        LabelFigures(name, seen.human[name], held_back[name], seeds.get(name, 0), seen.model[name])
        for name in names
    ]


def _shares(records: Sequence[AdjudicatedRecord], came: int, left: int) -> Shares:
    found = Counter(_state(one) for one in records)
    return Shares(
        people=found["people"],
        service=found["service"],
        pool=came,
        discarded=found["discarded"],
        undecided=found["undecided"],
        waiting=found["waiting"],
        left=left,
    )


def _state(one: AdjudicatedRecord) -> str:
    if one.is_answered:
        if one.label is not None:
            return "people"
        return "discarded" if one.is_discarded else "undecided"
    if one.is_accepted:  # the answers of too few people make no label, but outrank the service's
        return "undecided" if one.answers else "service"
    return "waiting"
