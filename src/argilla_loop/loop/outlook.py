"""Looking ahead: the evidence for a model, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import Model
from argilla_loop.loop.scoring import score_texts
from argilla_loop.policy.answers import count_accepted, count_labelled
from argilla_loop.policy.estimate.evidence import BlindEvidence, blind_evidence
from argilla_loop.policy.estimate.outlook import Outlook, look_ahead
from argilla_loop.policy.observation import Observation
from argilla_loop.policy.plan import Plan


def outlook_of(
    decided: Plan,
    model: Model,
    certainties: NDArray[np.float64],
    agreement: Sequence[float],
    *,
    acceptable: int | None = None,
) -> Outlook:
    """Look ahead with what people said of random records, compared with ``model``.

    Args:
        decided: the plan, with the records.
        model: the current one.
        certainties: of the texts that are left.
        agreement: kappa of successive models.
        acceptable: number of texts left whose certainty allows to accept them.
    """
    seen, rules = decided.seen, decided.acceptance.rules
    found = evidence_for(seen, model)
    held_back = found.held_back
    return look_ahead(
        found.results,
        certainties,
        human=count_labelled(seen.records),
        accepted=count_accepted(seen.records).total(),
        accepted_results=found.audits_right,
        left=seen.pool_left,
        agreement=agreement,
        confidence=rules.confidence,
        target=rules.stop_at_accuracy,
        held_back=(sum(result.right for result in held_back), len(held_back)) if held_back else None,
        acceptable=acceptable,
    )


def evidence_for(seen: Observation, model: Model) -> BlindEvidence:
    """Return what people said of random records, compared with ``model``."""

    def predict(texts: Sequence[str]) -> tuple[Sequence[str], NDArray[np.float64]]:
        labels, _, certainties = score_texts(model, texts, seen.task, exact=True)
        return labels, certainties

    return blind_evidence(seen.records, seen.checks, predict)
