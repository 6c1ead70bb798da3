"""One run of the whole loop."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import structlog

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.cli.demo.texts import opening, read_articles
from argilla_loop.domain import FloatArray, NewRecord, Route
from argilla_loop.learning.label_names import name_sentences
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.turn import Loop
from argilla_loop.policy.answers import Adjudicator, AnswerRule
from argilla_loop.policy.plan import Finished, NextBatch
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.simulate.annotator import Annotator
from argilla_loop.simulate.data import Labelled, SimulatedPool
from argilla_loop.simulate.precomputed import PrecomputedEncoder, PrecomputedVectors
from promise.plan import BARS, CONDITIONS, LIMIT, POOL, SLICE, START, Result
from shared.encoder import fp32_encoder
from shared.sets import read_frame
from shared.texts import NEWS


@dataclass(frozen=True, slots=True)
class Texts:
    """A set: rows, and their embeddings."""

    rows: Sequence[Labelled]
    vectors: FloatArray
    encoder: PrecomputedEncoder


@cache
def read(path: str) -> Texts:
    """Read a labelled file or the news, with the embeddings beside it, or embed its texts."""
    if path == NEWS:
        frame = pd.DataFrame([{"text": opening(one.text), "label": one.topic} for one in read_articles()])
    else:
        frame = read_frame(Path(path))
    rows = [
        Labelled(f"r{n:06d}", text, str(label))
        for n, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True))
    ]
    names = name_sentences(sorted({row.label for row in rows}))
    beside = Path(path).with_suffix(".npy")
    with tempfile.TemporaryDirectory() as folder:
        encoder = fp32_encoder(Path(folder))
        vectors = np.load(beside) if beside.is_file() else encoder.encode([row.text for row in rows])
        named = encoder.encode(names) if names else vectors[:0]
    texts = [row.text for row in rows]
    known = PrecomputedEncoder("known", [*texts, *names], np.vstack([vectors, named]))
    return Texts(rows, vectors, known)


class Source:
    """A pool that is replaced half-way through a run."""

    def __init__(self, pool: SimulatedPool) -> None:
        self.pool = pool

    def revision(self) -> str:
        """Return a value that changes with the pool."""
        return self.pool.fingerprint

    def current(self) -> SimulatedPool:
        """Return the current pool."""
        return self.pool


def halves(texts: Texts, chosen: Sequence[int], how: str, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """Return the pool's rows in the first half of a run, and in the second."""
    rows = [texts.rows[n] for n in chosen]
    if how == "late":
        labels = sorted({row.label for row in rows})
        late = labels[seed % len(labels)]
        return [row for row in rows if row.label != late], rows
    first, second = [], []
    for label in sorted({row.label for row in rows}):
        mine = [n for n in chosen if texts.rows[n].label == label]
        vectors = texts.vectors[mine] - texts.vectors[mine].mean(axis=0)
        along = (
            vectors @ np.linalg.svd(vectors, full_matrices=False)[2][0]
        )  # where the label differs most from itself
        order = np.argsort(along, kind="stable")
        first += [texts.rows[mine[n]] for n in order[: len(mine) // 2]]
        second += [texts.rows[mine[n]] for n in order[len(mine) // 2 :]]
    return first, second


def play(path: str, seed: int, criterion: str, condition: str, budget: int) -> Result:
    """Play one run of the loop."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    warnings.simplefilter("ignore")
    texts, given = read(path), CONDITIONS[condition]
    generator = np.random.default_rng(seed)
    chosen = generator.permutation(len(texts.rows))[:POOL].tolist()
    rows = [texts.rows[n] for n in chosen]
    labels = tuple(sorted({row.label for row in rows}))
    gold = {row.id: row.label for row in rows}
    how = str(given.get("half_way", ""))
    now, later = halves(texts, chosen, how, seed) if how else (rows, rows)
    now, later = shuffled(now, generator), shuffled(later, generator)

    dataset = MemoryDataset(labels)
    annotator = Annotator(dataset, gold, labels, noise=float(given.get("noise", 0.0)), seed=seed)
    rules = replace(
        Rules(slice_size=SLICE, accept_limit=LIMIT, evaluation_share=0.0, seed=seed), **BARS[criterion]
    )
    if not given.get("guard", True):
        rules = replace(rules, min_examples_per_label=0, min_accept_examples=0)
        dataset.log([NewRecord(row.id, row.text, 0, Route.ASK) for row in now[:START]])
        annotator.answer(START)
    source = Source(SimulatedPool(now, f"{seed}-now"))
    vectors = PrecomputedVectors(texts.encoder, seed=seed)
    loop = Loop(dataset, source, ClassyLearner(texts.encoder, seed=seed), vectors, rules)
    first, stops, model = -1, 0, None
    while annotator.given < budget:
        if annotator.given >= budget // 2 and source.pool.fingerprint.endswith("now") and how:
            # what was labelled stays; the texts to come are others
            source.pool = SimulatedPool(later, f"{seed}-later")
        turn = loop.turn()
        model = turn.model or model
        if isinstance(turn.step, NextBatch):
            stops += any(decision.stopped for decision in turn.plan.acceptance.decisions.values())
        if first < 0 and any(record.route is Route.ACCEPT for record in turn.records):
            first = annotator.given
        if isinstance(turn.step, Finished):
            break
        annotator.answer(budget - annotator.given)
    records, rule = list(dataset.scan()), AnswerRule(dataset.service_user_id)
    accepted = [record for record in records if record.route is Route.ACCEPT]
    said = (
        []
        if model is None
        else [model.labels[n] for n in model.predict_proba([row.text for row in rows]).argmax(axis=1)]
    )
    return Result(
        Path(path).stem, seed, criterion, condition, annotator.given,
        len(checks_from(Adjudicator(rule).adjudicate(records), second_looks=rules.second_looks)),
        len(accepted), sum(record.prediction == gold[record.id] for record in accepted), first,
        float(np.mean([a == row.label for a, row in zip(said, rows, strict=True)])) if said else 0.0, stops,
    )  # fmt: skip


def shuffled(rows: Sequence[Labelled], generator: np.random.Generator) -> list[Labelled]:
    """Return ``rows`` in a random order."""
    return [rows[n] for n in generator.permutation(len(rows))]
