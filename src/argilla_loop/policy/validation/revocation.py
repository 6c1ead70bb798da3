"""Which accepted records to revoke, and what becomes of a revoked record."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from argilla_loop.domain import LoggedRecord, NewRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.validation.promise import AcceptanceDecision


@dataclass(frozen=True, slots=True)
class RevocationFilter:
    """The accepted records that match all of these; an empty set or ``None`` matches every record."""

    models: frozenset[str] = frozenset()  # accepted by one of these versions
    labels: frozenset[str] = frozenset()  # accepted as one of these labels
    below: float | None = None  # accepted with a lower certainty

    def takes(self, record: LoggedRecord) -> bool:
        """Return whether the accepted ``record`` matches."""
        return (
            (not self.models or record.model in self.models)
            and (not self.labels or record.prediction in self.labels)
            and (self.below is None or (record.certainty is not None and record.certainty < self.below))
        )


def revocable(records: Iterable[AdjudicatedRecord], which: RevocationFilter) -> list[AdjudicatedRecord]:
    """Return the records that a service accepted, or whose revocation was interrupted, and that ``which`` takes."""
    return [one for one in records if (one.is_accepted or one.is_half_revoked) and which.takes(one.record)]


def stopped_labels(decisions: Mapping[str, AcceptanceDecision]) -> frozenset[str]:
    """Return the labels whose acceptance was granted once and stopped by an audit since."""
    return frozenset(label for label, decision in decisions.items() if decision.stopped)


def failed_versions(records: Iterable[AdjudicatedRecord], labels: Collection[str]) -> frozenset[str]:
    """Return the model versions that were wrong about a record that they audited or accepted as one of ``labels``.

    Held-back records don't count: the model need not have been certain of them.
    """
    failed = set()
    for one in records:
        record = one.record
        if record.route not in (Route.AUDIT, Route.ACCEPT) or record.held_back or record.model is None:
            continue
        if one.is_answered and record.prediction in labels and not one.is_right:
            failed.add(record.model)
    return frozenset(failed)


def settled(one: AdjudicatedRecord) -> NewRecord:
    """Return what becomes of a revoked record that people have answered: the model's prediction stays on it.

    A record that people corrected becomes an audit. It was evidence against the model and has to stay evidence;
    otherwise revoking would end the stop that caused it.

    Args:
        one: the record as it was before the service's answer was withdrawn.
    """
    record = one.record
    return NewRecord(
        record.id,
        record.text,
        record.batch or 0,
        Route.ASK if one.is_right else Route.AUDIT,
        record.prediction,
        record.certainty,
        record.model,
        record.threshold,
    )


def asked_again(
    record: LoggedRecord, label: str | None = None, certainty: float | None = None, model: str | None = None
) -> NewRecord:
    """Return what becomes of a revoked record that waits for people: a new suggestion, or none without a model."""
    return NewRecord(record.id, record.text, record.batch or 0, Route.ASK, label, certainty, model)
