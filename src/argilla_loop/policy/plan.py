"""The next step, from what is seen: a pure function, the heart of the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argilla_loop.domain import Example, LoggedRecord, Origin, Route
from argilla_loop.policy.answers import is_done
from argilla_loop.policy.validation.promise import (
    AcceptanceCriterion,
    AcceptanceDecision,
    AuditResult,
    decide_by_label,
)

MAX_BATCH = 500  # records that one request to Argilla takes: a batch is logged whole or not at all
COLD_START = 50  # the most human examples that are asked for before there is a model
LEAST_LABELS = 2  # that a model can tell apart


@dataclass(frozen=True, slots=True)
class Batch:
    """The latest batch: its number, how many of its records exist, how many of those are done."""

    number: int
    size: int
    done: int

    @property
    def is_done(self) -> bool:
        """Whether all of its records are done; deleted records don't count, nor does the planned size."""
        return self.done >= self.size


@dataclass(frozen=True, slots=True)
class Observation:
    """All that the plan looks at."""

    batch: Batch | None  # the latest one; None before the first
    examples: Sequence[Example]
    labels: Sequence[str]
    pool_left: int  # unlabelled pool records that are not logged yet
    head: str | None = None  # of the model that scored the latest batch
    checks: Sequence[AuditResult] = ()  # what people said of the model, in the order it was asked
    last_audit_threshold: float | None = None  # certainty above which the latest audit was drawn

    @property
    def next_number(self) -> int:
        """Number of the batch to log next, counted from 0."""
        return 0 if self.batch is None else self.batch.number + 1


@dataclass(frozen=True, slots=True)
class Wait:
    """People have not finished the latest batch."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Too few examples for a model: put texts that stand for the pool before people, without suggestions."""

    number: int
    size: int
    missing: Mapping[str, int] = field(default_factory=dict)  # label -> how many examples it lacks


@dataclass(frozen=True, slots=True)
class NextBatch:
    """Retrain, score the pool, log the next slice."""

    number: int
    size: int
    missing: Mapping[str, int] = field(
        default_factory=dict
    )  # while any label lacks examples nothing is accepted
    below_accept_minimum: Mapping[str, int] = field(
        default_factory=dict
    )  # label -> examples it lacks before it is ever accepted
    decisions: Mapping[str, AcceptanceDecision] = field(
        default_factory=dict
    )  # by label; empty where nothing is to be accepted
    last_audit_threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Finished:
    """The pool is exhausted and everything in it is done; stay up and watch."""

    missing: Mapping[str, int] = field(default_factory=dict)


Step = Wait | ColdStart | NextBatch | Finished


def latest_batch(
    records: Iterable[LoggedRecord], *, min_submitted: int, service_user_id: str
) -> Batch | None:
    """The batch with the highest number among ``records``, or ``None`` where none has a number."""
    records = [record for record in records if record.batch is not None]
    if not records:
        return None
    number = max(record.batch for record in records if record.batch is not None)
    members = [record for record in records if record.batch == number]
    done = sum(
        is_done(record, min_submitted=min_submitted, service_user_id=service_user_id) for record in members
    )
    return Batch(number, size=len(members), done=done)


def latest_batches(records: Sequence[LoggedRecord], count: int) -> list[LoggedRecord]:
    """The records of the ``count`` batches with the highest numbers."""
    numbers = {record.batch for record in records if record.batch is not None}
    latest = set(sorted(numbers)[-count:])
    return [record for record in records if record.batch in latest]


def head_of_latest(records: Iterable[LoggedRecord]) -> str | None:
    """The head of the model that scored the batch with the highest number, as its version names it."""
    scored = [(record.batch, record.model) for record in records if record.batch is not None and record.model]
    if not scored:
        return None
    _, version = max(scored)
    return version.rpartition("-")[0] or None


def last_audit_threshold(records: Iterable[LoggedRecord]) -> float | None:
    """The certainty above which the latest audit was drawn."""
    audits = [
        (record.batch, record.threshold)
        for record in records
        if record.route is Route.AUDIT and record.batch is not None and record.threshold is not None
    ]
    return max(audits)[1] if audits else None


def missing_examples(examples: Iterable[Example], labels: Sequence[str], minimum: int) -> dict[str, int]:
    """How many human examples each label still lacks; labels that have enough are left out."""
    counts = Counter(example.label for example in examples if example.origin is Origin.HUMAN)
    return {label: minimum - counts[label] for label in labels if counts[label] < minimum}


def plan(
    seen: Observation,
    *,
    slice_size: int,
    minimum: int,
    criterion: AcceptanceCriterion | None = None,
    each_label: bool = False,
    accept_minimum: int = 0,
    largest: int = MAX_BATCH,
) -> Step:
    """Decide the next step.

    A cold start asks for as many texts as would give each label its minimum if labels were even, but for no more than
    ``COLD_START``: from then on a model finds a rare label's texts better than chance does.

    Args:
        seen: what was observed.
        slice_size: records of an ordinary batch.
        minimum: human examples each label needs before the service accepts anything.
        criterion: what is demanded before anything is accepted; None: people see everything.
        each_label: whether each label has to meet it by itself.
        accept_minimum: human examples of a label before anything is accepted as that label.
        largest: the most records that a batch may have (one request to Argilla, so that a batch is logged
            whole or not at all).
    """
    if seen.batch is not None and not seen.batch.is_done:
        return Wait(seen.batch)
    missing = missing_examples(seen.examples, seen.labels, minimum)
    if not seen.pool_left:
        return Finished(missing)
    most = min(largest, seen.pool_left)
    found = Counter(example.label for example in seen.examples if example.origin is Origin.HUMAN)
    wanted = min(minimum * len(seen.labels), COLD_START) - found.total()
    if missing and (wanted > 0 or len(found) < LEAST_LABELS):
        return ColdStart(seen.next_number, min(max(slice_size, wanted), most), missing)
    return NextBatch(
        seen.next_number,
        min(slice_size, most),
        missing,
        below_accept_minimum=missing_examples(seen.examples, seen.labels, accept_minimum),
        decisions=decide_by_label(seen.checks, criterion, seen.labels, each=each_label)
        if criterion is not None
        else {},
        last_audit_threshold=seen.last_audit_threshold,
    )
