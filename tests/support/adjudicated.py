"""Records as the policy reads them."""

from __future__ import annotations

from collections.abc import Iterable

from argilla_loop.domain import LoggedRecord
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate
from argilla_loop.policy.task import LabelRule


def read(
    record: LoggedRecord, service_user_id: str, label_rule: LabelRule = "majority", *, min_submitted: int = 1
) -> AdjudicatedRecord:
    """Adjudicate ``record`` for the service of that user."""
    return adjudicate(record, AnswerRule(service_user_id, label_rule, min_submitted))


def read_all(
    records: Iterable[LoggedRecord],
    service_user_id: str,
    label_rule: LabelRule = "majority",
    *,
    min_submitted: int = 1,
) -> list[AdjudicatedRecord]:
    """Adjudicate each of ``records``."""
    return [read(one, service_user_id, label_rule, min_submitted=min_submitted) for one in records]
