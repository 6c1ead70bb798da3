"""Evidence for accepting: what people said of records that the model was certain of, and of records held back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from argilla_loop.domain import LoggedRecord, Route
from argilla_loop.policy.answers import LabelRule, human_answers, human_label, is_answered_by_service_user
from argilla_loop.policy.validation.promise import AuditResult

WHOLE = 2**64


def is_audited(record_id: str, version: str, rate: float) -> bool:
    """Whether a record that model ``version`` would accept is audited instead: a share of ``rate`` of them is.

    Drawn by a hash of both, so that neither order nor a restart changes the draw, and nobody can steer it.
    """
    return _draw(f"audit/{record_id}/{version}") < rate


def checks_from(
    records: Iterable[LoggedRecord],
    *,
    service_user_id: str,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> list[AuditResult]:
    """What ``records`` say of the model, in the order they were logged.

    Three kinds count: audited records, records held back, and accepted ones that people corrected. An accepted one
    that somebody confirmed does not: who looks at it was not drawn by lot. What people are shown a suggestion for never
    counts, and neither does anything of the model's own.
    """
    found: list[tuple[int, str, AuditResult]] = []
    for record in records:
        if record.prediction is None or record.certainty is None or record.batch is None:
            continue
        if not record.held_back and record.route not in (Route.ACCEPT, Route.AUDIT):
            continue
        answers = human_answers(record, service_user_id)
        if not answers or len(answers) < min_submitted:
            continue
        label = human_label(record, service_user_id, rule)
        right = label == record.prediction
        above = record.threshold or 0.0
        if record.held_back:
            above = 0.0
        elif record.route is Route.ACCEPT and (
            # where the service's answer is gone it was taken back
            right or not is_answered_by_service_user(record, service_user_id)
        ):
            continue
        found.append(
            (record.batch, record.id, AuditResult(record.prediction, record.certainty, right, above))
        )
    return [check for *_, check in sorted(found, key=lambda one: one[:2])]


def held_back_answers(
    records: Iterable[LoggedRecord],
    *,
    service_user_id: str,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> list[tuple[str, str | None]]:
    """Text and label (``None``: discarded or undecided) of the held-back records that people have answered."""
    return [
        (record.text, human_label(record, service_user_id, rule))
        for record in records
        if record.held_back and len(human_answers(record, service_user_id)) >= min_submitted
    ]


def _draw(key: str) -> float:
    """A number in [0, 1) that looks random and depends on ``key`` alone."""
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "little") / WHOLE
