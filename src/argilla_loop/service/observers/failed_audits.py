"""What happens when audits stop accepting: it is logged once, and accepted records are revoked if so configured."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Collection, Sequence

import structlog

from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import Learner, Model, Vectors
from argilla_loop.loop.batch import Selection
from argilla_loop.loop.revoke import model_of_people, revoke_records
from argilla_loop.loop.turn import PoolSource, Turn
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule
from argilla_loop.policy.plan import NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.revocation import (
    RevocationFilter,
    failed_versions,
    revocable,
    stopped_labels,
)

log = structlog.get_logger(__name__)


class FailedAudits:
    """Called after every turn.

    Only the stop itself is remembered, so that it is logged once. What is to be revoked follows from the records of
    each turn: after a revocation nothing is left, and what an interruption left is revoked after the next turn.

    Args:
        dataset: the working dataset.
        pool: for the examples that came with it.
        learner: for suggestions, if the model of a turn has learnt from models too.
        vectors: embeddings of the pool.
        rules: the operator's rules.
        revoke: whether to revoke what the failed model versions have accepted.
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
        self._rule = AnswerRule(dataset.service_user_id, rules.label_rule, dataset.info.min_submitted)
        self._logged: frozenset[str] = frozenset()

    def __call__(self, turn: Turn) -> None:
        """Look at what ``turn`` saw, and act on it."""
        if not isinstance(turn.step, NextBatch):
            return
        stopped = stopped_labels(turn.plan.acceptance.decisions)
        is_new = stopped != self._logged
        if stopped and (is_new or self._revoke):
            records = turn.seen.records
            versions = failed_versions(records, stopped)
            # an empty filter would match every version
            accepted = revocable(records, RevocationFilter(versions, stopped)) if versions else []
            if is_new:
                self._log(stopped, versions, accepted)
            if accepted and self._revoke:
                self._revoke_records(accepted, turn)
        self._logged = stopped

    def _revoke_records(self, accepted: Sequence[AdjudicatedRecord], turn: Turn) -> None:
        started = time.monotonic()
        revoke_records(self._dataset, accepted, lambda: self._model(turn), rule=self._rule)
        log.warning(
            "accepted_revoked",
            records=len(accepted),
            versions=by_version(accepted),
            why="checks no longer speak for the demanded precision",
            seconds=round(time.monotonic() - started, 3),
        )

    def _log(
        self, stopped: frozenset[str], versions: frozenset[str], accepted: Sequence[AdjudicatedRecord]
    ) -> None:
        then = "nothing is left to revoke"
        if accepted:
            then = (
                "revoking them"
                if self._revoke
                else revoke_command(versions, stopped, self._dataset.info.labels)
            )
        log.warning(
            "accepting_stopped",
            labels=sorted(stopped),
            versions=sorted(versions),
            accepted=len(accepted),
            why="checks no longer speak for the demanded precision",
            then=then,
        )

    def _model(self, turn: Turn) -> Model | None:
        if not self._rules.train_on_model:
            return turn.model
        pool = self._pool.current()
        sample = Selection(self._vectors, self._rules).sample(pool)
        return model_of_people(turn.seen.records, pool, self._learner, sample)


def revoke_command(versions: Collection[str], labels: Collection[str], all_labels: Collection[str]) -> str:
    """Return the command that revokes what ``versions`` have accepted as ``labels``."""
    words = [f"--model-version {shlex.quote(version)}" for version in sorted(versions)]
    if set(labels) != set(all_labels):
        words += [f"--label {shlex.quote(label)}" for label in sorted(labels)]
    return " ".join(["argilla-loop revoke -c FILE", *words])


def by_version(records: Sequence[AdjudicatedRecord]) -> dict[str, int]:
    """Count ``records`` by the model version that accepted them."""
    return dict(sorted(Counter(one.record.model or "unknown" for one in records).items()))
