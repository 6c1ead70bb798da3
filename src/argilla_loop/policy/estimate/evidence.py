"""What people said, without a suggestion, of records that were drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.estimate.accuracy import Result
from argilla_loop.policy.validation.checks import held_back_answers
from argilla_loop.policy.validation.promise import AuditResult


@dataclass(frozen=True, slots=True)
class BlindEvidence:
    """What an estimate is based on.

    Attributes:
        held_back: answers to held-back records, compared with the current model, which has not learnt from them.
        audits: results of audits, as they were predicted before a model learnt from them.
    """

    held_back: Sequence[Result]
    audits: Sequence[AuditResult]

    @property
    def results(self) -> list[Result]:
        """All of them."""
        return [*self.held_back, *(Result(check.certainty, check.right) for check in self.audits)]

    @property
    def audits_right(self) -> list[bool]:
        """Whether each audit was right."""
        return [check.right for check in self.audits]


def blind_evidence(
    records: Iterable[AdjudicatedRecord],
    checks: Iterable[AuditResult],
    predict: Callable[[Sequence[str]], tuple[Sequence[str], NDArray[np.float64]]] | None,
) -> BlindEvidence:
    """Collect the evidence.

    Args:
        records: of the working dataset.
        checks: audit results.
        predict: returns the current model's labels and certainties of texts; ``None`` leaves held-back records out.
    """
    audits = [check for check in checks if check.above > 0]
    answered = held_back_answers(records) if predict is not None else []
    if predict is None or not answered:
        return BlindEvidence((), audits)
    labels, certainties = predict([one.record.text for one in answered])
    return BlindEvidence(
        [
            Result(float(certainty), one.rule.task.agree(label, one.label), one.record.weight or 1.0)
            for one, label, certainty in zip(answered, labels, certainties, strict=True)
        ],
        audits,
    )
