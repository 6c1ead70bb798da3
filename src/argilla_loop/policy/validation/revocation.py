"""Which accepted records to take back, and what becomes of one that is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import (
    LabelRule,
    accepted_by_model,
    human_answers,
    human_label,
    is_answered_by_service_user,
)
from argilla_loop.policy.validation.promise import AcceptanceDecision


@dataclass(frozen=True, slots=True)
class RevocationFilter:
    """The accepted records that all of these hold for; what is empty or ``None`` demands nothing."""

    models: frozenset[str] = frozenset()  # one of these versions accepted it
    labels: frozenset[str] = frozenset()  # as one of these
    below: float | None = None  # with a certainty lower than this

    def takes(self, record: LoggedRecord) -> bool:
        """Whether ``record`` is meant; to be asked of accepted records."""
        return (
            (not self.models or record.model in self.models)
            and (not self.labels or record.prediction in self.labels)
            and (self.below is None or (record.certainty is not None and record.certainty < self.below))
        )


def is_half_revoked(record: LoggedRecord, service_user_id: str) -> bool:
    """Whether the service's answer is gone and the record is not yet put back: an interrupted revocation left it so."""
    return record.route is Route.ACCEPT and not is_answered_by_service_user(record, service_user_id)


def revocable(
    records: Iterable[LoggedRecord], which: RevocationFilter, service_user_id: str
) -> list[LoggedRecord]:
    """The records that a service has validated, or whose revocation was interrupted, of those that ``which`` takes."""
    return [
        record
        for record in records
        if (accepted_by_model(record, service_user_id) or is_half_revoked(record, service_user_id))
        and which.takes(record)
    ]


def stopped_labels(decisions: Mapping[str, AcceptanceDecision]) -> frozenset[str]:
    """The labels whose verdict was granted once and taken back by a check."""
    return frozenset(label for label, decision in decisions.items() if decision.stopped)


def failed_versions(
    records: Iterable[LoggedRecord],
    labels: Collection[str],
    *,
    service_user_id: str,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> frozenset[str]:
    """The model versions that were wrong about a record that they audited or accepted as one of ``labels``.

    What is held back says nothing of them: the model may not have been certain of it.
    """
    failed = set()
    for record in records:
        if record.route not in (Route.AUDIT, Route.ACCEPT) or record.held_back or record.model is None:
            continue
        answered = len(human_answers(record, service_user_id)) >= max(min_submitted, 1)
        if (
            answered
            and record.prediction in labels
            and human_label(record, service_user_id, rule) != record.prediction
        ):
            failed.add(record.model)
    return frozenset(failed)


def is_settled(record: LoggedRecord, service_user_id: str) -> bool:
    """Whether people have answered ``record`` already, so that nobody needs a suggestion any more."""
    return bool(human_answers(record, service_user_id))


def settled(record: LoggedRecord, service_user_id: str, rule: LabelRule = "majority") -> NewRecord:
    """What becomes of a taken-back record that people have answered: what its model said of it stays.

    One that they corrected becomes an audit. It was evidence against the model, and has to stay evidence: else taking
    back what a stop was for would end the stop.

    Args:
        record: as it was seen before the daemon's answer was withdrawn.
        service_user_id: user id of the service.
        rule: how several answers make one label.
    """
    corrected = human_label(record, service_user_id, rule) != record.prediction
    return NewRecord(
        record.id,
        record.text,
        record.batch or 0,
        Route.AUDIT if corrected else Route.ASK,
        record.prediction,
        record.certainty,
        record.model,
        record.threshold,
    )


def asked_again(
    record: LoggedRecord, label: str | None = None, certainty: float | None = None, model: str | None = None
) -> NewRecord:
    """What becomes of a taken-back record that waits for people: a fresh suggestion, or none without a model."""
    return NewRecord(record.id, record.text, record.batch or 0, Route.ASK, label, certainty, model)
