"""Which records were not answered blind once annotators could see the model's prediction."""

from __future__ import annotations

from collections.abc import Iterable

from argilla_loop.domain import Route
from argilla_loop.policy.answers import AdjudicatedRecord


def seen_through(records: Iterable[AdjudicatedRecord], since: str) -> list[str]:
    """Return the ids of audits and held-back records that people may not have answered blind, in order.

    These are the ones that wait for an answer, and those answered at ``since`` or later. Audits on which people
    contradicted the model are left out: an answer against a visible prediction is evidence all the more. This
    asymmetry can only lower the measured precision. Held-back records have no such exception, because they estimate
    accuracy.

    Args:
        records: of the working dataset.
        since: when annotators could see the prediction first (ISO 8601, server time, like that of answers).
    """
    found = []
    for one in records:
        record = one.record
        if record.route is not Route.AUDIT and not record.held_back:
            continue
        if one.is_answered and all(answer.updated_at < since for answer in one.answers):
            continue
        wrong = bool(one.answers) and not one.is_right
        if not wrong or record.held_back:
            found.append(record.id)
    return found
