"""One run: the service's loop over an in-memory dataset, an annotator, and a row of measurements for each turn."""

from __future__ import annotations

import hashlib
import logging
import math
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import structlog
from sklearn.metrics import f1_score

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import (
    Encoder,
    Example,
    Learner,
    LoggedRecord,
    Model,
    NewRecord,
    Origin,
    PoolSample,
    Route,
)
from argilla_loop.errors import TrainingError
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.batch import SAMPLES
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.plan import Finished, NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.task import SINGLE_LABEL
from argilla_loop.simulate.annotator import Annotator
from argilla_loop.simulate.data import Labelled, LabelledSet, SimulatedPool
from argilla_loop.simulate.precomputed import PrecomputedVectors
from argilla_loop.simulate.stock import StockLearner, StockModel

TUTORIAL = "tutorial"
BY_HAND = "tutorial-by-hand"
Baseline = Literal["tutorial", "tutorial-by-hand"]
BASELINES: tuple[Baseline, ...] = get_args(Baseline)
START_EXAMPLES = 5  # examples of each label before the tutorial trains (Argilla's tutorial)
PHASES = ("observe", "embed", "train", "score", "choose", "decide", "log")

Row = dict[str, "str | int | float | bool | None"]


@dataclass(frozen=True, slots=True)
class Run:
    """What the figures of one run depend on, besides the set, the encoder and the code.

    Attributes:
        name: name of the strategy or of the baseline.
        seed: seed of the pool's order, the errors, the strategy and the training.
        rules: the loop's rules; ``rules.seed`` equals ``seed``.
        budget: human labels to spend.
        noise: share of wrong answers.
        measure_every: the most human labels between two measurements, so that a long batch gives more than one row.
    """

    name: str
    seed: int
    rules: Rules
    budget: int
    noise: float = 0.0
    measure_every: int = 10

    @property
    def is_baseline(self) -> bool:
        """Whether the run plays the tutorial's loop."""
        return self.name in BASELINES


def tutorial_rules(seed: int, threshold: float = 0.9) -> Rules:
    """Return the rules of Argilla's tutorial.

    It asks for the next five texts in pool order, learns from the labels that it accepts itself, and has no minimum of
    examples.
    """
    return Rules(
        slice_size=5, accept_limit=0, evaluation_share=0.0, min_examples_per_label=0, min_accept_examples=0,
        strategy="sequential",
        certainty_threshold=threshold, audit_rate=0.0, train_on_model=True, self_training_ratio=math.inf, seed=seed,
    )  # fmt: skip


def build_loop(
    run: Run, dataset: MemoryDataset, pool: SimulatedPool, learner: Learner, encoder: Encoder
) -> tuple[Loop, PoolSample]:
    """Build the service's loop, and the sample of the pool that its learner gets.

    This is the only place in ``simulate`` where a loop is built.
    """
    vectors = PrecomputedVectors(encoder, seed=run.rules.seed)
    vectors.follow(pool)
    rows = vectors.rows(vectors.prefix(SAMPLES[0]))
    fingerprint = hashlib.blake2b(rows.tobytes(), digest_size=16).hexdigest()  # as the loop computes it
    return Loop(dataset, pool, learner, vectors, run.rules), PoolSample(rows.astype(np.float32), fingerprint)


def default_learner(run: Run, encoder: Encoder) -> Learner:
    """Return the service's learner, or the tutorial's for a baseline."""
    return StockLearner(encoder, seed=run.seed) if run.is_baseline else ClassyLearner(encoder, seed=run.seed)


def replay(
    run: Run,
    data: LabelledSet,
    encoder: Encoder,
    *,
    make_learner: Callable[[Run, Encoder], Learner] = default_learner,
) -> Iterator[Row]:
    """Play ``run`` and yield a row after each turn, until the budget is spent or the pool is exhausted."""
    rows = [data.pool[n] for n in np.random.default_rng(run.seed).permutation(len(data.pool))]
    gold = {row.id: row.label for row in rows}
    dataset = MemoryDataset(data.labels, name=data.name)
    annotator = Annotator(dataset, gold, data.labels, noise=run.noise, seed=run.seed)
    learner = make_learner(run, encoder)
    pool = SimulatedPool(rows, f"{data.fingerprint}-{run.seed}")
    loop, sample = build_loop(run, dataset, pool, learner, encoder)
    judge = Judge(data.held_back, learner, sample, run.rules.certainty_threshold)
    if run.is_baseline:
        start = first_of_each(rows) if run.name == BY_HAND else in_order(rows, len(data.labels))
        dataset.log([NewRecord(row.id, row.text, 0, Route.ASK) for row in start[: run.budget]])
    number = 0
    while True:
        with quiet_logs():
            turn = loop.turn()
            row: Row = {
                "strategy": run.name,
                "seed": run.seed,
                "turn": number,
                "step": type(turn.step).__name__,
                "human_labels": annotator.given,
                **accepted_so_far(list(dataset.scan()), gold),
                **judge.measure(turn, labels=len(data.labels)),
                **{f"seconds_{phase}": turn.seconds.get(phase, 0.0) for phase in PHASES},
            }
        yield row
        left = run.budget - annotator.given
        if left <= 0 or isinstance(turn.step, Finished):
            return
        annotator.answer(min(run.measure_every, left))
        number += 1


def in_order(rows: Sequence[Labelled], labels: int) -> list[Labelled]:
    """Return the tutorial's start in pool order: the shortest prefix with ``START_EXAMPLES`` of each label."""
    seen: Counter[str] = Counter()
    enough = 0
    for end, row in enumerate(rows, start=1):
        seen[row.label] += 1
        enough += seen[row.label] == START_EXAMPLES
        if enough == labels:
            return list(rows[:end])
    return list(rows)


def first_of_each(rows: Sequence[Labelled]) -> list[Labelled]:
    """Return the tutorial's start as if written by hand: the first ``START_EXAMPLES`` of each label, in rounds."""
    seen: Counter[str] = Counter()
    found = []
    for row in rows:
        if seen[row.label] < START_EXAMPLES:
            found.append((seen[row.label], row.label, row))
            seen[row.label] += 1
    return [row for _, _, row in sorted(found)]


def accepted_so_far(records: Sequence[LoggedRecord], gold: Mapping[str, str]) -> Row:
    """Count the records that the service accepted, and compare them with the gold labels.

    Precision is the share of the accepted records that have the gold label. Coverage is their share of all records that
    a model scored.
    """
    accepted = [record for record in records if record.route is Route.ACCEPT]
    scored = sum(record.certainty is not None for record in records)
    right = sum(record.suggestion == gold[record.id] for record in accepted)
    return {
        "model_labels": len(accepted),
        "accepted_right": right,
        "scored": scored,
        "accepted_precision": right / len(accepted) if accepted else None,
        "accepted_coverage": len(accepted) / scored if scored else None,
    }


def _outlook(turn: Turn) -> Row:
    """Return what the turn estimated of the labels, and what it advised; ``None`` if it trained no model."""
    now = turn.outlook
    ahead = now.forecast if now is not None else None
    return {
        "labels_right": now.labels.value if now is not None else None,
        "labels_right_low": now.labels.low if now is not None else None,
        "labels_right_high": now.labels.high if now is not None else None,
        "can_stop": now.can_stop if now is not None else None,
        "more_labels": ahead.labels if ahead is not None else None,
    }


class Judge:
    """Measures after a turn what has been learnt, on the held-back texts.

    It measures the turn's own model where the turn trained one. Otherwise it trains a model on the same examples, so
    that a long cold start has figures too. Where that is impossible, it measures the most frequent label.

    A stock model is measured by its probabilities, which its ``pipe`` returns, and also by its votes (``predict``):
    with few examples of each label the two contradict each other.

    Args:
        held_back: texts and labels.
        learner: the loop's learner.
        sample: the sample of the pool for the learner.
        threshold: the certainty threshold; ``None`` where nothing is accepted.
    """

    def __init__(
        self, held_back: Sequence[Labelled], learner: Learner, sample: PoolSample, threshold: float | None
    ) -> None:
        self._texts = [row.text for row in held_back]
        self._gold = np.asarray([row.label for row in held_back])
        self._learner, self._sample, self._threshold = learner, sample, threshold

    def measure(self, turn: Turn, *, labels: int) -> Row:
        """Return the columns of this turn; ``labels`` is the number of labels to choose from."""
        started = time.perf_counter()
        examples = turn.seen.examples
        model, by = turn.model, "turn"
        if model is None and not isinstance(turn.step, NextBatch):
            model, by = self._fit(examples, turn.seen.head), "fit"
        row: Row = {"accuracy": 1 / labels, "macro_f1": 1 / labels, "measured": "chance"}
        if model is not None:
            row = {**self._scores(model), "measured": by}
        elif examples:
            counts = Counter(example.label for example in examples)
            most = min(counts, key=lambda label: (-counts[label], label))
            row = {**self._compare(np.full(len(self._gold), most)), "measured": "majority"}
        row |= _outlook(turn)
        row["human_examples"] = sum(example.origin is Origin.HUMAN for example in examples)
        row["head"] = getattr(model, "head", None)
        row["model"] = getattr(model, "version", None)
        row["seconds_measure"] = round(time.perf_counter() - started, 3)
        return row

    def _fit(self, examples: Sequence[Example], previous: str | None) -> Model | None:
        try:
            return self._learner.fit(examples, pool=self._sample, previous=previous)
        except TrainingError:
            return None

    def _scores(self, model: Model) -> Row:
        labels, _, certainties = SINGLE_LABEL.predict(model.predict_proba(self._texts), model.labels)
        predicted = np.asarray(labels)
        row = self._compare(predicted)
        if isinstance(model, StockModel):
            row["accuracy_votes"] = self._compare(model.votes(self._texts))["accuracy"]
        if self._threshold is not None:
            sure = certainties > self._threshold
            row["certain_coverage"] = float(sure.mean())
            row["certain_precision"] = float((predicted == self._gold)[sure].mean()) if sure.any() else None
        return row

    def _compare(self, predicted: np.ndarray[tuple[int], np.dtype[np.str_]]) -> Row:
        macro = f1_score(
            self._gold, predicted, labels=np.unique(self._gold), average="macro", zero_division=0.0
        )
        return {"accuracy": float((predicted == self._gold).mean()), "macro_f1": float(macro)}


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Log errors only, and show no warnings: the messages of a thousand trainings would break up the progress bar."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        structlog.configure(wrapper_class=before)
