"""One turn of the loop: observe, plan, act.

Nothing is remembered from turn to turn that Argilla does not hold: a crash, a restart, a changed mind are just
another observation.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import structlog

from argilla_loop.argilla.dataset import WorkingDataset
from argilla_loop.argilla.listener import Search
from argilla_loop.argilla.query import IN_BATCH
from argilla_loop.domain import (
    FloatArray,
    HalfArray,
    IndexArray,
    Learner,
    LoggedRecord,
    Model,
    NewRecord,
    Pool,
    PoolSample,
    Route,
    Vectors,
)
from argilla_loop.errors import TrainingError
from argilla_loop.policy.answers import examples_from
from argilla_loop.policy.certainty import best, route
from argilla_loop.policy.plan import (
    ColdStart,
    NextBatch,
    Observation,
    Step,
    head_of_latest,
    latest_batch,
    plan,
)
from argilla_loop.policy.query import Strategy, choose, shuffled

log = structlog.get_logger(__name__)

FIRST = 2000  # texts of a pool that a turn waits for; of a larger one the others come as they are embedded
SAMPLES = (4000, FIRST)  # of the pool, for the learner: the larger one as soon as it is embedded
BLOCK = 8192  # rows scored at a time
RESYNC_SECONDS = 60.0  # writes in bulk move no activity time: look through everything this often all the same


@dataclass(frozen=True, slots=True)
class Rules:
    """What the operator decided; see the settings of the same names."""

    slice_size: int = 10
    min_examples_per_label: int = 5
    strategy: Strategy = "mixed"
    candidates: int = 100_000  # scored in a turn: all of the pool, or so many at random
    certainty_threshold: float | None = 0.9  # None: people see every record
    train_on_model: bool = False
    seed: int = 42


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
    seconds: dict[str, float] = field(default_factory=dict)  # by phase


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
    ) -> None:
        self._dataset, self._pool, self._learner, self._vectors = dataset, pool, learner, vectors
        self._rules, self._on_turn = rules, on_turn
        self.batch_number = 0  # a hint for where to look; every turn reads it anew
        self._looked_at: object = None
        self._acted_on: object = None  # the state of affairs that the last turn has dealt with
        self._refused: set[str] = set()  # ids that the server does not take as they are

    def due(self, search: Search) -> bool:
        """Whether a turn could do anything: the batch looks done, and something moved since the last turn.

        Only a cheap gate in front of ``turn``, which decides from what it sees itself.
        """
        size = self._dataset.count(IN_BATCH.bind({"idx": self.batch_number}))
        now = time.monotonic() // RESYNC_SECONDS
        activity, texts = self._dataset.revision(), self._pool.revision()
        self._looked_at = (self.batch_number, search.total, size, activity, texts, now)
        if self._acted_on is None:
            return True  # just started: what happened before is unknown
        return search.total >= size and self._looked_at != self._acted_on

    def act(self, _records: object, _search: Search) -> bool:
        """A listener's action: one turn; ``True`` where it took something from the pool: more may be due at once."""
        refused = len(self._refused)
        turn = self.turn()
        took = bool(turn.records) or len(self._refused) > refused
        self._acted_on = None if took and not turn.records else self._looked_at
        return took

    def turn(self) -> Turn:
        """Observe, plan, act."""
        clock = _Clock()
        pool, records = self._pool.current(), list(self._dataset.scan())
        left = pool.unlabelled(excluding=self._refused.union(r.id for r in records))
        seen = self._observe(pool, records, len(left))
        clock.lap("observe")

        step, model, batch = self._plan(seen), None, []
        if isinstance(step, (ColdStart, NextBatch)):
            candidates = self._candidates(pool, left)
            clock.lap("embed")
            if isinstance(step, NextBatch):
                model = self._train(pool, seen, clock)
            batch = self._slice(pool, left, candidates, step, model, clock)

        if batch:
            refused = set(self._dataset.log(batch))
            self._refused |= refused
            batch = [record for record in batch if record.id not in refused]
            clock.lap("log")
        self.batch_number = max(seen.next_number - (0 if batch else 1), 0)
        turn = Turn(step, seen, batch, model, clock.laps)
        self._on_turn(turn)
        return turn

    def _plan(self, seen: Observation) -> Step:
        return plan(seen, slice_size=self._rules.slice_size, minimum=self._rules.min_examples_per_label)

    def _observe(self, pool: Pool, records: Sequence[LoggedRecord], left: int) -> Observation:
        daemon_id, min_submitted = self._dataset.daemon_id, self._dataset.info.min_submitted
        answered = examples_from(records, daemon_id=daemon_id, with_model=self._rules.train_on_model)
        # an answer outranks the pool
        examples = {example.id: example for example in (*pool.examples(), *answered)}
        batch = latest_batch(records, min_submitted=min_submitted, daemon_id=daemon_id)
        return Observation(
            batch, list(examples.values()), self._dataset.info.labels, left, head_of_latest(records)
        )

    def _candidates(self, pool: Pool, left: IndexArray) -> IndexArray:
        """Positions that may be taken next, ascending: all that are left and embedded, or so many at random."""
        candidates = np.intersect1d(left, self._ready(pool), assume_unique=True)
        if not len(candidates):
            everything = self._vectors.ready(pool, at_least=len(pool))
            candidates = np.intersect1d(left, everything, assume_unique=True)
        if len(candidates) > self._rules.candidates:
            candidates = np.sort(shuffled(candidates, self._rules.seed)[: self._rules.candidates])
        return candidates

    def _ready(self, pool: Pool) -> IndexArray:
        return self._vectors.ready(pool, at_least=FIRST)

    def _sample(self, pool: Pool) -> PoolSample:
        """What the learner sees of the pool: the same texts whatever is labelled by now."""
        ready = self._ready(pool)
        for size in SAMPLES:
            positions = self._vectors.prefix(size)
            if np.isin(positions, ready, assume_unique=True).all():
                break
        rows = self._vectors.rows(positions)
        return PoolSample(
            rows.astype(np.float32), hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
        )

    def _train(self, pool: Pool, seen: Observation, clock: _Clock) -> Model | None:
        try:
            model = self._learner.fit(seen.examples, pool=self._sample(pool), previous=seen.head)
        except TrainingError as error:
            log.warning("training_impossible", reason=str(error), then="asking without suggestions")
            return None
        clock.lap("train")
        return model

    def _slice(
        self,
        pool: Pool,
        left: IndexArray,
        candidates: IndexArray,
        step: ColdStart | NextBatch,
        model: Model | None,
        clock: _Clock,
    ) -> list[NewRecord]:
        """Choose the records to log next, and what becomes of each."""
        rows, strategy = self._vectors.rows(candidates), self._rules.strategy
        probabilities = None if model is None else _scored(model, rows)
        clock.lap("score")
        if model is None and strategy != "random":
            strategy = "typical"  # whatever comes later, a model begins best with texts that stand for many
        taken = np.setdiff1d(self._ready(pool), left, assume_unique=True)
        chosen = candidates[
            choose(
                strategy,
                step.size,
                embeddings=rows,
                probabilities=probabilities,
                covered=self._vectors.rows(taken).astype(np.float32),
                positions=candidates,
                seed=self._rules.seed,
            )
        ]
        clock.lap("choose")
        texts, ids = pool.texts(chosen), pool.ids()
        if model is None:
            return [
                NewRecord(ids[position], text, step.number, Route.ASK)
                for position, text in zip(chosen, texts, strict=True)
            ]
        # again from the text itself: what is logged depends on it and the model alone
        columns, certainties = best(model.predict_proba(texts))
        threshold = None if step.missing else self._rules.certainty_threshold
        clock.lap("decide")
        return [
            NewRecord(
                id=ids[position], text=text, batch=step.number, label=model.labels[column],
                route=route(certainty, threshold=threshold), certainty=certainty, model=model.version,
            )
            for position, text, column, certainty in zip(
                chosen, texts, columns, np.minimum(certainties.round(6), 1.0).tolist(), strict=True
            )
        ]  # fmt: skip


def _scored(model: Model, rows: HalfArray) -> FloatArray:
    """Probabilities of ``rows``, shape (n, k), some thousand at a time."""
    blocks = [rows[start : start + BLOCK].astype(np.float32) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([model.score(block) for block in blocks])


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.laps[phase] = round(now - self._last, 3)
        self._last = now
