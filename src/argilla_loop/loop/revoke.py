"""Revoking and reviewing accepted records: the service's answers are withdrawn, and people are asked instead.

Records are revoked a few at a time: first their answers are withdrawn, then they are returned to the queue. A process
that is killed in between leaves records of the accept route without an answer of the service, which the next revocation
finds and finishes. The reverse order would be wrong: on any other route the service's answer counts as one that a
person gave with the service's account.

It doesn't matter which service accepted a record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import Learner, Model, NewRecord, Pool, PoolSample
from argilla_loop.errors import TrainingError
from argilla_loop.loop.scoring import score_texts
from argilla_loop.observability.progress import progress
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate, examples_from
from argilla_loop.policy.matching import all_examples
from argilla_loop.policy.observation import head_of_latest
from argilla_loop.policy.validation.revocation import RevocationFilter, asked_again, revocable, settled

log = structlog.get_logger(__name__)

CHUNK = 50  # records at a time, and so the most that an interruption leaves half done; chosen, not measured


def revoke_records(
    dataset: WorkingDataset,
    records: Sequence[AdjudicatedRecord],
    model: Callable[[], Model | None],
    *,
    rule: AnswerRule,
    on_chunk: Callable[[int], object] = lambda _: None,
) -> None:
    """Withdraw the services' answers to ``records`` and return these to the queue; safe to kill and to repeat.

    Args:
        dataset: the working dataset.
        records: accepted records; see ``policy.validation.revocation.revocable``.
        model: returns what makes the new suggestions; ``None``: people are asked without suggestions.
        rule: how answers are read.
        on_chunk: called with the number of records that have just been revoked.
    """
    suggest = model() if records else None
    requeue_records(
        dataset,
        records,
        lambda chunk: _asked_again(chunk, suggest, rule),
        rule=rule,
        task="revoking_records",
        on_chunk=on_chunk,
    )


def requeue_records(
    dataset: WorkingDataset,
    records: Sequence[AdjudicatedRecord],
    become: Callable[[Sequence[AdjudicatedRecord]], Mapping[str, NewRecord]],
    *,
    rule: AnswerRule,
    task: str,
    on_chunk: Callable[[int], object] = lambda _: None,
) -> None:
    """Withdraw the services' answers to ``records``, and then return these to the queue; safe to kill and to repeat.

    Args:
        dataset: the working dataset.
        records: accepted records; see ``policy.validation.revocation.revocable``.
        become: returns what becomes of some records that people have not answered, by id.
        rule: how answers are read.
        task: snake_case name of the work, for its progress.
        on_chunk: called with the number of records that have just been returned.
    """
    with progress(task, len(records)) as advance:
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            fresh = become(chunk)  # before anything changes, so that both steps follow at once
            withdrawn = dataset.withdraw_own([one.record.id for one in chunk])
            seen = [adjudicate(record, rule) for record in withdrawn]  # people may have answered meanwhile
            dataset.return_to_queue(
                [
                    settled(one) if one.answers else fresh[one.record.id]
                    for one in revocable(seen, RevocationFilter())
                ]
            )
            advance(len(chunk))
            on_chunk(len(chunk))


def model_of_people(
    records: Sequence[AdjudicatedRecord], pool: Pool, learner: Learner, sample: PoolSample | None
) -> Model | None:
    """Train a model on the answers of people, as a turn trains it; return ``None`` if that is impossible."""
    answered = examples_from(records, with_model=False)
    previous = head_of_latest(one.record for one in records)
    try:
        return learner.fit(all_examples(pool.examples(), answered), pool=sample, previous=previous)
    except TrainingError as error:
        log.warning("training_impossible", reason=str(error), then="asking without suggestions")
        return None


def _asked_again(
    records: Sequence[AdjudicatedRecord], model: Model | None, rule: AnswerRule
) -> dict[str, NewRecord]:
    """Return what becomes of ``records`` that people have not answered, by id."""
    plain = [one.record for one in records]
    if model is None:
        return {record.id: asked_again(record) for record in plain}
    labels, _, certainties = score_texts(model, [record.text for record in plain], rule.task)
    return {
        record.id: asked_again(record, label, float(certainty), model.version)
        for record, label, certainty in zip(plain, labels, certainties, strict=True)
    }
