"""The promise under which a record was accepted, as its metadata name it, and whether the audits allowed it then."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from argilla_loop.policy.second_looks import unseen
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.promise import (
    THRESHOLDS,
    AcceptanceCriterion,
    AcceptanceDecision,
    AuditResult,
    Scope,
    decide_by_label,
)

_WRITTEN = re.compile(
    r"(target_precision|min_precision) ([0-9.]+), confidence ([0-9.]+), promise (overall|label|dataset)"
    r"(, second looks)?"
)


@dataclass(frozen=True, slots=True)
class Promise:
    """What was promised of the records that were accepted under it, in the words of the settings.

    Attributes:
        kind: the setting that asked for it.
        precision: share of the accepted records that must be right, 0 to 1.
        confidence: probability with which that holds, 0 to 1.
        per: whether it holds for all accepted labels together, for each label, or for all labels of the dataset.
        second_looks: whether right is what most of three people say, see ``policy.second_looks``.
    """

    kind: Literal["target_precision", "min_precision"]
    precision: float
    confidence: float
    per: Scope
    second_looks: bool = False

    def __str__(self) -> str:
        looks = ", second looks" if self.second_looks else ""
        return f"{self.kind} {self.precision:g}, confidence {self.confidence:g}, promise {self.per}{looks}"

    @classmethod
    def read(cls, written: str | None) -> Promise | None:
        """Return what ``str`` wrote; ``None`` for anything else."""
        found = _WRITTEN.fullmatch(written or "")
        if found is None:
            return None
        kind, precision, confidence, per, looks = found.groups()
        try:
            return cls(kind, float(precision), float(confidence), per, bool(looks))  # type: ignore[arg-type]  # the pattern's words
        except ValueError:  # such as "1.2.3", which somebody else wrote
            return None

    def decisions(
        self,
        checks: Sequence[AuditResult],
        labels: Sequence[str],
        threshold: float,
        task: Task = SINGLE_LABEL,
        *,
        labelled: int = 0,
        accepted: Mapping[float, int] | None = None,
    ) -> Mapping[str, AcceptanceDecision]:
        """Return what ``checks`` allow under this promise, by label.

        Args:
            checks: in the order in which their records were logged.
            labels: all labels of the question.
            threshold: the fixed certainty threshold, for ``min_precision``.
            task: the kind of question.
            labelled: number of people's labels, for a promise for the dataset.
            accepted: number of accepted labels by threshold, for a promise for the dataset.
        """
        thresholds = THRESHOLDS if self.kind == "target_precision" else (threshold,)
        factor = unseen(second_looks=self.second_looks)
        criterion = AcceptanceCriterion(thresholds, self.precision, self.confidence, factor)
        return decide_by_label(
            checks, criterion, labels, self.per, labelled=labelled, accepted=accepted, task=task
        )
