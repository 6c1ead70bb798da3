"""The figures of a data set's card, computed from its rows and from the records of the working dataset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.estimate.accuracy import Estimate, estimate_accuracy, estimate_labels
from argilla_loop.policy.estimate.evidence import blind_evidence
from argilla_loop.policy.progress import Progress
from argilla_loop.policy.result import Predictor, Row, Source
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.bound import lower_bound
from argilla_loop.policy.validation.promise import AuditResult


@dataclass(slots=True)
class Tally:
    """Counts of the rows that were taken.

    Attributes:
        min_submitted: number of people who have to answer a record.
        rows: all of them.
        labels: by source and label.
        discarded: rows that people discarded.
        several: rows that several people answered.
        disagreed: of those, with different answers.
        incomplete: rows labelled by fewer people than have to; labels that came with the pool are not among them.
        given: rows whose label came with the pool.
        formulas: rows with a cell that a spreadsheet takes for a formula.
        promises: rows that the service accepted, by the promise; ``None``: without one.
        versions: rows that a model labelled, by its version.
        certainties: of predictions, in blocks.
    """

    min_submitted: int = 1
    rows: int = 0
    labels: Counter[tuple[Source, str | None]] = field(default_factory=Counter)
    discarded: int = 0
    several: int = 0
    disagreed: int = 0
    incomplete: int = 0
    given: int = 0
    formulas: int = 0
    promises: Counter[str | None] = field(default_factory=Counter)
    versions: Counter[str | None] = field(default_factory=Counter)
    certainties: list[NDArray[np.float64]] = field(default_factory=list, repr=False)

    def add(self, some: Sequence[Row]) -> None:
        """Count ``some`` rows."""
        self.rows += len(some)
        for row in some:
            person = row.source is Source.PERSON
            self.labels[row.source, row.label] += 1
            self.discarded += row.discarded
            self.several += row.people > 1
            self.disagreed += row.disagreed
            self.incomplete += person and 0 < row.people < self.min_submitted
            self.given += person and not row.people
            self.formulas += any(is_formula(cell) for cell in (row.id, row.text, row.label or ""))
            if row.source is Source.SERVICE:
                self.promises[row.promise] += 1
            if row.model is not None:
                self.versions[row.model] += 1
        predicted = [row.certainty for row in some if row.source is Source.PREDICTION]
        self.certainties.append(np.array(predicted, dtype=np.float64))

    def of(self, source: Source) -> int:
        """Return the number of rows from ``source``."""
        return sum(count for (where, _), count in self.labels.items() if where is source)


class Measured(NamedTuple):
    """What blind checks found: ``right`` of ``checked``, and the lower bound of the precision at the confidence."""

    checked: int
    right: int
    lower: float


@dataclass(frozen=True, slots=True)
class Figures:
    """All that a card says.

    Attributes:
        tally: of the rows.
        progress: of the working dataset, whatever was filtered.
        acceptance: what may be accepted now.
        people: number of different people who answered.
        repeated: records that were left out because another one stands for the same text.
        measured: what blind checks found of the labels that the service accepts, overall.
        by_label: the same for each predicted label.
        predictions: estimated share of right labels among the predictions; ``None`` if nothing is known.
        whole: estimated share of right labels among all labelled rows; ``None`` if nothing is known.
    """

    tally: Tally
    progress: Progress
    acceptance: Acceptance
    people: int
    repeated: int
    measured: Measured
    by_label: Mapping[str, Measured]
    predictions: Estimate | None
    whole: Estimate | None


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet takes ``cell`` for a formula: it begins with = + - @, a tab or a carriage return.

    The list is OWASP's (CSV injection).
    """
    return cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def count_people(records: Sequence[AdjudicatedRecord]) -> int:
    """Return how many different people have answered."""
    return len({answer.user_id for one in records for answer in one.answers})


def measure(
    checks: Sequence[AuditResult], labels: Sequence[str], confidence: float
) -> dict[str | None, Measured]:
    """Return what ``checks`` found, by predicted label; ``None`` stands for all labels together.

    Held-back records below the certainty of every accepted one say nothing about accepted labels: only checks that were
    drawn above a threshold, or lie above the lowest of these, count.

    Args:
        checks: results of blind checks.
        labels: of the question.
        confidence: of the one-sided lower bound (Clopper and Pearson 1934), 0 to 1.
    """
    drawn = [check.above for check in checks if check.above > 0]
    least = min(drawn, default=0.0)
    mine = [check for check in checks if check.certainty > least] if drawn else []
    found: dict[str | None, Measured] = {None: _measured(mine, confidence)}
    for label in labels:
        found[label] = _measured([check for check in mine if check.label == label], confidence)
    return found


def estimate(
    records: Sequence[AdjudicatedRecord],
    checks: Sequence[AuditResult],
    tally: Tally,
    predictor: Predictor | None,
    confidence: float,
) -> tuple[Estimate | None, Estimate | None]:
    """Estimate which share of the predicted rows, and of all labelled rows, has the right label.

    Both are the estimates of ``policy.estimate``: from held-back answers and audits, by strata of certainty. The first
    is ``None`` without predictions, both are without any answer to base them on.

    Args:
        records: all records of the working dataset.
        checks: results of blind checks.
        tally: of the rows.
        predictor: the model that made the predictions.
        confidence: probability of the intervals.
    """
    certainties = np.concatenate(tally.certainties) if tally.certainties else np.empty(0)
    predict = predictor.of if predictor is not None and len(certainties) else None
    found = blind_evidence(records, checks, predict)
    results = found.results
    if not results:
        return None, None
    whole = estimate_labels(
        results,
        certainties,
        accepted=tally.of(Source.SERVICE),
        accepted_results=found.audits_right,
        human=tally.of(Source.PERSON),
        confidence=confidence,
    )
    part = estimate_accuracy(results, certainties, confidence=confidence) if len(certainties) else None
    return part, whole


def _measured(checks: Sequence[AuditResult], confidence: float) -> Measured:
    right = sum(check.right for check in checks)
    return Measured(len(checks), right, lower_bound(right, len(checks), 1 - confidence))
