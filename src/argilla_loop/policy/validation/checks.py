"""Evidence for accepting: the answers of people to audited and held-back records."""

from __future__ import annotations

from collections.abc import Iterable

from argilla_loop.domain import Route
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.chance import chance
from argilla_loop.policy.validation.carried import is_withdrawn
from argilla_loop.policy.validation.promise import AuditResult


def is_audited(record_id: str, version: str, rate: float) -> bool:
    """Return whether a record that model ``version`` would accept is audited instead, as a share of ``rate`` are.

    The draw is a hash of both, so neither the order of records nor a restart changes it, and nobody can influence it.
    """
    return audit_draw(record_id, version) < rate


def audit_draw(record_id: str, version: str) -> float:
    """Return the number in [0, 1) by which ``is_audited`` decides: the lower, the sooner a record is audited."""
    return chance(f"audit/{record_id}/{version}")


def checks_from(records: Iterable[AdjudicatedRecord], *, second_looks: bool = False) -> list[AuditResult]:
    """Return what ``records`` say about the model's precision, in the order in which they were logged.

    Three kinds count: audited records, held-back records, and accepted ones that people corrected. An accepted record
    that somebody confirmed does not count, because nobody drew it at random. A record that was shown with a suggestion
    never counts. Nor does a correction of what was accepted before a label was added, of which nothing is promised.

    Args:
        records: of the working dataset.
        second_looks: whether an audit counts by the majority of its looks (see ``policy.second_looks``), not by the
            first. Held-back records have no second look, so they do not count then.
    """
    found: list[tuple[int, str, AuditResult]] = []
    for one in records:
        record = one.record
        if record.prediction is None or record.certainty is None or record.batch is None:
            continue
        if record.second_look_of is not None:  # its first record was deleted; it was not drawn at random
            continue
        if not record.held_back and record.route not in (Route.ACCEPT, Route.AUDIT):
            continue
        if not one.is_answered or (second_looks and record.held_back):
            continue
        above = record.threshold or 0.0
        if record.held_back:
            above = 0.0
        elif record.route is Route.ACCEPT and (
            one.is_right or one.is_half_revoked or is_withdrawn(record.promise)
        ):
            continue
        right = one.is_right if second_looks else one.looks[0]
        result = AuditResult(record.prediction, record.certainty, right, above)
        found.append((record.batch, record.id, result))
    return [result for *_, result in sorted(found, key=lambda one: one[:2])]


def held_back_answers(records: Iterable[AdjudicatedRecord]) -> list[AdjudicatedRecord]:
    """Return the held-back records that people have answered."""
    return [one for one in records if one.record.held_back and len(one.answers) >= one.rule.min_submitted]
