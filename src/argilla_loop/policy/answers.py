"""What the answers to a record mean: whether it is done, who labelled it, and what may be learnt from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route
from argilla_loop.policy.task import SINGLE_LABEL, LabelRule, Task
from argilla_loop.policy.validation.carried import is_withdrawn


@dataclass(frozen=True, slots=True)
class AnswerRule:
    """How the answers to a record are read.

    Attributes:
        service_user_id: user id of the service that reads them.
        label_rule: how the answers of several people make one label.
        min_submitted: number of people who have to answer a record.
        task: the kind of question.
    """

    service_user_id: str
    label_rule: LabelRule = "majority"
    min_submitted: int = 1
    task: Task = SINGLE_LABEL


@dataclass(frozen=True, slots=True)
class AdjudicatedRecord:
    """A record of the working dataset, and what its answers come to under one ``AnswerRule``.

    Attributes:
        record: as observed in Argilla.
        rule: how its answers were read.
        answers: submitted and discarded answers of people, those of second looks included; drafts and the service's own
            answer are left out.
        label: the label that people gave it; ``None`` without an answer, on a tie, or if it was discarded.
        is_discarded: whether people discarded it.
        is_accepted: whether a service accepted it, and the service's answer still stands.
        first: the record by its own answers alone, if it has second looks; else ``None``.
        second_looks: the records that ask its text again, in the order of their batches (see ``policy.second_looks``).
    """

    record: LoggedRecord
    rule: AnswerRule
    answers: Sequence[Answer]
    label: str | None
    is_discarded: bool
    is_accepted: bool
    first: AdjudicatedRecord | None = None
    second_looks: Sequence[AdjudicatedRecord] = ()

    @property
    def is_answered(self) -> bool:
        """Whether as many people have answered it as have to."""
        answers = self.answers if self.first is None else self.first.answers
        return len(answers) >= max(self.rule.min_submitted, 1)

    @property
    def is_done(self) -> bool:
        """Whether nobody has to answer it any more.

        Argilla's own status is no substitute: a record that was only discarded stays pending for ever.
        """
        answers = self.answers if self.first is None else self.first.answers
        return self.is_accepted or len(answers) >= self.rule.min_submitted

    @property
    def looks(self) -> Sequence[bool]:
        """Whether people gave the label that the model predicted, each time that they were asked blind and answered."""
        first = self.first or self
        seen = [one for one in self.second_looks if one.is_answered and one.record.route is Route.AUDIT]
        prediction = self.record.prediction
        return [self.rule.task.agree(one.label, prediction) for one in (first, *seen)]

    @property
    def is_right(self) -> bool:
        """Whether people gave it the label that the model predicted, more often than not if they were asked again."""
        looks = self.looks
        return sum(looks) > len(looks) / 2

    @property
    def is_half_revoked(self) -> bool:
        """Whether an interrupted revocation withdrew the service's answer but did not return it to the queue."""
        return is_half_revoked(self.record, self.rule.service_user_id)

    @property
    def votes(self) -> frozenset[str | None]:
        """The different labels that people gave it; ``None`` stands for a discard."""
        return frozenset(answer.label if answer.status == "submitted" else None for answer in self.answers)

    @property
    def is_disputed(self) -> bool:
        """Whether people gave it different answers; a discard is an answer, the service's is not."""
        return len(self.votes) > 1


def adjudicate(record: LoggedRecord, rule: AnswerRule) -> AdjudicatedRecord:
    """Read the answers to ``record``."""
    answers = human_answers(record, rule.service_user_id)
    label, is_discarded = rule.task.outcome(answers, rule.label_rule)
    is_accepted = accepted_by_model(record, rule.service_user_id)
    return AdjudicatedRecord(record, rule, answers, label, label is None and is_discarded, is_accepted)


class Adjudicator:
    """Adjudicates records; a record that has not changed since the last call is not read again.

    Args:
        rule: how answers are read.
    """

    def __init__(self, rule: AnswerRule) -> None:
        self._rule = rule
        self._known: dict[str, AdjudicatedRecord] = {}

    def adjudicate(self, records: Iterable[LoggedRecord]) -> list[AdjudicatedRecord]:
        """Read the answers to each of ``records``, in their order."""
        known = self._known
        found = [
            before
            if (before := known.get(record.id)) is not None and before.record is record
            else adjudicate(record, self._rule)
            for record in records
        ]
        self._known = {one.record.id: one for one in found}
        return with_second_looks(found)


def with_second_looks(records: Sequence[AdjudicatedRecord]) -> list[AdjudicatedRecord]:
    """Return one record for each text: second looks become part of the record at which they look again.

    The answers of all of them are votes on its label. A second look whose first record was deleted stands for itself.
    """
    looks: dict[str, list[AdjudicatedRecord]] = {}
    for one in records:
        if (of := one.record.second_look_of) is not None:
            looks.setdefault(of, []).append(one)
    if not looks:
        return list(records)
    there = {one.record.id for one in records if one.record.second_look_of is None}
    return [
        _joined(one, looks[one.record.id]) if one.record.id in looks else one
        for one in records
        if one.record.second_look_of not in there
    ]


def _joined(first: AdjudicatedRecord, looks: Sequence[AdjudicatedRecord]) -> AdjudicatedRecord:
    looks = sorted(looks, key=lambda one: (one.record.batch or 0, one.record.id))
    answers = [answer for one in (first, *looks) for answer in one.answers]
    label, is_discarded = first.rule.task.outcome(answers, first.rule.label_rule)
    return replace(
        first,
        answers=answers,
        label=label,
        is_discarded=label is None and is_discarded,
        first=first,
        second_looks=looks,
    )


def service_user(record: LoggedRecord, service_user_id: str) -> str:
    """Return the id of the user whose service accepted ``record``, whoever runs the service now.

    Where the record does not say, it is taken to be the service that asks (see ``argilla.v2.service_user``).
    """
    return record.service_user or service_user_id


def is_service_answer(answer: Answer, record: LoggedRecord, service_user_id: str) -> bool:
    """Return whether a service gave ``answer``: on the accept route, submitted, with the model's label.

    Any other answer of that user is a person's, who labels with the service's account.
    """
    return (
        record.route is Route.ACCEPT
        and answer.user_id == service_user(record, service_user_id)
        and answer.status == "submitted"
        and answer.label == record.prediction
    )


def is_answered_by_service_user(record: LoggedRecord, service_user_id: str) -> bool:
    """Return whether the user whose service accepted ``record`` has an answer on it, the service's or a person's."""
    author = service_user(record, service_user_id)
    return any(answer.user_id == author for answer in record.answers)


def is_half_revoked(record: LoggedRecord, service_user_id: str) -> bool:
    """Return whether an interrupted revocation withdrew the service's answer to ``record`` and no more."""
    return record.route is Route.ACCEPT and not is_answered_by_service_user(record, service_user_id)


def accepted_by_model(record: LoggedRecord, service_user_id: str) -> bool:
    """Return whether a service accepted ``record``, and its answer still stands."""
    return any(is_service_answer(answer, record, service_user_id) for answer in record.answers)


def human_answers(record: LoggedRecord, service_user_id: str) -> list[Answer]:
    """Return the submitted and discarded answers of people, without drafts."""
    if not record.answers:
        return []
    if record.route is not Route.ACCEPT:  # only people answer records of the other routes
        return [a for a in record.answers if a.is_final]
    return [a for a in record.answers if a.is_final and not is_service_answer(a, record, service_user_id)]


def validated_by_others(records: Iterable[AdjudicatedRecord]) -> Counter[str]:
    """Count the records that services of other users accepted and that still stand, by user id."""
    return Counter(
        one.record.service_user
        for one in records
        if one.record.service_user not in (None, one.rule.service_user_id) and one.is_accepted
    )


def count_labelled(records: Iterable[AdjudicatedRecord]) -> int:
    """Count the records that people labelled, those held back included."""
    return sum(one.label is not None for one in records)


def count_accepted(records: Iterable[AdjudicatedRecord]) -> Counter[float]:
    """Count the accepted records that nobody answered, by the threshold above which they were accepted.

    What was accepted before a label was added counts as above 0, which no check covers: all of it may be wrong.
    """
    return Counter(
        0.0 if is_withdrawn(one.record.promise) else one.record.threshold or 0.0
        for one in records
        if one.is_accepted and not one.answers
    )


def examples_from(records: Iterable[AdjudicatedRecord], *, with_model: bool) -> list[Example]:
    """Return the examples in ``records``; an answer of a person outranks the service's.

    Blank texts and held-back records are never examples.

    Args:
        records: of the working dataset.
        with_model: whether a record that a service accepted is an example where no person has answered it.
    """
    found = []
    for one in records:
        record = one.record
        # somebody may have logged a blank record by hand; a held-back one is evidence only while nothing learns from it
        if not record.text.strip() or record.held_back:
            continue
        if one.answers:
            if one.label is not None and len(one.answers) >= one.rule.min_submitted:
                found.append(Example(record.id, record.text, one.label, Origin.HUMAN))
        elif with_model and one.is_accepted and record.prediction is not None:
            found.append(Example(record.id, record.text, record.prediction, Origin.MODEL))
    return found


def cap_pseudo_labels(examples: Sequence[Example], most: float) -> list[Example]:
    """Drop model-labelled examples until each label has at most ``most`` of them for each example of a person.

    Which ones are kept follows from a hash of their ids, not from the model's certainty: a model learns least from the
    examples that it is most certain of.
    """
    human = Counter(example.label for example in examples if example.origin is Origin.HUMAN)
    left = {label: count * most for label, count in human.items()}
    kept = {example.id for example in examples if example.origin is Origin.HUMAN}
    made = [example for example in examples if example.origin is Origin.MODEL]
    for example in sorted(made, key=lambda one: hashlib.sha256(one.id.encode()).digest()):
        if left.get(example.label, 0.0) >= 1:
            left[example.label] -= 1
            kept.add(example.id)
    return [example for example in examples if example.id in kept]
