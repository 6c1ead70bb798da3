"""What the next batch may accept, on what evidence: the decision that the loop acts on and ``status`` explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argilla_loop.domain import Example, Origin
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.promise import AcceptanceDecision, AuditResult, decide_by_label


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What the next batch may accept.

    Attributes:
        rules: the operator's rules.
        labels: all labels of the question.
        missing: label -> human examples that it lacks; while any label lacks some, nothing is accepted.
        below_accept_minimum: label -> human examples that it lacks before anything is accepted as that label.
        decisions: by label; empty if the rules never accept anything.
        min_submitted: number of people who have to answer a record of the dataset.
        last_audit_threshold: certainty above which the latest audit was drawn; ``None`` before the first.
    """

    rules: Rules
    labels: Sequence[str]
    missing: Mapping[str, int] = field(default_factory=dict)
    below_accept_minimum: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, AcceptanceDecision] = field(default_factory=dict)
    min_submitted: int = 1
    last_audit_threshold: float | None = None


def decide_acceptance(
    examples: Sequence[Example],
    checks: Sequence[AuditResult],
    labels: Sequence[str],
    rules: Rules,
    *,
    min_submitted: int = 1,
    last_audit_threshold: float | None = None,
    task: Task = SINGLE_LABEL,
) -> Acceptance:
    """Decide what the next batch may accept.

    Args:
        examples: labelled texts of people, and of the model.
        checks: audit results, in the order in which the records were logged.
        labels: all labels of the question.
        rules: the operator's rules.
        min_submitted: number of people who have to answer a record.
        last_audit_threshold: certainty above which the latest audit was drawn.
        task: the kind of question.
    """
    criterion = rules.criterion
    each = rules.promise == "label"
    return Acceptance(
        rules,
        labels,
        missing_examples(examples, labels, rules.min_examples_per_label, task),
        missing_examples(examples, labels, rules.min_accept_examples, task),
        decide_by_label(checks, criterion, labels, each=each, task=task) if criterion is not None else {},
        min_submitted,
        last_audit_threshold,
    )


def missing_examples(
    examples: Iterable[Example], labels: Sequence[str], minimum: int, task: Task = SINGLE_LABEL
) -> dict[str, int]:
    """Count the human examples that each label lacks; labels that have ``minimum`` of them are left out."""
    counts = Counter(
        name for example in examples if example.origin is Origin.HUMAN for name in task.names(example.label)
    )
    return {label: minimum - counts[label] for label in labels if counts[label] < minimum}
