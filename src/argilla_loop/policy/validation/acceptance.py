"""What the next batch may accept, on what evidence: the decision that the loop acts on and ``status`` explains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from argilla_loop.domain import Example, Origin
from argilla_loop.policy.rules import MAX_BATCH, Rules
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.promise import (
    AcceptanceDecision,
    AuditResult,
    decide_by_label,
)

# Wrong labels that one batch may be expected to accept. With 500 records a batch and the usual precision of 98% it is
# what a batch accepts anyhow, so it costs nothing once some audits are right. Chosen, not measured.
EXPECTED_WRONG = 10.0


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
        human: number of human examples.
        last_audit_threshold: certainty above which the latest audit was drawn; ``None`` before the first.
    """

    rules: Rules
    labels: Sequence[str]
    missing: Mapping[str, int] = field(default_factory=dict)
    below_accept_minimum: Mapping[str, int] = field(default_factory=dict)
    decisions: Mapping[str, AcceptanceDecision] = field(default_factory=dict)
    min_submitted: int = 1
    human: int = 0
    last_audit_threshold: float | None = None

    @property
    def limit(self) -> int:
        """The most records that the next batch may accept beyond its slice.

        Without a setting it follows the evidence: so many that no more than ``EXPECTED_WRONG`` of them are expected to
        be wrong, by the rule of succession (Laplace 1812) over the audit results. Before the first of them that is 20
        records, after 30 right ones 320. A promise that is granted has proven itself: then it is all of a request.
        """
        most = int(min(MAX_BATCH - self.rules.slice_size, self.room))
        if self.rules.accept_limit is not None:
            return min(self.rules.accept_limit, most)
        if self.rules.criterion is None or self.rules.criterion.precision is not None:
            return most
        checked, right = self.checks
        return min(most, int(EXPECTED_WRONG * (checked + 2) / (checked - right + 1)))

    @property
    def thresholds(self) -> dict[str, float]:
        """Certainty above which each label is accepted now; labels that are not accepted are left out."""
        if self.missing:
            return {}
        return {
            label: decision.threshold
            for label, decision in self.decisions.items()
            if decision.threshold is not None and label not in self.below_accept_minimum
        }

    @property
    def room(self) -> float:
        """How many records may be accepted at all until there is more evidence."""
        return min((one.room for one in self.decisions.values()), default=math.inf)

    @property
    def granted(self) -> dict[str, float]:
        """Certainty above which the required precision is shown for each label, or nothing is required."""
        return self.thresholds if self.room == math.inf else {}

    @property
    def granted_threshold(self) -> float | None:
        """The threshold that is granted for all labels together, if one is."""
        if self.rules.promise == "label" or self.room < math.inf:
            return None
        return next((one.threshold for one in self.decisions.values()), None)

    @property
    def waits_for_audits(self) -> bool:
        """Whether the limit follows the audits, and more right ones would raise it."""
        criterion = self.rules.criterion
        return (
            criterion is not None
            and criterion.precision is None
            and self.rules.accept_limit is None
            and self.limit < MAX_BATCH - self.rules.slice_size
        )

    @property
    def covered(self) -> int:
        """With a promise for the dataset, the number of labels for which it holds now; 0 if it does not."""
        return next((one.covered for one in self.decisions.values()), 0)

    @property
    def what_allows_more(self) -> str:
        """What raises ``room``, in words."""
        missing = max((one.missing for one in self.decisions.values()), default=0)
        return (
            "each label by people and each right check allows more, and "
            f"{missing:,} more right check{'' if missing == 1 else 's'} in a row would allow all"
        )

    def evidence_for(self, threshold: float) -> tuple[int, int]:
        """Return how many audit results there are, and how many further right ones would let more be accepted.

        Args:
            threshold: certainty above which audits are drawn.
        """
        criterion, (checked, right) = self.rules.criterion, self.checks
        if criterion is None or not self.decisions:
            return 0, 0
        if criterion.precision is None:
            most = MAX_BATCH - self.rules.slice_size
            enough = math.ceil(most * (checked - right + 1) / EXPECTED_WRONG) - 2
            return checked, max(enough - checked, 0) if self.waits_for_audits else 0
        if self.rules.promise == "label":
            return checked, sum(one.missing for one in self.decisions.values())
        shared = next(iter(self.decisions.values()))
        if self.granted_threshold is not None and threshold >= self.granted_threshold:
            return checked, 0
        return checked, shared.further.get(threshold, shared.missing)

    @property
    def checks(self) -> tuple[int, int]:
        """Number of audit results above the threshold in force, and how many of them are right."""
        if self.rules.promise != "label":
            shared = next(iter(self.decisions.values()), AcceptanceDecision(None))
            return shared.checked, shared.right
        found = self.decisions.values()
        return sum(one.checked for one in found), sum(one.right for one in found)


def decide_acceptance(
    examples: Sequence[Example],
    checks: Sequence[AuditResult],
    labels: Sequence[str],
    rules: Rules,
    *,
    labelled: int = 0,
    accepted: Mapping[float, int] | None = None,
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
        labelled: number of records that people labelled.
        accepted: number of labels that the model gave and nobody answered, by the threshold above which they lay.
        min_submitted: number of people who have to answer a record.
        last_audit_threshold: certainty above which the latest audit was drawn.
        task: the kind of question.
    """
    criterion = rules.criterion
    decisions: Mapping[str, AcceptanceDecision] = {}
    if criterion is not None:
        decisions = decide_by_label(
            checks, criterion, labels, rules.promise, labelled=labelled, accepted=accepted, task=task
        )
    return Acceptance(
        rules,
        labels,
        missing_examples(examples, labels, rules.min_examples_per_label, task),
        missing_examples(examples, labels, rules.min_accept_examples, task),
        decisions,
        min_submitted,
        sum(example.origin is Origin.HUMAN for example in examples),
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
