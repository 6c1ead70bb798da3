"""Looking ahead: what people said of random records, compared with the current model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import Model
from argilla_loop.policy.estimate.accuracy import Result
from argilla_loop.policy.estimate.outlook import Outlook, look_ahead
from argilla_loop.policy.observation import Observation
from argilla_loop.policy.plan import Plan
from argilla_loop.policy.task import Task
from argilla_loop.policy.validation.checks import held_back_answers
from argilla_loop.policy.validation.promise import AuditResult


def outlook_of(
    decided: Plan,
    model: Model,
    certainties: NDArray[np.float64],
    agreement: Sequence[float],
    task: Task,
    *,
    acceptable: int | None = None,
) -> Outlook:
    """Look ahead with what people said of random records, compared with ``model``.

    Held-back records are predicted anew by ``model``, which has not learnt from them. Audits count as they were
    predicted, before a model learnt from them.

    Args:
        decided: the plan, with the records.
        model: the current one.
        certainties: of the texts that are left.
        agreement: kappa of successive models.
        task: the kind of question.
        acceptable: number of texts left whose certainty allows to accept them.
    """
    seen, rules = decided.seen, decided.acceptance.rules
    results, audits = random_results(seen, model, task)
    found = (sum(result.right for result in results), len(results)) if results else None
    results += [Result(check.certainty, check.right) for check in audits]
    return look_ahead(
        results,
        certainties,
        human=sum(one.label is not None for one in seen.records),
        accepted=sum(one.is_accepted and not one.answers for one in seen.records),
        accepted_results=[check.right for check in audits],
        left=seen.pool_left,
        agreement=agreement,
        confidence=rules.confidence,
        target=rules.stop_at_accuracy,
        held_back=found,
        acceptable=acceptable,
    )


def random_results(seen: Observation, model: Model, task: Task) -> tuple[list[Result], list[AuditResult]]:
    """Return what people said of held-back records, which ``model`` predicts anew, and the results of audits."""
    held_back = held_back_answers(seen.records)
    results = []
    if held_back:
        predicted = task.predict(model.predict_proba([one.record.text for one in held_back]), model.labels)
        results = [
            Result(float(certainty), task.agree(label, one.label), one.record.weight or 1.0)
            for one, label, certainty in zip(held_back, predicted.labels, predicted.certainties, strict=True)
        ]
    return results, [check for check in seen.checks if check.above > 0]
