"""What the answers on a record mean: is it done, who labelled it, what may be learnt from it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route

# How several people's answers make one label: that of the majority, none where they tie; or the latest answer's.
LabelRule = Literal["majority", "latest"]


def is_the_daemons(answer: Answer, record: LoggedRecord, daemon_id: str) -> bool:
    """Whether the daemon gave ``answer`` by itself: on the accept route, submitted, with the label it suggested.

    Anything else by that user is a person's, who labels with the daemon's account or corrects it there.
    """
    return (
        answer.user_id == daemon_id
        and record.route is Route.ACCEPT
        and answer.status == "submitted"
        and answer.label == record.suggestion
    )


def accepted_by_model(record: LoggedRecord, daemon_id: str) -> bool:
    """Whether the daemon has validated ``record``."""
    return any(is_the_daemons(answer, record, daemon_id) for answer in record.answers)


def human_answers(record: LoggedRecord, daemon_id: str) -> list[Answer]:
    """The submitted and discarded answers that people gave, drafts left out."""
    return [a for a in record.answers if a.settles and not is_the_daemons(a, record, daemon_id)]


def human_label(record: LoggedRecord, daemon_id: str, rule: LabelRule = "majority") -> str | None:
    """The label that people's answers make by ``rule``.

    ``None`` without an answer, where the discards win, or where a majority is demanded and answers tie.
    """
    return _settled(record, daemon_id, rule)[0]


def is_done(record: LoggedRecord, *, min_submitted: int, daemon_id: str) -> bool:
    """Whether ``record`` waits for nobody any more.

    It is done once ``min_submitted`` people have submitted or discarded it, or the daemon has accepted it.
    Argilla's own status would not do: a record with only a discard stays pending for ever.
    """
    return accepted_by_model(record, daemon_id) or len(human_answers(record, daemon_id)) >= min_submitted


def is_discarded(record: LoggedRecord, daemon_id: str, rule: LabelRule = "majority") -> bool:
    """Whether people's answers make ``record`` no example for anyone."""
    label, discarded = _settled(record, daemon_id, rule)
    return label is None and discarded


def disagree(record: LoggedRecord, daemon_id: str) -> bool:
    """Whether people gave ``record`` different answers; a discard is one, the daemon's is none."""
    return len({_vote(answer) for answer in human_answers(record, daemon_id)}) > 1


def examples_from(
    records: Iterable[LoggedRecord],
    *,
    daemon_id: str,
    with_model: bool,
    rule: LabelRule = "majority",
    min_submitted: int = 1,
) -> list[Example]:
    """The examples that ``records`` hold; a person's answer outranks the daemon's, a blank text is no example.

    Args:
        records: records of the working dataset.
        daemon_id: user id of the service.
        with_model: whether what the daemon validated counts as an example where no person answered.
        rule: how several answers make one label.
        min_submitted: answers that a record needs; with fewer it is no example yet.
    """
    found = []
    for record in records:
        # somebody logged a blank one by hand; and what is held back stays so, or it would be evidence no more
        if not record.text.strip() or record.held_back:
            continue
        if answers := human_answers(record, daemon_id):
            label = human_label(record, daemon_id, rule)
            if label is not None and len(answers) >= min_submitted:
                found.append(Example(record.id, record.text, label, Origin.HUMAN))
        elif with_model and accepted_by_model(record, daemon_id) and record.suggestion is not None:
            found.append(Example(record.id, record.text, record.suggestion, Origin.MODEL))
    return found


def outnumbered(examples: Sequence[Example], most: float) -> list[Example]:
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


def _settled(record: LoggedRecord, daemon_id: str, rule: LabelRule) -> tuple[str | None, bool]:
    """The label, and whether it is a discard that stands in its place."""
    answers = [a for a in human_answers(record, daemon_id) if a.status == "discarded" or a.label is not None]
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
