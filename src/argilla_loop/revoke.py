"""Taking accepted records back: the daemon's answers are withdrawn, and people are asked in its place.

For some records at a time: first the answers go, then the records are put back. Killed in between, it leaves records of
the accept route without an answer of the daemon's, which the next revocation finds and finishes. The other way round
would not do: on any other route the daemon's answer counts as one that a person gave with its account.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import structlog

from argilla_loop.argilla.dataset import WorkingDataset
from argilla_loop.domain import Learner, LoggedRecord, Model, NewRecord, Pool, PoolSample
from argilla_loop.errors import TrainingError
from argilla_loop.observability.progress import progress
from argilla_loop.policy.answers import LabelRule, examples_from
from argilla_loop.policy.certainty import best
from argilla_loop.policy.plan import head_of_latest
from argilla_loop.policy.revocation import asked_again, is_settled, settled

log = structlog.get_logger(__name__)

CHUNK = 50  # records at a time: how many an interruption can leave half done


def take_back(
    dataset: WorkingDataset,
    records: Sequence[LoggedRecord],
    model: Callable[[], Model | None],
    *,
    rule: LabelRule,
    on_chunk: Callable[[int], object] = lambda _: None,
) -> None:
    """Withdraw the daemon's answers on ``records`` and put them before people; safe to kill and to repeat.

    Args:
        dataset: where they lie.
        records: accepted ones, as seen by now; see ``policy.revocation.revocable``.
        model: gives what makes the fresh suggestions; asked only where there is a record to suggest for. ``None``:
            people are asked without.
        rule: how several people's answers make one label.
        on_chunk: called with the number of records that have just been taken back.
    """
    waiting = [record for record in records if not is_settled(record, dataset.daemon_id)]
    suggest = model() if waiting else None
    with progress("revoking_records", len(records)) as advance:
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            anew = _anew(chunk, suggest, dataset.daemon_id, rule)
            dataset.withdraw_own([record.id for record in chunk])
            dataset.put_back(anew)
            advance(len(chunk))
            on_chunk(len(chunk))


def model_of_people(
    dataset: WorkingDataset,
    records: Sequence[LoggedRecord],
    pool: Pool,
    learner: Learner,
    sample: PoolSample | None,
    *,
    rule: LabelRule,
) -> Model | None:
    """A model of what people have labelled by now, trained as a turn trains it; ``None`` where that is impossible."""
    answered = examples_from(
        records,
        daemon_id=dataset.daemon_id,
        with_model=False,
        rule=rule,
        min_submitted=dataset.info.min_submitted,
    )
    examples = {example.id: example for example in (*pool.examples(), *answered)}
    try:
        return learner.fit(list(examples.values()), pool=sample, previous=head_of_latest(records))
    except TrainingError as error:
        log.warning("training_impossible", reason=str(error), then="asking without suggestions")
        return None


def by_version(records: Sequence[LoggedRecord]) -> dict[str, int]:
    """How many of ``records`` each model version accepted."""
    return dict(sorted(Counter(record.model or "unknown" for record in records).items()))


def _anew(
    records: Sequence[LoggedRecord], model: Model | None, daemon_id: str, rule: LabelRule
) -> list[NewRecord]:
    """What becomes of ``records``, in their order."""
    waiting = [record for record in records if not is_settled(record, daemon_id)]
    fresh = {record.id: asked_again(record) for record in waiting}
    if model is not None and waiting:
        columns, certainties = best(model.predict_proba([record.text for record in waiting]))
        fresh = {
            record.id: asked_again(
                record, model.labels[column], min(round(float(certainty), 6), 1.0), model.version
            )
            for record, column, certainty in zip(waiting, columns, certainties, strict=True)
        }
    return [fresh[r.id] if r.id in fresh else settled(r, daemon_id, rule) for r in records]
