"""Building a batch: score the pool, choose texts, and decide the route of each."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import (
    FloatArray,
    HalfArray,
    IndexArray,
    Model,
    NewRecord,
    Pool,
    PoolSample,
    Route,
    Vectors,
)
from argilla_loop.loop.scoring import score_texts
from argilla_loop.policy.estimate.strata import draw_held_back
from argilla_loop.policy.plan import ColdStart, NextBatch
from argilla_loop.policy.query import Strategy, choose, shuffled
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.second_looks import second_look
from argilla_loop.policy.task import SINGLE_LABEL, Task
from argilla_loop.policy.validation.acceptance import Acceptance
from argilla_loop.policy.validation.audits import audits_of_slice
from argilla_loop.policy.validation.certainty import Levels, levels_of, mean_above
from argilla_loop.policy.validation.checks import is_audited
from argilla_loop.policy.validation.promise import audit_threshold

FIRST = 2000  # texts of a pool that a turn waits for; the rest of a larger pool follows as it is embedded
SAMPLES = (4000, FIRST)  # of the pool, for the learner: the larger one as soon as it is embedded
BLOCK = 8192  # rows scored at a time


class Scores(NamedTuple):
    """What a model says of n candidates.

    Attributes:
        candidates: their positions in the pool, ascending, shape (n,).
        rows: their embeddings, shape (n, d).
        probabilities: shape (n, k).
        columns: the label whose threshold applies to each, shape (n,).
        certainties: shape (n,).
    """

    candidates: IndexArray
    rows: HalfArray
    probabilities: FloatArray
    columns: IndexArray
    certainties: NDArray[np.float64]


class Selection:
    """Chooses batches from the pool by its embeddings.

    Args:
        vectors: embeddings of the pool.
        rules: the operator's rules.
        task: the kind of question.
        start: suggests while there are too few examples for a model; it accepts nothing, and no record that it
            scored is evidence.
    """

    def __init__(
        self, vectors: Vectors, rules: Rules, task: Task = SINGLE_LABEL, *, start: Model | None = None
    ) -> None:
        self._vectors, self._rules, self._task, self._start = vectors, rules, task, start

    def sample(self, pool: Pool) -> PoolSample:
        """Return what the learner sees of ``pool``: the same texts whatever is labelled."""
        ready = self._vectors.ready(pool, at_least=FIRST)
        for size in SAMPLES:
            positions = self._vectors.prefix(size)
            if np.isin(positions, ready, assume_unique=True).all():
                break
        rows = self._vectors.rows(positions)
        return PoolSample(
            rows.astype(np.float32), hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()
        )

    def cold_start_batch(
        self, pool: Pool, left: IndexArray, step: ColdStart | NextBatch, *, guess: Model | None = None
    ) -> list[NewRecord]:
        """Return the records of a batch that is chosen without a model of this dataset; all of them are asked.

        Args:
            pool: the pool.
            left: positions that may be taken.
            step: of the plan.
            guess: suggests, but chooses nothing: a guess is no reason to prefer a text.
        """
        if self._start is not None:
            return self._start_batch(pool, left, step, self._start)
        candidates = self._candidates(pool, left)
        rows = self._vectors.rows(candidates)
        # whatever the strategy later is, a first model learns most from texts that represent many others
        strategy: Strategy = "random" if self._rules.strategy == "random" else "typical"
        chosen = candidates[self._choose(strategy, pool, left, candidates, rows, None, step.size)]
        if guess is not None:
            return self._all_asked(pool, chosen, step, guess)
        ids, texts = pool.ids(), pool.texts(chosen)
        return [
            NewRecord(ids[position], text, step.number, Route.ASK)
            for position, text in zip(chosen, texts, strict=True)
        ]

    def _start_batch(
        self, pool: Pool, left: IndexArray, step: ColdStart | NextBatch, start: Model
    ) -> list[NewRecord]:
        """Return the records of a batch that ``start`` chooses and suggests for; all of them are asked."""
        candidates, rows, probabilities, *_ = self.score(pool, left, start)
        asked = self._choose(self._rules.strategy, pool, left, candidates, rows, probabilities, step.size)
        return self._all_asked(pool, candidates[asked], step, start)

    def _all_asked(
        self, pool: Pool, positions: IndexArray, step: ColdStart | NextBatch, model: Model
    ) -> list[NewRecord]:
        """Return records with the suggestions of a ``model`` of which nothing is known here: none is evidence."""
        by_lot = np.zeros(len(positions), dtype=np.bool_)
        return self._records(
            pool, positions, by_lot, step, model, levels_of(model.labels, {}), closed=~by_lot
        )

    def score(self, pool: Pool, left: IndexArray, model: Model) -> Scores:
        """Score what may be taken next."""
        candidates = self._candidates(pool, left)
        rows = self._vectors.rows(candidates)
        probabilities = _probabilities(model, rows)
        _, columns, certainties = self._task.predict(probabilities, model.labels)
        return Scores(candidates, rows, probabilities, columns, certainties)

    def model_batch(
        self,
        pool: Pool,
        left: IndexArray,
        scores: Scores,
        levels: Levels,
        step: NextBatch,
        acceptance: Acceptance,
        model: Model,
    ) -> list[NewRecord]:
        """Return the records of a batch that ``model`` has scored: those to ask people about, and those to accept.

        Some of the slice are held back at random, and while accepting needs evidence some are audited; the strategy
        chooses the rest. Acceptable records in the slice are accepted, and so are ``acceptance.limit`` random ones
        beyond it, except for the share that is audited.
        """
        rules = self._rules
        candidates, rows, probabilities, columns, certainties = scores
        # a fixed random order of the pool, whatever the texts are and the model predicts
        order = np.searchsorted(candidates, shuffled(candidates, rules.seed))

        draws = draw_held_back(
            certainties, order, _due(step.number, step.size * rules.evaluation_share),
            seed=rules.seed, batch=step.number,
        )  # fmt: skip
        held_back = np.array([draw.position for draw in draws], dtype=np.int64)
        rest = order[~np.isin(order, held_back)]
        acceptable = levels.acceptable(columns, certainties)
        eligible = levels.audit_eligible(columns, certainties)
        checked, missing = acceptance.evidence_for(float(levels.audited.min()))
        audits = audits_of_slice(
            step.size - len(held_back),
            above=float((eligible & ~acceptable if acceptance.room == math.inf else eligible).mean()),
            missing=missing, human=acceptance.human, checked=checked,
        )  # fmt: skip
        audited = rest[eligible[rest]][:audits]
        free = np.setdiff1d(rest, audited)
        asked = free[
            self._choose(
                rules.strategy, pool, left, candidates[free], rows[free], probabilities[free],
                max(step.size - len(held_back) - len(audited), 0),
            )
        ]  # fmt: skip
        beyond = rest[acceptable[rest] & ~np.isin(rest, [*asked, *audited])]
        beyond = beyond[: acceptance.limit]

        chosen = np.concatenate([asked, audited, held_back, beyond])
        by_lot = np.isin(chosen, audited)
        records = self._records(
            pool, candidates[chosen], by_lot, step, model, levels,
            closed=np.isin(chosen, held_back), room=acceptance.room,
        )  # fmt: skip
        n, m = len(asked) + len(audited), len(asked) + len(audited) + len(held_back)
        return [
            *(second_look(one, step.number) for one in step.again),
            *records[:n],
            *(
                replace(record, held_back=True, weight=draw.weight)
                for record, draw in zip(records[n:m], draws, strict=True)
            ),
            # stored embeddings are rounded: the certainty of the text itself decides
            *(record for record in records[m:] if record.route is not Route.ASK),
        ]

    def levels(self, scores: Scores, acceptance: Acceptance, model: Model) -> Levels:
        """Return above which certainty records may be accepted: nothing is while any label lacks examples.

        A model that hardly knows a label predicts another one for its texts, and with certainty.
        """
        criterion = self._rules.criterion
        if criterion is None or acceptance.missing:
            return levels_of(model.labels, {})
        threshold = audit_threshold(
            mean_above(scores.certainties, criterion.thresholds),
            criterion,
            before=acceptance.last_audit_threshold,
            futile=all(decision.futile for decision in acceptance.decisions.values()),
            granted=acceptance.granted_threshold,
        )
        return levels_of(
            model.labels,
            acceptance.decisions,
            closed=acceptance.below_accept_minimum,
            audit_threshold=threshold,
        )

    def _records(
        self,
        pool: Pool,
        positions: IndexArray,
        by_lot: NDArray[np.bool_],
        step: ColdStart | NextBatch,
        model: Model,
        levels: Levels,
        *,
        closed: NDArray[np.bool_],
        room: float = math.inf,
    ) -> list[NewRecord]:
        """Score the texts at ``positions`` themselves, so that what is logged depends on text and model alone.

        A record that may be audited is evidence only if it was drawn ``by_lot``. A ``closed`` one is only asked, and no
        more than ``room`` are accepted.
        """
        texts, ids = pool.texts(positions), pool.ids()
        labels, columns, certainties = score_texts(model, texts, self._task)
        acceptable = levels.acceptable(columns, certainties)
        drawn = levels.audit_eligible(columns, certainties) & by_lot
        promised = self._rules.promised
        records = []
        for n, (position, text) in enumerate(zip(positions, texts, strict=True)):
            route = Route.ASK
            if drawn[n]:
                route = Route.AUDIT
            elif acceptable[n] and not closed[n]:
                if is_audited(ids[position], model.version, self._rules.audit_rate):
                    route = Route.AUDIT
                elif room >= 1:
                    route, room = Route.ACCEPT, room - 1
            above = levels.audited[columns[n]] if drawn[n] else levels.above[columns[n]]
            in_force = levels.granted[columns[n]] or route is not Route.ASK
            records.append(
                NewRecord(
                    id=ids[position],
                    text=text,
                    batch=step.number,
                    route=route,
                    label=labels[n],
                    certainty=float(certainties[n]),
                    model=model.version,
                    threshold=float(above) if in_force else None,
                    promise=str(promised) if promised and route is Route.ACCEPT else None,
                )
            )
        return records

    def _candidates(self, pool: Pool, left: IndexArray) -> IndexArray:
        """Return the positions that may be taken next, ascending: all that are left and embedded, or a random part."""
        candidates = np.intersect1d(left, self._vectors.ready(pool, at_least=FIRST), assume_unique=True)
        if not len(candidates):
            everything = self._vectors.ready(pool, at_least=len(pool))
            candidates = np.intersect1d(left, everything, assume_unique=True)
        if len(candidates) > self._rules.candidates:
            candidates = np.sort(shuffled(candidates, self._rules.seed)[: self._rules.candidates])
        return candidates

    def _choose(
        self,
        strategy: Strategy,
        pool: Pool,
        left: IndexArray,
        candidates: IndexArray,
        rows: HalfArray,
        probabilities: FloatArray | None,
        size: int,
    ) -> IndexArray:
        taken = np.setdiff1d(self._vectors.ready(pool, at_least=FIRST), left, assume_unique=True)
        return choose(
            strategy,
            size,
            embeddings=rows,
            probabilities=probabilities,
            covered=self._vectors.rows(taken).astype(np.float32),
            positions=candidates,
            seed=self._rules.seed,
        )


def _probabilities(model: Model, rows: HalfArray) -> FloatArray:
    """Return the probabilities of ``rows``, shape (n, k), computed some thousand rows at a time."""
    blocks = [rows[start : start + BLOCK].astype(np.float32) for start in range(0, len(rows), BLOCK)]
    return np.concatenate([model.score(block) for block in blocks])


def _due(number: int, each: float) -> int:
    """Return how many of a kind batch ``number`` has if batches have ``each`` on average."""
    return math.floor((number + 1) * each) - math.floor(number * each)
