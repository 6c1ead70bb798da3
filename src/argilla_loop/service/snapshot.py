"""What Argilla and the pool hold at one moment, and what the service would do with it: for every command."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cached_property

from argilla_loop.argilla.protocol import Backend, FoundDataset
from argilla_loop.domain import Model, Pool, Vectors
from argilla_loop.errors import SettingsError
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.batch import Selection
from argilla_loop.loop.decision import decide
from argilla_loop.policy.answers import AdjudicatedRecord, Adjudicator, AnswerRule
from argilla_loop.policy.matching import Match, Matcher
from argilla_loop.policy.plan import Plan
from argilla_loop.service.identity import working_dataset
from argilla_loop.service.wiring import (
    connect_with,
    dataset_of,
    existing_dataset,
    learner_of,
    pool_source,
    rules,
    vectors_of,
)
from argilla_loop.settings import Settings


class Snapshot:
    """The working dataset and its pool, read when first asked for, and then kept.

    Args:
        settings: of the service.
        backend: connection of an admin or owner.

    Raises:
        SchemaError: there is no working dataset yet, or the service cannot work on it.
        RetryableError, FatalError: Argilla is unavailable, or refuses; also raised by every property.
    """

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self.settings, self.backend = settings, backend
        self.found: FoundDataset | None = working_dataset(settings, backend)
        self.info = existing_dataset(settings, backend, self.found)
        self.dataset = dataset_of(settings, backend, self.info)
        self.rules = rules(settings, self.info)
        self.rule = AnswerRule(self.dataset.service_user_id, self.rules.label_rule, self.info.min_submitted)
        self._vectors: PoolVectors | None = None

    def refuse_unknown(self, labels: Collection[str]) -> None:
        """Check that the dataset has all of ``labels``.

        Raises:
            SettingsError: it lacks one of them.
        """
        if unknown := set(labels) - set(self.info.labels):
            raise SettingsError(
                f"no such label: {', '.join(sorted(unknown))} (there are: {', '.join(self.info.labels)})"
            )

    @cached_property
    def pool(self) -> Pool:
        """The pool as it is now."""
        labels = tuple(self.settings.labels) or self.info.labels
        return pool_source(self.settings, labels, self.backend).current()

    @cached_property
    def records(self) -> list[AdjudicatedRecord]:
        """All records of the working dataset, with what their answers come to."""
        return Adjudicator(self.rule).adjudicate(self.dataset.scan())

    @cached_property
    def match(self) -> Match:
        """How the pool goes together with the records."""
        return Matcher().match(self.pool, [one.record for one in self.records])

    @cached_property
    def plan(self) -> Plan:
        """The decision that a turn would act on now."""
        return decide(self.records, self.pool, len(self.match.left), self.info, self.rules)

    @cached_property
    def learner(self) -> ClassyLearner:
        """What trains the models; ``ModelError`` if its encoder cannot be used."""
        return learner_of(self.settings)

    @cached_property
    def vectors(self) -> Vectors:
        """Embeddings of the pool; those that are missing are computed in the background."""
        self._vectors = vectors_of(self.settings, self.learner)
        self._vectors.follow(self.pool)
        return self._vectors

    @cached_property
    def selection(self) -> Selection:
        """Scores and chooses from the pool as a turn does."""
        return Selection(self.vectors, self.rules)

    @cached_property
    def model(self) -> Model:
        """The model that a turn would train now.

        Raises:
            TrainingError: the examples do not suffice for one.
        """
        seen = self.plan.seen
        return self.learner.fit(seen.examples, pool=self.selection.sample(self.pool), previous=seen.head)

    def close(self) -> None:
        """Stop computing embeddings."""
        if self._vectors is not None:
            self._vectors.close()


@contextmanager
def snapshot(settings: Settings) -> Iterator[Snapshot]:
    """Connect, and close everything at the end.

    Raises:
        SchemaError, RetryableError, FatalError: see ``Snapshot``.
    """
    backend = connect_with(settings)
    try:
        taken = Snapshot(settings, backend)
        try:
            yield taken
        finally:
            taken.close()
    finally:
        backend.close()
