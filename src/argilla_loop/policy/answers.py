"""What the answers on a record mean: is it done, who labelled it, what may be learnt from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from argilla_loop.domain import Answer, Example, LoggedRecord, Origin, Route


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


def human_label(record: LoggedRecord, daemon_id: str) -> str | None:
    """The label people agree on: that of most submitted answers, of the latest one where they tie.

    ``None`` without a submitted human answer; a discard is no vote.
    """
    submitted = [
        a for a in human_answers(record, daemon_id) if a.status == "submitted" and a.label is not None
    ]
    if not submitted:
        return None
    votes = Counter(a.label for a in submitted)
    most = max(votes.values())
    latest = max((a for a in submitted if votes[a.label] == most), key=lambda a: (a.updated_at, a.user_id))
    return latest.label


def is_done(record: LoggedRecord, *, min_submitted: int, daemon_id: str) -> bool:
    """Whether ``record`` waits for nobody any more.

    It is done once ``min_submitted`` people have submitted or discarded it, or the daemon has accepted it.
    Argilla's own status would not do: a record with only a discard stays pending for ever.
    """
    return accepted_by_model(record, daemon_id) or len(human_answers(record, daemon_id)) >= min_submitted


def is_discarded(record: LoggedRecord, daemon_id: str) -> bool:
    """Whether people answered ``record`` and none of them with a label: it is no example for anyone."""
    answers = human_answers(record, daemon_id)
    return bool(answers) and all(a.status == "discarded" for a in answers)


def examples_from(records: Iterable[LoggedRecord], *, daemon_id: str, with_model: bool) -> list[Example]:
    """The examples that ``records`` hold; a person's answer outranks the daemon's, a blank text is no example.

    Args:
        records: records of the working dataset.
        daemon_id: user id of the service.
        with_model: whether what the daemon validated counts as an example where no person answered.
    """
    found = []
    for record in records:
        if not record.text.strip():
            continue  # somebody logged it by hand
        label = human_label(record, daemon_id)
        if label is not None:
            found.append(Example(record.id, record.text, label, Origin.HUMAN))
            continue
        accepted = with_model and accepted_by_model(record, daemon_id) and not is_discarded(record, daemon_id)
        if accepted and record.suggestion is not None:
            found.append(Example(record.id, record.text, record.suggestion, Origin.MODEL))
    return found
