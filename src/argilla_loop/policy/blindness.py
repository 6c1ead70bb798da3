"""Which records were not answered blind, once annotators could see what the model says of them."""

from __future__ import annotations

from collections.abc import Iterable

from argilla_loop.domain import LoggedRecord, Route
from argilla_loop.policy.answers import LabelRule, human_answers, human_label


def seen_through(
    records: Iterable[LoggedRecord],
    since: str,
    *,
    service_user_id: str,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> list[str]:
    """Ids of audits and held-back records that people may have seen through, in the order of ``records``.

    Those that wait for an answer, and those answered at ``since`` or later. Audits that people answered otherwise than
    the model are left out: they speak against it all the more, and so stay evidence. What is asymmetric here can only
    lower the figure. Held-back records have no such exception, as they estimate an accuracy.

    Args:
        records: of the working dataset.
        since: when annotators could see it first (ISO 8601, the server's time, as that of answers).
        service_user_id: user id of the service.
        rule: how several answers make one label.
        min_submitted: answers that a record needs; with fewer it waits.
    """
    found = []
    for record in records:
        if record.route is not Route.AUDIT and not record.held_back:
            continue
        answers = human_answers(record, service_user_id)
        if len(answers) >= max(min_submitted, 1) and all(answer.updated_at < since for answer in answers):
            continue
        wrong = bool(answers) and human_label(record, service_user_id, rule) != record.prediction
        if not wrong or record.held_back:
            found.append(record.id)
    return found
