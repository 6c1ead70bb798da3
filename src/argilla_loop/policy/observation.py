"""What a turn sees: the records of Argilla and the pool, reduced to what the plan looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from argilla_loop.domain import Example, LoggedRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord, cap_pseudo_labels, examples_from
from argilla_loop.policy.matching import all_examples
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.promise import AuditResult


@dataclass(frozen=True, slots=True)
class Batch:
    """The latest batch: its number, how many of its records exist, and how many of those are done."""

    number: int
    size: int
    done: int

    @property
    def is_done(self) -> bool:
        """Whether all of its records are done; neither deleted records nor the planned size count."""
        return self.done >= self.size


@dataclass(frozen=True, slots=True)
class Observation:
    """All that the plan looks at.

    Attributes:
        batch: the latest one; ``None`` before the first.
        examples: labelled texts to learn from.
        labels: all labels of the question.
        pool_left: number of unlabelled pool texts that are not logged yet.
        head: of the model that scored the latest batch.
        checks: audit results, in the order in which the records were logged.
        last_audit_threshold: certainty above which the latest audit was drawn.
        min_submitted: number of people who have to answer a record.
        records: all records of the working dataset.
        task: the kind of question.
        waiting: number of records of all batches that people still have to answer.
    """

    batch: Batch | None
    examples: Sequence[Example]
    labels: Sequence[str]
    pool_left: int
    head: str | None = None
    checks: Sequence[AuditResult] = ()
    last_audit_threshold: float | None = None
    min_submitted: int = 1
    records: Sequence[AdjudicatedRecord] = ()
    task: Task = SINGLE_LABEL
    waiting: int = 0

    @property
    def next_number(self) -> int:
        """Number of the next batch to log, counted from 0."""
        return 0 if self.batch is None else self.batch.number + 1


def observe(
    records: Sequence[AdjudicatedRecord],
    pool_examples: Iterable[Example],
    pool_left: int,
    *,
    labels: Sequence[str],
    rules: Rules,
    min_submitted: int,
    task: Task = SINGLE_LABEL,
) -> Observation:
    """Reduce what Argilla and the pool hold to an observation.

    Args:
        records: all records of the working dataset.
        pool_examples: the examples that came with the pool.
        pool_left: number of unlabelled pool texts that are not logged yet.
        labels: all labels of the question.
        rules: the operator's rules.
        min_submitted: number of people who have to answer a record.
        task: the kind of question.
    """
    answered = examples_from(records, with_model=rules.train_on_model)
    return Observation(
        latest_batch(records),
        cap_pseudo_labels(all_examples(pool_examples, answered), rules.self_training_ratio),
        labels,
        pool_left,
        head_of_latest(one.record for one in records),
        checks_from(settled(records) if rules.refill_at else records, second_looks=rules.second_looks),
        last_audit_threshold(one.record for one in records),
        min_submitted,
        records,
        task,
        count_waiting(records),
    )


def is_open(records: Sequence[AdjudicatedRecord], refill_at: int) -> bool:
    """Return whether people have enough to do, so that no further batch follows yet.

    Args:
        records: all records of the working dataset.
        refill_at: the largest number of waiting records at which the next batch follows.
    """
    batch = latest_batch(records)
    if batch is None or batch.is_done:
        return False
    return not refill_at or count_waiting(records) > refill_at


def _asked(records: Iterable[AdjudicatedRecord]) -> Iterator[AdjudicatedRecord]:
    """Yield each of ``records``, followed by its second looks."""
    for one in records:
        yield one
        yield from one.second_looks


def waiting_records(records: Iterable[AdjudicatedRecord]) -> list[AdjudicatedRecord]:
    """Return the records of all batches that people still have to answer."""
    return [each for each in _asked(records) if each.record.batch is not None and not each.is_done]


def count_waiting(records: Iterable[AdjudicatedRecord]) -> int:
    """Return how many records of all batches people still have to answer."""
    return len(waiting_records(records))


def is_blind(record: LoggedRecord) -> bool:
    """Return whether people answer ``record`` without seeing the model's label, and it may count as a check."""
    return record.route is Route.AUDIT or record.held_back


def settled(records: Sequence[AdjudicatedRecord]) -> list[AdjudicatedRecord]:
    """Return the records of the batches before the first one in which an audit or a held-back record still waits.

    Where batches overlap, people may leave the hard ones for later. What they answered of a batch is no random sample
    of it then, so its checks count only once all of them are answered.
    """
    waiting = [
        one.record.batch
        for one in records
        if one.record.batch is not None and is_blind(one.record) and not one.is_done
    ]
    first = min(waiting, default=None)
    return [one for one in records if first is None or (one.record.batch or 0) < first]


def latest_batch(records: Iterable[AdjudicatedRecord]) -> Batch | None:
    """Return the batch with the highest number among ``records``, or ``None`` if no record has a number."""
    numbered = [(each.record.batch, each) for each in _asked(records) if each.record.batch is not None]
    if not numbered:
        return None
    latest = max(number for number, _ in numbered)
    members = [one for number, one in numbered if number == latest]
    return Batch(latest, size=len(members), done=sum(one.is_done for one in members))


def latest_batches(records: Sequence[LoggedRecord], count: int) -> list[LoggedRecord]:
    """Return the records of the ``count`` batches with the highest numbers."""
    numbers = {record.batch for record in records if record.batch is not None}
    latest = set(sorted(numbers)[-count:])
    return [record for record in records if record.batch in latest]


def head_of_latest(records: Iterable[LoggedRecord]) -> str | None:
    """Return the head of the model that scored the batch with the highest number, from its version."""
    return (model_of_latest(records) or "").rpartition("-")[0] or None


def model_of_latest(records: Iterable[LoggedRecord]) -> str | None:
    """Return the version of the model that scored the batch with the highest number; ``None`` if no model did."""
    scored = [(record.batch, record.model) for record in records if record.batch is not None and record.model]
    return max(scored)[1] if scored else None


def last_audit_threshold(records: Iterable[LoggedRecord]) -> float | None:
    """Return the certainty above which the latest audit was drawn."""
    audits = [
        (record.batch, record.threshold)
        for record in records
        if record.route is Route.AUDIT and record.batch is not None and record.threshold is not None
    ]
    return max(audits)[1] if audits else None
