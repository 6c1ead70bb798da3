"""Progress figures, from the records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from argilla_loop.domain import Origin, Route
from argilla_loop.policy.answers import AdjudicatedRecord, examples_from
from argilla_loop.policy.validation.checks import checks_from

Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """Progress of one batch, and how people and model agree.

    Records with and without a suggestion are counted separately, because people tend to accept a suggestion.
    """

    number: int
    size: int
    done: int
    asked: int  # including held-back records
    accepted: int  # by the service
    audited: int
    held_back: int
    answered: int  # labelled by people who saw a suggestion
    agreed: int  # of those, how many have the suggested label
    checked: int  # audit results, see ``policy.validation.checks``
    right: int  # of those, how many agree with the model
    models: tuple[str, ...]

    @property
    def agreement(self) -> float | None:
        """Share of suggestions that people kept; ``None`` if there was nothing to compare."""
        return self.agreed / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Blind:
    """Records that people see without a suggestion."""

    logged: int = 0
    answered: int = 0
    right: int = 0  # answers that agree with the model


@dataclass(frozen=True, slots=True)
class Validated:
    """Records that the service accepted and has not revoked."""

    all: int = 0
    confirmed: int = 0  # by a person
    corrected: int = 0  # by another label, a discard, or answers that tie

    @property
    def standing(self) -> int:
        """Records whose label is still the service's."""
        return self.all - self.corrected


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How people agree with each other; the service's answers don't count."""

    several: int = 0  # records that several people answered
    disagreed: int = 0
    pairs: Sequence[
        tuple[Pair, int]
    ] = ()  # labels given to the same record, most frequent first; None: discarded


@dataclass(frozen=True, slots=True)
class Progress:
    """All batches, the examples by label and origin, and how people and model agree."""

    batches: Sequence[BatchProgress]
    human: Counter[str]  # label -> examples of people
    model: Counter[str]  # label -> records that the service accepted and nobody answered
    discarded: int
    unnumbered: int  # records that somebody else logged
    validated: Validated
    audited: Blind
    held_back: Blind
    disagreement: Disagreement

    @property
    def answered(self) -> int:
        """Records labelled by people who saw a suggestion."""
        return sum(batch.answered for batch in self.batches)

    @property
    def agreed(self) -> int:
        """Of ``answered``, how many have the suggested label."""
        return sum(batch.agreed for batch in self.batches)

    @property
    def agreement(self) -> float | None:
        """Agreement over all batches."""
        return self.agreed / self.answered if self.answered else None


def progress(records: Sequence[AdjudicatedRecord]) -> Progress:
    """Summarise the records of the working dataset; an accepted record that a person relabelled is the person's."""
    members: dict[int, list[AdjudicatedRecord]] = {}
    for one in records:
        if one.record.batch is not None:
            members.setdefault(one.record.batch, []).append(one)
    examples = examples_from(records, with_model=True)
    return Progress(
        batches=[_batch(number, members[number]) for number in sorted(members)],
        human=Counter(example.label for example in examples if example.origin is Origin.HUMAN),
        model=Counter(example.label for example in examples if example.origin is Origin.MODEL),
        discarded=sum(one.is_discarded for one in records),
        unnumbered=sum(one.record.batch is None for one in records),
        validated=_validated(records),
        audited=_blind([one for one in records if one.record.route is Route.AUDIT]),
        held_back=_blind([one for one in records if one.record.held_back]),
        disagreement=_disagreement(records),
    )


def suggestions_kept(records: Iterable[AdjudicatedRecord]) -> tuple[int, int]:
    """Return how many suggestions people kept, and how many they answered."""
    kept = [one.rule.task.agree(one.record.suggestion, one.label) for one in _suggested(records)]
    return sum(kept), len(kept)


def _suggested(records: Iterable[AdjudicatedRecord]) -> list[AdjudicatedRecord]:
    """Return the records that people saw with a suggestion and labelled."""
    # who answers an accepted record came to correct it, which says nothing about the others
    return [
        one
        for one in records
        if one.record.suggestion and one.record.route is Route.ASK and one.label is not None
    ]


def _batch(number: int, records: Sequence[AdjudicatedRecord]) -> BatchProgress:
    agreed, answered = suggestions_kept(records)
    routes = Counter(one.record.route for one in records)
    checks = [check.right for check in checks_from(records)]
    return BatchProgress(
        number=number,
        size=len(records),
        done=sum(one.is_done for one in records),
        asked=routes[Route.ASK],
        accepted=routes[Route.ACCEPT],
        audited=routes[Route.AUDIT],
        held_back=sum(one.record.held_back for one in records),
        answered=answered,
        agreed=agreed,
        checked=len(checks),
        right=sum(checks),
        models=tuple(sorted({one.record.model for one in records if one.record.model})),
    )


def _validated(records: Iterable[AdjudicatedRecord]) -> Validated:
    all_, confirmed, corrected = 0, 0, 0
    for one in records:
        # a person may have replaced the service's label, using the service's own account
        if one.record.route is not Route.ACCEPT or not (one.answers or one.is_accepted):
            continue
        all_ += 1
        confirmed += bool(one.answers) and one.is_right
        corrected += bool(one.answers) and not one.is_right
    return Validated(all_, confirmed, corrected)


def _blind(records: Sequence[AdjudicatedRecord]) -> Blind:
    checks = checks_from(records)
    return Blind(len(records), len(checks), sum(check.right for check in checks))


def _disagreement(records: Iterable[AdjudicatedRecord]) -> Disagreement:
    several = [one for one in records if len(one.answers) > 1]
    disputed = [one for one in several if one.is_disputed]
    pairs: Counter[Pair] = Counter()
    for one in disputed:
        pairs.update(combinations(sorted(one.votes, key=lambda label: (label is None, label)), 2))
    return Disagreement(len(several), len(disputed), pairs.most_common())
