"""What the answers on a record mean: is it done, who labelled it, what may be learnt from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route

# How several people's answers make one label: that of the majority, none where they tie; or the latest answer's.
LabelRule = Literal["majority", "latest"]


def service_user(record: LoggedRecord, service_user_id: str) -> str:
    """Id of the user whose service accepted ``record``: whoever runs the service by now, it stays that user.

    Where it is not known, as nothing was written down and no answer is as old as the record (see
    ``argilla.validation``), it is taken to be the service that looks.
    """
    return record.service_user or service_user_id


def is_service_answer(answer: Answer, record: LoggedRecord, service_user_id: str) -> bool:
    """Whether a service gave ``answer`` by itself: on the accept route, submitted, with the label that the model said.

    Anything else by that user is a person's, who labels with the service's account or corrects it there.
    """
    return (
        record.route is Route.ACCEPT
        and answer.user_id == service_user(record, service_user_id)
        and answer.status == "submitted"
        and answer.label == record.prediction
    )


def is_answered_by_service_user(record: LoggedRecord, service_user_id: str) -> bool:
    """Whether the user whose service accepted ``record`` has an answer on it, its own or a person's in its place."""
    author = service_user(record, service_user_id)
    return any(answer.user_id == author for answer in record.answers)


def accepted_by_model(record: LoggedRecord, service_user_id: str) -> bool:
    """Whether a service has validated ``record``, and its answer still stands."""
    return any(is_service_answer(answer, record, service_user_id) for answer in record.answers)


def human_answers(record: LoggedRecord, service_user_id: str) -> list[Answer]:
    """The submitted and discarded answers that people gave, drafts left out."""
    if not record.answers:
        return []
    if record.route is not Route.ACCEPT:  # nobody but people answers there
        return [a for a in record.answers if a.is_final]
    return [a for a in record.answers if a.is_final and not is_service_answer(a, record, service_user_id)]


def human_label(record: LoggedRecord, service_user_id: str, rule: LabelRule = "majority") -> str | None:
    """The label that people's answers make by ``rule``.

    ``None`` without an answer, where the discards win, or where a majority is demanded and answers tie.
    """
    return _settled(human_answers(record, service_user_id), rule)[0]


def is_done(record: LoggedRecord, *, min_submitted: int, service_user_id: str) -> bool:
    """Whether ``record`` waits for nobody any more.

    It is done once ``min_submitted`` people have submitted or discarded it, or the daemon has accepted it.
    Argilla's own status would not do: a record with only a discard stays pending for ever.
    """
    return (
        accepted_by_model(record, service_user_id)
        or len(human_answers(record, service_user_id)) >= min_submitted
    )


def is_discarded(record: LoggedRecord, service_user_id: str, rule: LabelRule = "majority") -> bool:
    """Whether people's answers make ``record`` no example for anyone."""
    label, discarded = _settled(human_answers(record, service_user_id), rule)
    return label is None and discarded


def disagree(record: LoggedRecord, service_user_id: str) -> bool:
    """Whether people gave ``record`` different answers; a discard is one, the daemon's is none."""
    return len({_vote(answer) for answer in human_answers(record, service_user_id)}) > 1


def validated_by_others(records: Iterable[LoggedRecord], service_user_id: str) -> Counter[str]:
    """How many records stand validated by services of other users than ``service_user_id``, by user id."""
    return Counter(
        record.service_user
        for record in records
        if record.service_user not in (None, service_user_id) and accepted_by_model(record, service_user_id)
    )


def examples_from(
    records: Iterable[LoggedRecord],
    *,
    service_user_id: str,
    with_model: bool,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> list[Example]:
    """The examples that ``records`` hold; a person's answer outranks the daemon's, a blank text is no example.

    Args:
        records: records of the working dataset.
        service_user_id: user id of the service that looks.
        with_model: whether what a service validated counts as an example where no person answered.
        rule: how several answers make one label.
        min_submitted: answers that a record needs; with fewer it is no example yet.
    """
    found = []
    for record in records:
        # somebody logged a blank one by hand; and what is held back stays so, or it would be evidence no more
        if not record.text.strip() or record.held_back:
            continue
        if answers := human_answers(record, service_user_id):
            label, _ = _settled(answers, rule)
            if label is not None and len(answers) >= min_submitted:
                found.append(Example(record.id, record.text, label, Origin.HUMAN))
        elif with_model and accepted_by_model(record, service_user_id) and record.prediction is not None:
            found.append(Example(record.id, record.text, record.prediction, Origin.MODEL))
    return found


def cap_pseudo_labels(examples: Sequence[Example], most: float) -> list[Example]:
    """``examples`` without those of the model that outnumber people's by more than ``most`` to one, label by label.

    Which ones stay is a matter of their ids, not of how certain the model was: its most certain ones teach it least.
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


def _settled(answers: Sequence[Answer], rule: LabelRule) -> tuple[str | None, bool]:
    """The label that people's answers make, and whether it is a discard that stands in its place."""
    answers = [a for a in answers if a.status == "discarded" or a.label is not None]
    if not answers:
        return None, False
    if len(answers) == 1:  # nearly always: there is nothing to count
        return _vote(answers[0]), answers[0].status == "discarded"
    if rule == "latest":
        latest = max(answers, key=lambda answer: (answer.updated_at, answer.user_id))
        return _vote(latest), _vote(latest) is None
    (first, most), *others = Counter(_vote(answer) for answer in answers).most_common(2)
    if others and others[0][1] == most:
        return None, False
    return first, first is None


def _vote(answer: Answer) -> str | None:
    return answer.label if answer.status == "submitted" else None
