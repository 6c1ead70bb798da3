"""One turn of the loop: observe, plan, act.

Nothing is remembered from turn to turn that Argilla does not hold: a crash, a restart, a changed mind are just
another observation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypedDict

import structlog

from argilla_loop.argilla.index_watch import IndexWatch
from argilla_loop.argilla.observer import Observer
from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import Learner, LoggedRecord, Model, NewRecord, Pool, PoolSample, Route, Vectors
from argilla_loop.errors import TrainingError
from argilla_loop.loop.batch import Selection
from argilla_loop.policy.answers import LabelRule, cap_pseudo_labels, examples_from, validated_by_others
from argilla_loop.policy.matching import Match, Matcher, all_examples
from argilla_loop.policy.plan import (
    ColdStart,
    NextBatch,
    Observation,
    Step,
    head_of_latest,
    last_audit_threshold,
    latest_batch,
    latest_batches,
    plan,
)
from argilla_loop.policy.progress import suggestions_kept
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.text_keys import keys_of
from argilla_loop.policy.validation.checks import checks_from, held_back_answers

log = structlog.get_logger(__name__)

COMPARED = (
    2  # latest batches that are often compared with the search index: the open one, and the one just answered
)
RESYNC_SECONDS = 60.0  # writes in bulk move no activity time: look through everything this often all the same


class PoolSource(Protocol):
    """Gives the pool as it is now; reads it again when it has changed."""

    def revision(self) -> str:
        """Changes when the pool may have; cheap enough for every look."""

    def current(self) -> Pool:
        """The pool."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn saw and did, for whoever reports it."""

    step: Step
    seen: Observation
    records: Sequence[NewRecord] = ()
    model: Model | None = None
    held_back: tuple[int, int] | None = None  # right and all of the held-back answers, by this turn's model
    seconds: dict[str, float] = field(default_factory=dict)  # by phase
    suggestions: tuple[int, int] = (0, 0)  # that people kept, and that they answered
    validated_by_others: Mapping[str, int] = field(default_factory=dict)  # records that stand, by user id


class Loop:
    """Turns answers into the next batch."""

    def __init__(
        self,
        dataset: WorkingDataset,
        pool: PoolSource,
        learner: Learner,
        vectors: Vectors,
        rules: Rules,
        *,
        on_turn: Callable[[Turn], object] = lambda _: None,
        observer: Observer | None = None,
    ) -> None:
        self._dataset, self._pool, self._learner = dataset, pool, learner
        self._selection = Selection(vectors, rules)
        self._rules, self._on_turn = rules, on_turn
        self._observer = observer or Observer(dataset)
        self._index = IndexWatch(dataset)
        self.batch_number = 0  # a hint for where to look; every turn reads it anew
        self._looked_at: object = None
        self._acted_on: object = None  # the state of affairs that the last turn has dealt with
        self._read_at: object = None  # the state of affairs at which the open batch was read
        self._waiting: list[LoggedRecord] = []  # the open batch; empty where nobody has to answer anything
        self._recent: list[LoggedRecord] = []  # the latest batches, in which people have just been at work
        self._matcher = Matcher()
        self._told_of: str | None = None  # the pool of which was said that it does not fit what is logged
        self._refused: set[int] = set()  # keys of the texts that the server does not take as they are

    def due(self) -> bool:
        """Whether a turn could do anything: the batch is done, and something moved since the last turn.

        It is the database that says whether a batch is done, never the search index, which may lack what was stored.
        Where nothing says that anything has moved, the open batch is read once a minute all the same.
        """
        activity, texts = self._dataset.revision(), self._pool.revision()
        self._looked_at = (activity, texts, time.monotonic() // RESYNC_SECONDS)
        if self._acted_on is None:
            return True  # just started: what happened before is unknown
        if self._looked_at != self._read_at:
            records = self._observer.look()
            self._waiting, self._recent = self._open_batch(records), latest_batches(records, COMPARED)
            self._read_at = self._looked_at
        due = self._looked_at != self._acted_on and not self._waiting
        if not due:
            self._observer.replace(self._index.compare(self._recent, self._observer.records))
            self._observer.read_again(activity)
        return due

    def forget(self) -> None:
        """Another service writes to the dataset: what was seen before counts for nothing when we go on."""
        self._observer.forget()
        self._acted_on = self._read_at = None

    @property
    def trouble(self) -> str | None:
        """What is wrong with Argilla's search index, in a line; ``None`` where nothing is."""
        return self._index.trouble

    def _open_batch(self, records: Sequence[LoggedRecord]) -> list[LoggedRecord]:
        batch = latest_batch(
            records,
            min_submitted=self._dataset.info.min_submitted,
            service_user_id=self._dataset.service_user_id,
        )
        if batch is None or batch.is_done:
            return []
        return [record for record in records if record.batch == batch.number]

    def act(self) -> bool:
        """A listener's action: one turn; ``True`` where it took something from the pool: more may be due at once."""
        refused = len(self._refused)
        turn = self.turn()
        took = bool(turn.records) or len(self._refused) > refused
        # a batch that waits for nobody moves no activity time, and neither does one of which nothing was logged
        over = took and all(record.route is Route.ACCEPT for record in turn.records)
        self._acted_on, self._read_at = (None if over else self._looked_at), None
        return took

    def turn(self) -> Turn:
        """Observe, plan, act."""
        clock = _Clock()
        pool, records = self._pool.current(), self._observer.observe()
        match = self._matched(pool, records)
        left = match.left
        seen = self._observe(pool, records, len(left))
        clock.lap("observe")

        step, model, batch = self._plan(seen), None, []
        if isinstance(step, (ColdStart, NextBatch)):
            sample = self._selection.sample(pool)
            clock.lap("embed")
            model = self._train(seen, sample, clock) if isinstance(step, NextBatch) else None
            if isinstance(step, NextBatch) and model is not None:
                batch = self._selection.model_batch(pool, left, step, model)
            else:
                batch = self._selection.cold_start_batch(pool, left, step)
            clock.lap("choose")
        held_back = self._measure(records, model) if model is not None else None

        if batch:
            batch = match.named(batch)
            refused = set(self._dataset.log(batch))
            self._refused |= set(keys_of([r.text for r in batch if r.id in refused]).tolist())
            batch = [record for record in batch if record.id not in refused]
            clock.lap("log")
        self.batch_number = max(seen.next_number - (0 if batch else 1), 0)
        kept = suggestions_kept(records, **self._whose())
        others = validated_by_others(records, self._dataset.service_user_id)
        turn = Turn(step, seen, batch, model, held_back, clock.laps, kept, others)
        self._on_turn(turn)
        return turn

    def _matched(self, pool: Pool, records: Sequence[LoggedRecord]) -> Match:
        """Which texts are left; says once a pool where it and Argilla have other texts or ids."""
        match = self._matcher.match(pool, records, without=self._refused)
        if (match.changed or match.moved) and pool.fingerprint != self._told_of:
            self._told_of = pool.fingerprint
            log.warning(
                "pool_texts_changed",
                ids_with_another_text=match.changed,
                texts_under_another_id=match.moved,
                then="what is logged stays; a text that was never logged is asked, if need be under an id of its own",
            )
        return match

    def _plan(self, seen: Observation) -> Step:
        rules = self._rules
        return plan(
            seen,
            slice_size=rules.slice_size,
            minimum=rules.min_examples_per_label,
            criterion=rules.criterion,
            each_label=rules.promise == "label",
            accept_minimum=rules.min_accept_examples,
        )

    def _observe(self, pool: Pool, records: Sequence[LoggedRecord], left: int) -> Observation:
        rules, whose = self._rules, self._whose()
        answered = examples_from(records, **whose, with_model=rules.train_on_model)
        examples = all_examples(pool.examples(), answered)
        return Observation(
            latest_batch(
                records, min_submitted=whose["min_submitted"], service_user_id=whose["service_user_id"]
            ),
            cap_pseudo_labels(examples, rules.self_training_ratio),
            self._dataset.info.labels,
            left,
            head_of_latest(records),
            checks_from(records, **whose),
            last_audit_threshold(records),
        )

    def _measure(self, records: Sequence[LoggedRecord], model: Model) -> tuple[int, int] | None:
        """How often ``model`` is right on what is held back; None where nothing of it is answered."""
        answers = held_back_answers(records, **self._whose())
        if not answers:
            return None
        columns = model.predict_proba([text for text, _ in answers]).argmax(axis=1)
        right = sum(model.labels[n] == label for n, (_, label) in zip(columns, answers, strict=True))
        return right, len(answers)

    def _whose(self) -> _Whose:
        return {
            "service_user_id": self._dataset.service_user_id,
            "rule": self._rules.label_rule,
            "min_submitted": self._dataset.info.min_submitted,
        }

    def _train(self, seen: Observation, sample: PoolSample, clock: _Clock) -> Model | None:
        try:
            model = self._learner.fit(seen.examples, pool=sample, previous=seen.head)
        except TrainingError as error:
            log.warning("training_impossible", reason=str(error), then="asking without suggestions")
            return None
        clock.lap("train")
        return model


class _Whose(TypedDict):
    service_user_id: str
    rule: LabelRule
    min_submitted: int


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.laps[phase] = round(now - self._last, 3)
        self._last = now
