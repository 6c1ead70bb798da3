"""Taking accepted records back: the service's answers are withdrawn, and people are asked in its place.

For some records at a time: first the answers go, then the records are put back. Killed in between, it leaves records of
the accept route without an answer of the service's, which the next revocation finds and finishes. The other way round
would not do: on any other route that answer counts as one that a person gave with the service's account.

Whose service it was that accepted them does not matter.
"""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence

import structlog

from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import Learner, LoggedRecord, Model, NewRecord, Pool, PoolSample, Vectors
from argilla_loop.errors import TrainingError
from argilla_loop.loop.batch import Selection
from argilla_loop.loop.turn import PoolSource, Turn
from argilla_loop.observability.progress import progress
from argilla_loop.policy.answers import LabelRule, examples_from
from argilla_loop.policy.matching import all_examples
from argilla_loop.policy.plan import NextBatch, head_of_latest
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.certainty import best
from argilla_loop.policy.validation.revocation import (
    RevocationFilter,
    asked_again,
    failed_versions,
    is_settled,
    revocable,
    settled,
    stopped_labels,
)

log = structlog.get_logger(__name__)

CHUNK = 50  # records at a time: how many an interruption can leave half done


def revoke_records(
    dataset: WorkingDataset,
    records: Sequence[LoggedRecord],
    model: Callable[[], Model | None],
    *,
    rule: LabelRule,
    on_chunk: Callable[[int], object] = lambda _: None,
) -> None:
    """Withdraw the services' answers on ``records`` and put them before people; safe to kill and to repeat.

    Args:
        dataset: where they lie.
        records: accepted ones, as seen by now; see ``policy.revocation.revocable``.
        model: gives what makes the fresh suggestions; ``None``: people are asked without.
        rule: how several people's answers make one label.
        on_chunk: called with the number of records that have just been taken back.
    """
    suggest = model() if records else None
    with progress("revoking_records", len(records)) as advance:
        for start in range(0, len(records), CHUNK):
            chunk = records[start : start + CHUNK]
            fresh = _asked_again(chunk, suggest)  # beforehand, so that the steps follow each other at once
            seen = dataset.withdraw_own([record.id for record in chunk])
            dataset.return_to_queue(
                [
                    settled(one, dataset.service_user_id, rule)
                    if is_settled(one, dataset.service_user_id)
                    else fresh[one.id]
                    for one in revocable(seen, RevocationFilter(), dataset.service_user_id)  # by now
                ]
            )
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
        service_user_id=dataset.service_user_id,
        with_model=False,
        rule=rule,
        min_submitted=dataset.info.min_submitted,
    )
    try:
        return learner.fit(
            all_examples(pool.examples(), answered), pool=sample, previous=head_of_latest(records)
        )
    except TrainingError as error:
        log.warning("training_impossible", reason=str(error), then="asking without suggestions")
        return None


class FailedAudits:
    """Sees to turns after which accepting has stopped: says so once, and takes back what had been accepted, if told to.

    Only the stop itself is remembered, so that it is said once. What is to be taken back is seen anew at every turn:
    afterwards there is nothing left, and what an interruption left is taken back at the next turn.

    Args:
        dataset: where the records lie.
        pool: for what came with a label.
        learner: for suggestions where a turn's own model learns from models, too.
        vectors: of the pool.
        rules: of the loop.
        revoke: whether to take back what the failed versions have accepted.
    """

    def __init__(
        self,
        dataset: WorkingDataset,
        pool: PoolSource,
        learner: Learner,
        vectors: Vectors,
        rules: Rules,
        *,
        revoke: bool,
    ) -> None:
        self._dataset, self._pool, self._learner, self._vectors = dataset, pool, learner, vectors
        self._rules, self._revoke = rules, revoke
        self._told: frozenset[str] = frozenset()

    def __call__(self, turn: Turn) -> None:
        """See to ``turn``."""
        if not isinstance(turn.step, NextBatch):
            return
        stopped = stopped_labels(turn.step.decisions)
        news = stopped != self._told
        if stopped and (news or self._revoke):
            started = time.monotonic()
            records = list(self._dataset.scan())
            versions = failed_versions(
                records,
                stopped,
                service_user_id=self._dataset.service_user_id,
                rule=self._rules.label_rule,
                min_submitted=self._dataset.info.min_submitted,
            )
            # of no version all would be meant
            accepted = (
                revocable(records, RevocationFilter(versions, stopped), self._dataset.service_user_id)
                if versions
                else []
            )
            if news:
                self._tell(stopped, versions, accepted)
            if accepted and self._revoke:
                revoke_records(
                    self._dataset, accepted, lambda: self._model(turn, records), rule=self._rules.label_rule
                )
                log.warning(
                    "accepted_revoked",
                    records=len(accepted),
                    versions=by_version(accepted),
                    why="checks no longer speak for the demanded precision",
                    seconds=round(time.monotonic() - started, 3),
                )
        self._told = stopped

    def _tell(
        self, stopped: frozenset[str], versions: frozenset[str], accepted: Sequence[LoggedRecord]
    ) -> None:
        then = "nothing is left to take back"
        if accepted:
            then = (
                "taking them back" if self._revoke else command(versions, stopped, self._dataset.info.labels)
            )
        log.warning(
            "accepting_stopped",
            labels=sorted(stopped),
            versions=sorted(versions),
            accepted=len(accepted),
            why="checks no longer speak for the demanded precision",
            then=then,
        )

    def _model(self, turn: Turn, records: Sequence[LoggedRecord]) -> Model | None:
        if not self._rules.train_on_model:
            return turn.model
        pool = self._pool.current()
        sample = Selection(self._vectors, self._rules).sample(pool)
        return model_of_people(
            self._dataset, records, pool, self._learner, sample, rule=self._rules.label_rule
        )


def command(versions: Collection[str], labels: Collection[str], all_labels: Collection[str]) -> str:
    """What an operator types to take back what ``versions`` have accepted as ``labels``."""
    words = [f"--model-version {shlex.quote(version)}" for version in sorted(versions)]
    if set(labels) != set(all_labels):
        words += [f"--label {shlex.quote(label)}" for label in sorted(labels)]
    return " ".join(["argilla-loop revoke -c FILE", *words])


def by_version(records: Sequence[LoggedRecord]) -> dict[str, int]:
    """How many of ``records`` each model version accepted."""
    return dict(sorted(Counter(record.model or "unknown" for record in records).items()))


def _asked_again(records: Sequence[LoggedRecord], model: Model | None) -> dict[str, NewRecord]:
    """What becomes of ``records``, by id, where people have not answered them."""
    if model is None:
        return {record.id: asked_again(record) for record in records}
    columns, certainties = best(model.predict_proba([record.text for record in records]))
    return {
        record.id: asked_again(
            record, model.labels[column], min(round(float(certainty), 6), 1.0), model.version
        )
        for record, column, certainty in zip(records, columns, certainties, strict=True)
    }
