"""Which accepted records go back to the annotators for a review, and whether their answers count as checks."""

from __future__ import annotations

from collections.abc import Iterable

from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.chance import chance
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.revocation import RevocationFilter, revocable


def reviewable(records: Iterable[AdjudicatedRecord], which: RevocationFilter) -> list[AdjudicatedRecord]:
    """Return the records that a service accepted, that nobody has answered, and that ``which`` takes.

    A record whose return to the queue was interrupted is one of them.
    """
    return [one for one in revocable(records, which) if not one.answers]


def drawn(records: Iterable[AdjudicatedRecord], count: int, seed: int) -> list[AdjudicatedRecord]:
    """Return ``count`` of ``records`` at random.

    The order of drawing depends on ``seed`` and the ids alone. So if some have gone to the queue, drawing as many as
    are missing continues the same sample.
    """
    return sorted(records, key=lambda one: chance(f"review/{seed}/{one.record.id}"))[:count]


def why_no_check(which: RevocationFilter, rules: Rules, *, blind: bool) -> str | None:
    """Return why answers to the reviewed records are no checks; ``None`` if they are.

    A check is drawn at random from what was acceptable, and answered without seeing the model's label. With a promise
    for each label, a sample of one label is random for that label's decision; otherwise it would make one label count
    more than it should. A sample below some certainty is random for no decision.
    """
    if not blind:
        return "annotators see the service's label (add --blind)"
    if which.below is not None:
        return "records below a certainty are no random sample (leave --below out)"
    if which.labels and rules.promise != "label":
        return "records of one label are no random sample of all (leave --label out)"
    return None


def asked_for_review(record: LoggedRecord, *, blind: bool, check: bool) -> NewRecord:
    """Return what becomes of an accepted record under review; the model's label stays in its metadata.

    Args:
        record: as the service accepted it.
        blind: whether annotators are asked without a suggestion.
        check: whether their answer counts as a check.
    """
    return NewRecord(
        record.id,
        record.text,
        record.batch or 0,
        Route.AUDIT if check else Route.ASK,
        record.prediction,
        record.certainty,
        record.model,
        record.threshold,
        hidden=blind,
    )
