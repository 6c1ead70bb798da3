"""How the labelling goes, from the records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from argilla_loop.domain import LoggedRecord, Origin, Route
from argilla_loop.policy.answers import (
    LabelRule,
    accepted_by_model,
    disagree,
    examples_from,
    human_answers,
    human_label,
    is_discarded,
    is_done,
)
from argilla_loop.policy.validation.checks import checks_from

Pair = tuple[str | None, str | None]


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """One batch: how far it is, and how people and model agree.

    What was suggested and what was not are counted apart: a suggestion is half an answer.
    """

    number: int
    size: int
    done: int
    asked: int  # held back ones among them
    accepted: int  # validated by the service
    audited: int
    held_back: int
    answered: int  # labelled by people who saw a suggestion
    agreed: int  # of those, how many have the suggested label
    checked: int  # answers that are evidence, see ``policy.checks``
    right: int  # of those, how many say what the model said
    models: tuple[str, ...]

    @property
    def agreement(self) -> float | None:
        """Share of suggestions that people kept; ``None`` where there was nothing to compare."""
        return self.agreed / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Blind:
    """Records that people are asked about without a suggestion."""

    logged: int = 0
    answered: int = 0
    right: int = 0  # the model that scored them said the same


@dataclass(frozen=True, slots=True)
class Validated:
    """What the service validated by itself, and has not taken back."""

    all: int = 0
    confirmed: int = 0  # a person says the same
    corrected: int = 0  # people say otherwise: another label, a discard, or several that tie

    @property
    def standing(self) -> int:
        """Those whose label is the service's now."""
        return self.all - self.corrected


@dataclass(frozen=True, slots=True)
class Disagreement:
    """How people agree with each other; the service's answer is none."""

    several: int = 0  # records that several people answered
    disagreed: int = 0
    pairs: Sequence[
        tuple[Pair, int]
    ] = ()  # what was given for the same record, commonest first; None: discarded


@dataclass(frozen=True, slots=True)
class Progress:
    """All batches, the examples by label and origin, and who said what of whom."""

    batches: Sequence[BatchProgress]
    human: Counter[str]  # label -> examples of people
    model: Counter[str]  # label -> records that the service validated and nobody answered
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


def progress(
    records: Iterable[LoggedRecord], *, min_submitted: int, service_user_id: str, rule: LabelRule = "majority"
) -> Progress:
    """Summarise ``records``; an accepted record that a person relabelled counts as the person's.

    Args:
        records: of the working dataset, all or some.
        min_submitted: answers that a record needs.
        service_user_id: user id of the service.
        rule: how several answers make one label.
    """
    records = list(records)
    whose = _Whose(service_user_id, rule, min_submitted)
    members: dict[int, list[LoggedRecord]] = {}
    for record in records:
        if record.batch is not None:
            members.setdefault(record.batch, []).append(record)
    examples = examples_from(
        records, service_user_id=service_user_id, with_model=True, rule=rule, min_submitted=min_submitted
    )
    return Progress(
        batches=[_batch(number, members[number], whose) for number in sorted(members)],
        human=Counter(example.label for example in examples if example.origin is Origin.HUMAN),
        model=Counter(example.label for example in examples if example.origin is Origin.MODEL),
        discarded=sum(is_discarded(record, service_user_id, rule) for record in records),
        unnumbered=sum(record.batch is None for record in records),
        validated=_validated(records, whose),
        audited=_blind([r for r in records if r.route is Route.AUDIT], whose),
        held_back=_blind([record for record in records if record.held_back], whose),
        disagreement=_disagreement(records, whose),
    )


def suggestions_kept(
    records: Iterable[LoggedRecord], *, min_submitted: int, service_user_id: str, rule: LabelRule = "majority"
) -> tuple[int, int]:
    """How many suggestions people kept, and how many they answered; arguments as for ``progress``."""
    compared = _compared(records, _Whose(service_user_id, rule, min_submitted))
    return sum(suggested == given for suggested, given in compared), len(compared)


@dataclass(frozen=True, slots=True)
class _Whose:
    service_user_id: str
    rule: LabelRule
    min_submitted: int

    def label(self, record: LoggedRecord) -> str | None:
        return human_label(record, self.service_user_id, self.rule)

    def checks(self, records: Iterable[LoggedRecord]) -> list[bool]:
        found = checks_from(
            records, service_user_id=self.service_user_id, rule=self.rule, min_submitted=self.min_submitted
        )
        return [check.right for check in found]


def _compared(records: Iterable[LoggedRecord], whose: _Whose) -> list[tuple[str, str]]:
    """What was suggested and what people said."""
    # who answers an accepted record came to correct it: that says nothing of the others
    shown = [(r.suggestion, whose.label(r)) for r in records if r.suggestion and r.route is Route.ASK]
    return [(suggested, given) for suggested, given in shown if given is not None]


def _batch(number: int, records: list[LoggedRecord], whose: _Whose) -> BatchProgress:
    compared = _compared(records, whose)
    routes, checks = Counter(record.route for record in records), whose.checks(records)
    return BatchProgress(
        number=number,
        size=len(records),
        done=sum(
            is_done(r, min_submitted=whose.min_submitted, service_user_id=whose.service_user_id)
            for r in records
        ),
        asked=routes[Route.ASK],
        accepted=routes[Route.ACCEPT],
        audited=routes[Route.AUDIT],
        held_back=sum(record.held_back for record in records),
        answered=len(compared),
        agreed=sum(suggested == given for suggested, given in compared),
        checked=len(checks),
        right=sum(checks),
        models=tuple(sorted({r.model for r in records if r.model})),
    )


def _validated(records: Iterable[LoggedRecord], whose: _Whose) -> Validated:
    all_, confirmed, corrected = 0, 0, 0
    for record in records:
        answers = human_answers(record, whose.service_user_id)
        # a person may have put another label in place of the service's, with the service's own account
        if record.route is not Route.ACCEPT or not (
            answers or accepted_by_model(record, whose.service_user_id)
        ):
            continue
        all_ += 1
        confirmed += bool(answers) and whose.label(record) == record.prediction
        corrected += bool(answers) and whose.label(record) != record.prediction
    return Validated(all_, confirmed, corrected)


def _blind(records: list[LoggedRecord], whose: _Whose) -> Blind:
    checks = whose.checks(records)
    return Blind(len(records), len(checks), sum(checks))


def _disagreement(records: Iterable[LoggedRecord], whose: _Whose) -> Disagreement:
    several = [record for record in records if len(human_answers(record, whose.service_user_id)) > 1]
    disputed = [record for record in several if disagree(record, whose.service_user_id)]
    pairs: Counter[Pair] = Counter()
    for record in disputed:
        given = {
            a.label if a.status == "submitted" else None for a in human_answers(record, whose.service_user_id)
        }
        pairs.update(combinations(sorted(given, key=lambda label: (label is None, label)), 2))
    return Disagreement(len(several), len(disputed), pairs.most_common())
