"""Observe and plan: the decision of a turn, and what it would be now for whoever looks at it meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.domain import Pool
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.observation import observe
from argilla_loop.policy.plan import Plan, plan
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import SINGLE_LABEL, Task


@dataclass(frozen=True, slots=True)
class View:
    """What a turn would decide now.

    Attributes:
        plan: the decision, with the observation that it is based on.
        seeds: number of labelled examples that came with the pool, by label.
    """

    plan: Plan
    seeds: Mapping[str, int]


def decide(
    records: Sequence[AdjudicatedRecord],
    pool: Pool,
    left: int,
    info: DatasetInfo,
    rules: Rules,
    task: Task = SINGLE_LABEL,
) -> Plan:
    """Observe and plan: the decision that a turn acts on, and that ``argilla-loop status`` explains.

    Args:
        records: all records of the working dataset.
        pool: as it is now.
        left: number of its unlabelled texts that are not logged yet.
        info: of the working dataset.
        rules: the operator's rules.
        task: the kind of question.
    """
    seen = observe(
        records,
        pool.examples(),
        left,
        labels=info.labels,
        rules=rules,
        min_submitted=info.min_submitted,
        task=task,
    )
    return plan(seen, rules)


def view(
    records: Sequence[AdjudicatedRecord], pool: Pool, left: int, info: DatasetInfo, rules: Rules, task: Task
) -> View:
    """Return what a turn would decide now; the arguments are those of ``decide``."""
    seeds = Counter(example.label for example in pool.examples())
    return View(decide(records, pool, left, info, rules, task), seeds)
