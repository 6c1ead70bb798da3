"""One run of the whole loop with the default rules, and the truth beside every estimate."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import LoggedRecord, Model, Route
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.turn import Loop, Turn
from argilla_loop.policy.plan import Finished
from argilla_loop.policy.rules import Rules
from argilla_loop.simulate.annotator import Annotator
from argilla_loop.simulate.data import Labelled, SimulatedPool
from argilla_loop.simulate.precomputed import PrecomputedVectors
from promise.play import Source, read

POOL = 1000
BUDGET = 300  # answers of people


@dataclass(frozen=True, slots=True)
class Moment:
    """One turn: what was estimated, and what is true. Shares are between 0 and 1."""

    data: str
    seed: int
    answers: int  # of people, before the turn
    held_back: int  # of them
    audits: int  # of them
    accepted: int
    accepted_wrong: int
    model: float
    model_low: float
    model_high: float
    model_true: float
    labels: float
    labels_low: float
    labels_high: float
    labels_true: float
    agreement: float  # kappa with the model before; -1 without one
    can_stop: int
    forecast: int  # labels; 0 without a forecast
    forecast_low: int
    forecast_high: int  # -1: "many"


def play(path: str, seed: int) -> list[Moment]:
    """Play one run; its moments in order."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")
    texts = read(path)
    chosen = np.random.default_rng(seed).permutation(len(texts.rows))[:POOL]
    rows = [texts.rows[n] for n in chosen]
    labels = tuple(sorted({row.label for row in rows}))
    gold = {row.id: row.label for row in rows}
    dataset = MemoryDataset(labels)
    annotator = Annotator(dataset, gold, labels, noise=0.0, seed=seed)
    learner = ClassyLearner(texts.encoder, seed=seed)
    vectors = PrecomputedVectors(texts.encoder, seed=seed)
    loop = Loop(dataset, Source(SimulatedPool(rows, f"{seed}")), learner, vectors, Rules(seed=seed))
    moments = []
    while annotator.given < BUDGET:
        before = list(dataset.scan())
        turn = loop.turn()
        if turn.outlook is not None and turn.model is not None:
            moments.append(_moment(Path(path).stem, seed, turn, turn.model, rows, gold, before))
        if isinstance(turn.step, Finished):
            break
        annotator.answer(BUDGET - annotator.given)
    return moments


def _moment(
    data: str,
    seed: int,
    turn: Turn,
    model: Model,
    rows: list[Labelled],
    gold: Mapping[str, str],
    records: list[LoggedRecord],
) -> Moment:
    outlook = turn.outlook
    assert outlook is not None
    logged = {record.id for record in records}
    accepted = [record for record in records if record.route is Route.ACCEPT]
    human = [record for record in records if record.route is not Route.ACCEPT and record.answers]
    left = [row for row in rows if row.id not in logged]
    wrong = sum(record.prediction != gold[record.id] for record in accepted)
    right = 0
    if left:
        predicted = model.predict_proba([row.text for row in left]).argmax(axis=1)
        right = sum(model.labels[n] == row.label for n, row in zip(predicted, left, strict=True))
    ahead = outlook.forecast
    return Moment(
        data=data,
        seed=seed,
        answers=len(human),
        held_back=sum(record.held_back for record in human),
        audits=sum(record.route is Route.AUDIT for record in human),
        accepted=len(accepted),
        accepted_wrong=wrong,
        model=outlook.model.value,
        model_low=outlook.model.low,
        model_high=outlook.model.high,
        model_true=right / len(left) if left else 1.0,
        labels=outlook.labels.value,
        labels_low=outlook.labels.low,
        labels_high=outlook.labels.high,
        labels_true=(len(human) + len(accepted) - wrong + right) / len(rows),
        agreement=outlook.agreement[-1] if outlook.agreement else -1.0,
        can_stop=int(outlook.can_stop),
        forecast=ahead.labels if ahead else 0,
        forecast_low=ahead.low if ahead else 0,
        forecast_high=(-1 if ahead.high is None else ahead.high) if ahead else 0,
    )
