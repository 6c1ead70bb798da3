"""One turn of the loop: observe, plan, act.

Nothing is kept from turn to turn that Argilla does not hold: after a crash, a restart or a changed answer the next turn
simply observes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Protocol

import structlog

from argilla_loop.argilla.index_watch import IndexWatch
from argilla_loop.argilla.observer import Observer
from argilla_loop.argilla.protocol import WorkingDataset
from argilla_loop.domain import Learner, LoggedRecord, Model, NewRecord, Pool, PoolSample, Route, Vectors
from argilla_loop.errors import TrainingError
from argilla_loop.loop.batch import Scores, Selection
from argilla_loop.loop.decision import View, decide, view
from argilla_loop.loop.outlook import outlook_of
from argilla_loop.policy.answers import AdjudicatedRecord, Adjudicator, AnswerRule, validated_by_others
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.estimate.stability import Stability
from argilla_loop.policy.matching import Match, Matcher
from argilla_loop.policy.observation import Observation, is_open, latest_batches
from argilla_loop.policy.plan import ColdStart, NextBatch, Plan, Step, stopped_by
from argilla_loop.policy.progress import suggestions_kept
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.text_keys import keys_of
from argilla_loop.policy.validation.certainty import Levels

log = structlog.get_logger(__name__)

# Latest batches that are often compared with the search index: the open one, and the one that was answered last.
COMPARED = 2
RESYNC_SECONDS = (
    60.0  # bulk writes don't move the activity time, so everything is read this often all the same
)


class PoolSource(Protocol):
    """Gives the pool as it is now, and reads it again when it has changed."""

    def revision(self) -> str:
        """Return what changes when the pool may have; cheap enough for every look."""

    def current(self) -> Pool:
        """Return the pool."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn decided and did.

    Attributes:
        plan: the decision, with the observation that it is based on.
        records: what was logged.
        model: the model that scored them; ``None`` if none was trained.
        outlook: how right the labels are, and whether to stop; ``None`` if no model was trained.
        seconds: by phase.
        suggestions: number of suggestions that people kept, and that they answered.
        validated_by_others: records accepted by services of other users that still stand, by user id.
    """

    plan: Plan
    records: Sequence[NewRecord] = ()
    model: Model | None = None
    outlook: Outlook | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    suggestions: tuple[int, int] = (0, 0)
    validated_by_others: Mapping[str, int] = field(default_factory=dict)

    @property
    def held_back(self) -> tuple[int, int] | None:
        """How many held-back answers this turn's model predicts, and how many there are."""
        return self.outlook.held_back if self.outlook is not None else None

    @property
    def step(self) -> Step:
        """The step that was taken."""
        return self.plan.step

    @property
    def seen(self) -> Observation:
        """What the plan is based on."""
        return self.plan.seen


class Loop:
    """Turns answers into the next batch.

    Args:
        dataset: the working dataset.
        pool: where the texts come from.
        learner: trains the models.
        vectors: embeddings of the pool.
        rules: the operator's rules.
        observers: called after every turn, in this order.
        observer: reads the dataset; the default reads all of it or what may have changed, whichever is cheaper.
        task: the kind of question.
        start: suggests while there are too few examples for a model.
        guess: makes what suggests then, of a sample of the pool, if there is no ``start``.
        stability: compares successive models; by default it begins anew.
    """

    def __init__(
        self,
        dataset: WorkingDataset,
        pool: PoolSource,
        learner: Learner,
        vectors: Vectors,
        rules: Rules,
        *,
        observers: Sequence[Callable[[Turn], object]] = (),
        observer: Observer | None = None,
        task: Task = SINGLE_LABEL,
        start: Model | None = None,
        guess: Callable[[PoolSample], Model | None] | None = None,
        stability: Stability | None = None,
    ) -> None:
        self._dataset, self._pool, self._learner = dataset, pool, learner
        self._rules, self._task, self._observers = rules, task, tuple(observers)
        self._selection = Selection(vectors, rules, task, start=start)
        self._guess = guess if start is None else None
        self.answer_rule = AnswerRule(
            dataset.service_user_id, rules.label_rule, dataset.info.min_submitted, task
        )
        self._adjudicator = Adjudicator(self.answer_rule)
        self._observer = observer or Observer(dataset)
        self._index = IndexWatch(dataset)
        self._looked_at: object = None
        self._acted_on: object = None  # the state that the last turn dealt with
        self._read_at: object = None  # the state at which the open batch was read
        self._is_open = False  # whether somebody still has to answer a record of the latest batch
        self._recent: list[LoggedRecord] = []  # the latest batches
        self._matcher = Matcher()
        self._reported_pool: str | None = (
            None  # fingerprint of the pool that was reported not to fit the dataset
        )
        self._refused: set[int] = set()  # keys of the texts that the server refused
        self._stability = stability or Stability()
        self._pool_seen: tuple[Pool, int] | None = None  # that of the last turn, and what it left
        self._view: Callable[[], View | None] = lambda: None

    def due(self) -> bool:
        """Return whether a turn could do anything: few records wait, and something moved since the last turn.

        The database decides whether a batch is done, never the search index, which may lack what was stored. If nothing
        seems to have moved, the open batch is read once a minute all the same.
        """
        activity, texts = self._dataset.revision(), self._pool.revision()
        self._looked_at = (activity, texts, time.monotonic() // RESYNC_SECONDS)
        if self._acted_on is None:
            return True  # just started: what happened before is unknown
        if self._looked_at != self._read_at:
            records = self._observer.look()
            adjudicated = self._adjudicator.adjudicate(records)
            self._is_open = is_open(adjudicated, self._rules.refill_at)
            self._show(adjudicated)
            self._recent = latest_batches(records, COMPARED)
            self._read_at = self._looked_at
        due = self._looked_at != self._acted_on and not self._is_open
        if not due:
            self._observer.replace(self._index.compare(self._recent, self._observer.records))
            self._observer.read_again(activity)
        return due

    def act(self) -> bool:
        """Do one turn; return ``True`` if it took texts from the pool, so that another turn may be due at once."""
        refused = len(self._refused)
        turn = self.turn()
        took = bool(turn.records) or len(self._refused) > refused
        # neither a batch that waits for nobody moves the activity time, nor one of which nothing was logged
        over = took and all(record.route is Route.ACCEPT for record in turn.records)
        self._acted_on, self._read_at = (None if over else self._looked_at), None
        return took

    def forget(self) -> None:
        """Forget what was observed: another service writes to the dataset in the meantime."""
        self._observer.forget()
        self._acted_on = self._read_at = None

    def view(self) -> View | None:
        """Return what a turn would decide now, from what was last read of Argilla; ``None`` before the first turn.

        Any thread may call it. It is computed once for what was read, when somebody asks.
        """
        return self._view()

    @property
    def trouble(self) -> str | None:
        """What is wrong with Argilla's search index, in one line; ``None`` if nothing is."""
        return self._index.trouble

    def turn(self) -> Turn:
        """Observe, plan, act."""
        clock = _Clock()
        pool, held = self._pool.current(), self._observer.observe()
        match = self._matched(pool, held)
        records = self._adjudicator.adjudicate(held)
        decided = decide(records, pool, len(match.left), self._dataset.info, self._rules, self._task)
        clock.lap("observe")

        decided, model, outlook, batch = self._next_batch(decided, pool, match, clock)
        if batch:
            batch = self._log(match.named(batch))
            clock.lap("log")

        self._pool_seen = pool, len(match.left) - len(batch)
        if not batch:  # what was logged is read by the next look
            self._show(records)
        kept, others = suggestions_kept(records), validated_by_others(records)
        turn = Turn(decided, batch, model, outlook, clock.laps, kept, others)
        for observe_turn in self._observers:
            observe_turn(turn)
        return turn

    def _show(self, records: Sequence[AdjudicatedRecord]) -> None:
        if self._pool_seen is not None:
            pool, left = self._pool_seen
            self._view = cache(
                partial(view, records, pool, left, self._dataset.info, self._rules, self._task)
            )

    def _next_batch(
        self, decided: Plan, pool: Pool, match: Match, clock: _Clock
    ) -> tuple[Plan, Model | None, Outlook | None, list[NewRecord]]:
        """Train a model if the plan is to, look ahead, and choose the records to log; stop if that is reached."""
        step = decided.step
        if not isinstance(step, (ColdStart, NextBatch)):
            return decided, None, None, []
        sample = self._selection.sample(pool)
        clock.lap("embed")
        model = self._train(decided.seen, sample, clock) if isinstance(step, NextBatch) else None
        if not isinstance(step, NextBatch) or model is None:
            guess = self._guess(sample) if self._guess is not None else None
            batch = self._selection.cold_start_batch(pool, match.left, step, guess=guess)
            clock.lap("choose")
            return decided, model, None, batch
        scores = self._selection.score(pool, match.left, model)
        levels = self._selection.levels(scores, decided.acceptance, model)
        outlook = self._look_ahead(decided, model, sample, scores, levels)
        decided = stopped_by(decided, outlook)
        batch = []
        if isinstance(decided.step, NextBatch):
            batch = self._selection.model_batch(
                pool, match.left, scores, levels, decided.step, decided.acceptance, model
            )
        clock.lap("choose")
        return decided, model, outlook, batch

    def _look_ahead(
        self, decided: Plan, model: Model, sample: PoolSample, scores: Scores, levels: Levels
    ) -> Outlook:
        """Estimate how right the labels are, and how much the model still changes."""
        predicted = self._task.predict(model.score(sample.vectors), model.labels).labels
        agreement = self._stability.follow(model.version, sample.fingerprint, predicted)
        acceptable = int(levels.acceptable(scores.columns, scores.certainties).sum())
        return outlook_of(decided, model, scores.certainties, agreement, acceptable=acceptable)

    def _train(self, seen: Observation, sample: PoolSample, clock: _Clock) -> Model | None:
        try:
            model = self._learner.fit(seen.examples, pool=sample, previous=seen.head)
        except TrainingError as error:
            log.warning("training_impossible", reason=str(error), then="asking without suggestions")
            return None
        clock.lap("train")
        return model

    def _log(self, batch: Sequence[NewRecord]) -> list[NewRecord]:
        """Log ``batch``; return the records that the server took."""
        refused = set(self._dataset.log(batch))
        self._refused |= set(keys_of([r.text for r in batch if r.id in refused]).tolist())
        return [record for record in batch if record.id not in refused]

    def _matched(self, pool: Pool, records: Sequence[LoggedRecord]) -> Match:
        """Find out which texts are left; report a pool once if it and Argilla have different texts or ids."""
        match = self._matcher.match(pool, records, without=self._refused)
        if (match.changed or match.moved) and pool.fingerprint != self._reported_pool:
            self._reported_pool = pool.fingerprint
            log.warning(
                "pool_texts_changed",
                ids_with_another_text=match.changed,
                texts_under_another_id=match.moved,
                then="what is logged stays; a text that was never logged is asked, if need be under an id of its own",
            )
        return match


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.laps[phase] = round(now - self._last, 3)
        self._last = now
