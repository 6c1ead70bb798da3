"""How right the model was over time: from answers that people gave without seeing its prediction.

Each answer is compared with the prediction of the model that was in use when the record was logged, which had not
learnt from it (prequential evaluation, Dawid 1984).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from argilla_loop.domain import Origin
from argilla_loop.policy.answers import AdjudicatedRecord, examples_from
from argilla_loop.policy.estimate.strata import effective_size
from argilla_loop.policy.progress import suggestions_kept
from argilla_loop.policy.validation.bound import lower_bound, upper_bound
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.promise import AcceptanceCriterion, AuditResult, decide

# Points of a curve: enough to see a shape, few enough for each to have some answers. Both chosen, not measured.
MOST_POINTS = 8
LEAST_ANSWERS = 10
LATEST_ANSWERS = (
    50  # for the figure of the present accuracy: an interval of about 15 points. Chosen, not measured.
)
# Points of the curve of precision. Chosen, not measured.
MOST_DECISIONS = 80
NEARLY = 1e-9  # what rounding may take from a whole number

Said = tuple[bool, float]  # whether an answer agrees with the model, and its weight


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """How right the model was over a few batches in a row.

    Attributes:
        first: number of the first batch.
        last: number of the last batch.
        labels: human labels that there were when the last of these batches was logged.
        right: answers that agree with the model.
        answers: all answers that count.
        share: share of the texts on which the model is right; texts count with their weight (``strata.Draw``).
        low: lower end of the interval of the share, 0 to 1.
        high: upper end.
    """

    first: int
    last: int
    labels: int
    right: int
    answers: int
    share: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class PrecisionPoint:
    """What the audit results so far said of the precision of what may be accepted.

    Attributes:
        results: number of all audit results so far.
        checked: of those, how many count for the threshold in question.
        right: how many of these are right.
        low: lower bound of the precision.
        granted: whether records could be accepted.
    """

    results: int
    checked: int
    right: int
    low: float
    granted: bool

    @property
    def share(self) -> float:
        """Share of the checks that are right."""
        return self.right / self.checked


def labels_before(records: Iterable[AdjudicatedRecord], seeds: int) -> dict[int, int]:
    """Return for each batch how many human examples there were before it, those that came with the pool included."""
    members = _by_batch(records)
    before, found = seeds, {}
    for number in sorted(members):
        found[number] = before
        examples = examples_from(members[number], with_model=False)
        before += sum(example.origin is Origin.HUMAN for example in examples)
    return found


def learning_curve(
    records: Sequence[AdjudicatedRecord], seeds: int, *, confidence: float
) -> list[CurvePoint]:
    """Return how right the model was on records that were drawn at random and held back.

    Batches in a row are put together until they have enough answers for a point. The intervals are those of Clopper and
    Pearson (1934) for the effective number of answers (Kish 1965), and independent of each other, since no answer
    counts twice.

    Args:
        records: of the working dataset.
        seeds: labels that came with the pool.
        confidence: probability of each interval, 0 to 1.
    """
    return _points(_held_back(records), labels_before(records, seeds), confidence)


def latest_accuracy(
    records: Sequence[AdjudicatedRecord], seeds: int, *, confidence: float
) -> CurvePoint | None:
    """Return how right the model was on the latest ``LATEST_ANSWERS`` held-back records, in whole batches.

    The arguments are those of ``learning_curve``; ``None`` without an answer.
    """
    counts = _held_back(records)
    latest: list[int] = []
    for number in sorted(counts, reverse=True):
        if sum(len(counts[one]) for one in latest) < LATEST_ANSWERS and counts[number]:
            latest.insert(0, number)
    return _point(latest, counts, labels_before(records, seeds), confidence) if latest else None


def kept_curve(records: Sequence[AdjudicatedRecord], seeds: int, *, confidence: float) -> list[CurvePoint]:
    """Return how often people kept the suggestions: on texts that were chosen because the model doubts them.

    This says little about the pool. The arguments are those of ``learning_curve``.
    """
    counts: dict[int, list[Said]] = {}
    for number, some in _by_batch(records).items():
        right, answers = suggestions_kept(some)
        counts[number] = [(place < right, 1.0) for place in range(answers)]
    return _points(counts, labels_before(records, seeds), confidence)


def precision_curve(
    checks: Sequence[AuditResult], criterion: AcceptanceCriterion | None
) -> list[PrecisionPoint]:
    """Return what was known of the precision after each audit result, by the decision itself (``promise.decide``).

    Args:
        checks: in the order in which the records were logged.
        criterion: what must hold before anything is accepted; ``None`` if nothing ever is.
    """
    if criterion is None:
        return []
    found = []
    for results in _steps(len(checks)):
        decision = decide(checks[:results], criterion)
        if decision.checked:
            granted = decision.threshold is not None
            found.append(PrecisionPoint(results, decision.checked, decision.right, decision.lower, granted))
    return found


def _points(counts: dict[int, list[Said]], labels: dict[int, int], confidence: float) -> list[CurvePoint]:
    """Put batches together, in order, to at most ``MOST_POINTS`` points; the last one takes what is left over."""
    counts = {number: counts[number] for number in sorted(counts) if counts[number]}
    wanted = max(-(-sum(map(len, counts.values())) // MOST_POINTS), LEAST_ANSWERS)
    groups: list[list[int]] = [[]]
    for number in counts:
        if sum(len(counts[one]) for one in groups[-1]) >= wanted:
            groups.append([])
        groups[-1].append(number)
    if len(groups) > 1 and sum(len(counts[one]) for one in groups[-1]) < LEAST_ANSWERS:
        groups[-2:] = [groups[-2] + groups[-1]]
    return [_point(group, counts, labels, confidence) for group in groups if group]


def _point(
    batches: Sequence[int], counts: dict[int, list[Said]], labels: dict[int, int], confidence: float
) -> CurvePoint:
    said = [one for number in batches for one in counts[number]]
    weights = [weight for _, weight in said]
    share = sum(weight for right, weight in said if right) / sum(weights)
    worth = int(effective_size(weights) + NEARLY)
    error = (1 - confidence) / 2
    low = lower_bound(int(share * worth + NEARLY), worth, error)
    high = upper_bound(min(math.ceil(share * worth - NEARLY), worth), worth, error)
    right = sum(right for right, _ in said)
    return CurvePoint(batches[0], batches[-1], labels[batches[-1]], right, len(said), share, low, high)


def _held_back(records: Iterable[AdjudicatedRecord]) -> dict[int, list[Said]]:
    """Return for each batch what people said of its held-back records."""
    counts: dict[int, list[Said]] = {}
    for number, some in _by_batch(one for one in records if one.record.held_back).items():
        counts[number] = [
            (one.is_right, one.record.weight or 1.0)
            for one in some
            if checks_from([one])  # what counts as evidence is decided in one place
        ]
    return counts


def _steps(total: int) -> list[int]:
    """Return at most ``MOST_DECISIONS`` numbers from 1 to ``total``, evenly spread, the last included."""
    if total <= MOST_DECISIONS:
        return list(range(1, total + 1))
    return sorted({round(step * total / MOST_DECISIONS) for step in range(1, MOST_DECISIONS + 1)})


def _by_batch(records: Iterable[AdjudicatedRecord]) -> dict[int, list[AdjudicatedRecord]]:
    members: dict[int, list[AdjudicatedRecord]] = {}
    for one in records:
        if one.record.batch is not None:
            members.setdefault(one.record.batch, []).append(one)
    return members


def blind_pairs(records: Iterable[AdjudicatedRecord]) -> Counter[tuple[str, str | None]]:
    """Count the blind answers by the model's prediction and people's label; ``None``: discarded or undecided.

    Blind are audited and held-back records. Those that count are the same as in ``checks_from``.
    """
    pairs: Counter[tuple[str, str | None]] = Counter()
    for one in records:
        blind = one.record.held_back or (one.record.route is not None and one.record.route.value == "audit")
        if blind and one.record.prediction is not None and checks_from([one]):
            pairs[one.record.prediction, one.label] += 1
    return pairs
