"""What must hold of a working dataset, whatever has happened to it: each rule gives its findings, one line each.

``argilla-loop verify`` prints them, and the tests call the same functions after every fault.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.policy.answers import (
    AdjudicatedRecord,
    count_accepted,
    count_labelled,
    is_service_answer,
)
from argilla_loop.policy.observation import is_blind
from argilla_loop.policy.rules import MAX_BATCH
from argilla_loop.policy.text_keys import kept_of, unescape_markup
from argilla_loop.policy.validation.carried import is_carried_over, is_withdrawn
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.policy.validation.granted import Promise

FORMAT = 1  # of the manifest
DIGEST = 12  # bytes of a digest in the manifest. Chosen, not measured: a million records share one with 1e-17
# The longest that a turn may take from reading the audits to logging: an answer of that time may have been seen or not.
# Chosen, not measured.
UNSEEN = timedelta(minutes=30)
SHOWN = 3  # ids that a finding about several records names


@dataclass(frozen=True, slots=True)
class Kept:
    """What a manifest keeps of one record: digests only.

    Attributes:
        text: of its text.
        answers: of the answers of people, one for each person.
    """

    text: str
    answers: frozenset[str]


def repeated_texts(records: Iterable[LoggedRecord]) -> Iterator[str]:
    """Find texts that are there more than once."""
    ids = defaultdict(list)
    for record in records:
        ids[unescape_markup(record.text)].append(record.id)
    for same in ids.values():
        if len(same) > 1:
            yield f"{_named(same)} have the same text"


def batches(records: Iterable[LoggedRecord], *, largest: int = MAX_BATCH) -> Iterator[str]:
    """Find batches that are missing from the numbers 0, 1, 2 …, and batches that are too large."""
    sizes = Counter(record.batch for record in records if record.batch is not None)
    missing = [number for number in range(max(sizes, default=-1)) if number not in sizes]
    for number in missing:
        yield f"batch {number} is missing: all of its records were deleted"
    for number, size in sorted(sizes.items()):
        if number < 0 or size > largest:
            yield f"batch {number} has {size} records: no service logs such a batch (0 to {largest})"


def accepted(records: Iterable[AdjudicatedRecord]) -> Iterator[str]:
    """Find accepted records that their own metadata does not explain."""
    for one in records:
        record = one.record
        if one.is_half_revoked:
            yield f"record {record.id!r}: its revocation was interrupted; repeat argilla-loop revoke"
        if not one.is_accepted:
            continue
        if not record.model or record.threshold is None or record.certainty is None:
            lacking = [n for n in ("model", "threshold", "certainty") if getattr(record, n) in (None, "")]
            yield f"record {record.id!r} was accepted, but its {' and '.join(lacking)} are not known"
        elif not record.certainty > record.threshold:
            yield (
                f"record {record.id!r} was accepted with certainty {record.certainty:g}, which is not above the "
                f"threshold {record.threshold:g}"
            )
        if record.held_back:
            yield f"record {record.id!r} is held back, but was accepted"
        if record.text_key is not None and record.text_key != kept_of(record.text):
            yield f"record {record.id!r} was accepted with another text: somebody has edited it since"


def promises(records: Sequence[AdjudicatedRecord], labels: Sequence[str]) -> Iterator[str]:
    """Find accepted records whose threshold the audits did not grant when they were accepted.

    The grant is derived again from the audits of earlier batches that were answered by then. An answer that came while
    the batch was made may have been seen or not; and an answer that somebody has changed since says no longer what it
    was. Both are given the benefit of the doubt. A promise that was granted in an earlier dataset is not derived: the
    answers that show it have their times there.

    Args:
        records: all records of the working dataset.
        labels: all labels of the question.
    """
    groups: dict[tuple[int, str, float], list[AdjudicatedRecord]] = defaultdict(list)
    for one in records:
        record = one.record
        if not one.is_accepted or is_carried(record):
            continue
        if record.promise and record.threshold is not None and record.batch is not None:
            groups[record.batch, record.promise, record.threshold].append(one)
    for (batch, written, threshold), some in sorted(groups.items()):
        promise = Promise.read(written)
        if promise is None:
            yield f"batch {batch}: {_named(_ids(some))} accepted under an unknown promise, {written!r}"
            continue
        at = min(answer.updated_at for one in some for answer in _service_answers(one))
        earlier = [one for one in records if (one.record.batch or 0) < batch]
        granted: set[str] = set()
        for known in _views(earlier, at):
            decisions = promise.decisions(
                checks_from(known, second_looks=promise.second_looks), labels, threshold, some[0].rule.task,
                labelled=count_labelled(known), accepted=count_accepted(earlier),
            )  # fmt: skip
            granted |= {
                label
                for label, one in decisions.items()
                if one.threshold == threshold and len(some) <= one.room
            }
        wrong = [one for one in some if one.record.prediction not in granted]
        if wrong:
            yield (
                f"batch {batch}: {_named(_ids(wrong))} accepted above {threshold:g} under {written}, which the audits "
                "before it do not grant any more (answers changed, deleted, or not blind)"
            )


def audits(records: Iterable[LoggedRecord]) -> Iterator[str]:
    """Find audits and held-back records that show a suggestion, or lack what they are compared with."""
    for record in records:
        if record.route is not Route.AUDIT and not record.held_back:
            continue
        kind = "audit" if record.route is Route.AUDIT else "held-back record"
        if record.suggestion is not None:
            yield f"{kind} {record.id!r} is not blind: it shows a suggestion"
        if record.prediction is None or record.certainty is None:
            yield f"{kind} {record.id!r} has no prediction to compare the answer with"


def is_carried(record: LoggedRecord) -> bool:
    """Return whether ``record`` was accepted in an earlier dataset, with other labels (``argilla-loop migrate``)."""
    return is_carried_over(record.promise) or is_withdrawn(record.promise)


def kept_of_record(one: AdjudicatedRecord) -> Kept:
    """Return what a manifest keeps of a record."""
    record = one.record
    answers = frozenset(
        _digest(record.id, answer.user_id, answer.status, answer.label) for answer in one.answers
    )
    return Kept(_digest(unescape_markup(record.text)), answers)


def since_export(records: Iterable[AdjudicatedRecord], before: Mapping[str, Kept]) -> Iterator[str]:
    """Find records of an export that are gone, and people's answers that were changed or withdrawn since.

    New answers of other people are no finding.

    Args:
        records: all records of the working dataset.
        before: what the manifest of the export keeps, by id.
    """
    now = {one.record.id: kept_of_record(one) for one in records}
    for id_, kept in before.items():
        if id_ not in now:
            yield f"record {id_!r} is gone since the export"
            continue
        if now[id_].text != kept.text:
            yield f"record {id_!r} has another text since the export"
        if changed := len(kept.answers - now[id_].answers):
            people = "a person's answer" if changed == 1 else f"the answers of {changed} people"
            yield f"record {id_!r}: {people} changed, or went, since the export"


def to_json(records: Iterable[AdjudicatedRecord]) -> dict[str, list[str]]:
    """Return what a manifest keeps of ``records``, for JSON: by id, the digest of the text, then those of answers."""
    kept = {one.record.id: kept_of_record(one) for one in records}
    return {id_: [one.text, *sorted(one.answers)] for id_, one in sorted(kept.items())}


def from_json(content: Any) -> dict[str, Kept]:
    """Return what ``to_json`` made ``content`` of.

    Raises:
        ValueError: it is something else.
    """
    found = {}
    if not isinstance(content, dict):
        raise ValueError("no records")  # noqa: TRY004  the caller handles one error
    for id_, digests in content.items():
        if not isinstance(digests, list) or not digests or not all(isinstance(one, str) for one in digests):
            raise ValueError(f"record {id_!r} has no digests")
        found[id_] = Kept(digests[0], frozenset(digests[1:]))
    return found


def _views(earlier: Sequence[AdjudicatedRecord], at: str) -> Iterator[list[AdjudicatedRecord]]:
    """Yield what the records may have looked like to the turn that logged at ``at``."""
    checks = [one for one in earlier if one.answers]
    begun = _shifted(at, -UNSEEN)
    moments = sorted({_answered(one) for one in checks if begun <= _answered(one) <= at} | {at})
    # Another label by people only allows more, so of the moments with the same checks the last one counts. There are
    # many moments at once where `argilla-loop migrate` has copied all answers.
    checked = {_answered(one) for one in checks if is_blind(one.record) or one.record.route is Route.ACCEPT}
    for moment in [
        m for m, after in zip(moments, [*moments[1:], None], strict=True) if not after or after in checked
    ]:
        known = [one for one in checks if _answered(one) <= moment]
        yield known
        # where batches overlap, what was answered after an audit that still waited was no evidence yet
        waited = [
            one.record.batch or 0
            for one in earlier
            if is_blind(one.record) and (not one.answers or _answered(one) > moment)
        ]
        if waited:
            yield [one for one in known if (one.record.batch or 0) < min(waited)]
    # people gave some answer to each audit before its batch was done; what it was is not known any more
    late = [one for one in checks if _answered(one) > at and one.record.route is not Route.ACCEPT]
    if late:
        yield [one for one in checks if _answered(one) <= at or (one in late and one.is_right)]


def _answered(one: AdjudicatedRecord) -> str:
    return max(answer.updated_at for answer in one.answers)


def _service_answers(one: AdjudicatedRecord) -> list[Answer]:
    user = one.rule.service_user_id
    return [answer for answer in one.record.answers if is_service_answer(answer, one.record, user)]


def _shifted(moment: str, by: timedelta) -> str:
    """Return an ISO time, shifted; unchanged where it is no time, as in memory."""
    try:
        return (datetime.fromisoformat(moment.replace("Z", "+00:00")) + by).isoformat()
    except ValueError:
        return moment


def _digest(*parts: str | None) -> str:
    """Return a digest of ``parts``; a user's id is random, so it cannot be guessed from it."""
    joined = "\0".join("" if part is None else f"={part}" for part in parts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=DIGEST).hexdigest()


def _ids(records: Iterable[AdjudicatedRecord]) -> list[str]:
    return [one.record.id for one in records]


def _named(ids: Sequence[str]) -> str:
    shown = ", ".join(repr(one) for one in ids[:SHOWN])
    more = f" and {len(ids) - SHOWN:,} more" if len(ids) > SHOWN else ""
    return f"record{'s' if len(ids) > 1 else ''} {shown}{more}"
