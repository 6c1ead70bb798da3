"""The sets to measure on, and what is drawn from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from shared.texts import NEWS, articles

# Chosen, not measured: so that a set takes minutes.
HELD_BACK = 0.3  # of the news, which have no split of their own
MOST_POOL = 10_000
MOST_TEST = 2_000

Texts = list[str]


@dataclass(frozen=True, slots=True)
class Split:
    """A labelled set: texts to learn from, and texts that only measure."""

    name: str
    train: Mapping[str, str]  # text to label
    test: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Task:
    """The inputs of a method in one cell, and the texts that it is measured on."""

    examples: Mapping[str, str]  # text to label, wrong ones included
    pool: Texts
    test: Mapping[str, str]
    seed: int


def read_split(path: Path) -> Split:
    """Read a file's train and test rows, each text once and none in both; other splits are left out."""
    rows = pq.read_table(path, columns=["text", "label", "split"]).to_pylist()
    test = {row["text"]: row["label"] for row in rows if row["split"] == "test"}
    train = {row["text"]: row["label"] for row in rows if row["split"] == "train" and row["text"] not in test}
    return Split(path.stem, train, test)


def read_news() -> Split:
    """Read whole BBC articles (about 384 words; the encoder cuts them at 256 tokens), 30% of each topic held back."""
    topics = {article.text(errors="replace"): article.topic for article in articles()}
    chance = np.random.default_rng(0)
    test: dict[str, str] = {}
    for topic, texts in by_label(topics).items():
        for text in chance.permutation(np.array(texts, dtype=object))[: round(HELD_BACK * len(texts))]:
            test[text] = topic
    return Split(NEWS, {text: topic for text, topic in topics.items() if text not in test}, test)


def draw(split: Split, per_label: int, seed: int, noise: float) -> Task:
    """Draw examples, pool and test texts: the same for every method, and the same with and without noise.

    Args:
        split: the set.
        per_label: examples of each label; a label with fewer texts gives all of them.
        seed: seed of the draw; a draw with more per label contains the examples of one with fewer.
        noise: share of examples that get a random other label.
    """
    chance = np.random.default_rng(seed)
    chosen: dict[str, str] = {}
    rest: Texts = []
    for label, texts in by_label(split.train).items():
        shuffled = [texts[position] for position in chance.permutation(len(texts))]
        chosen |= dict.fromkeys(shuffled[:per_label], label)
        rest += shuffled[per_label:]
    pool = [rest[position] for position in chance.permutation(len(rest))[:MOST_POOL]]
    measured = list(split.test)
    kept = np.random.default_rng([seed, 2]).permutation(len(measured))[:MOST_TEST]
    test = {measured[position]: split.test[measured[position]] for position in kept}
    return Task(mislabel(chosen, noise, seed), pool, test, seed)


def mislabel(examples: Mapping[str, str], noise: float, seed: int) -> dict[str, str]:
    """Give a ``noise`` share of the examples another label, each other one equally likely."""
    chance = np.random.default_rng([seed, 1])
    texts, labels = list(examples), sorted(set(examples.values()))
    wrong = dict(examples)
    for position in chance.permutation(len(texts))[: round(noise * len(texts))]:
        others = [label for label in labels if label != examples[texts[position]]]
        wrong[texts[position]] = others[chance.integers(len(others))]
    return wrong


def by_label(texts: Mapping[str, str]) -> dict[str, Texts]:
    """Return the texts by label, with sorted labels."""
    by_label: dict[str, Texts] = {label: [] for label in sorted(set(texts.values()))}
    for text, label in texts.items():
        by_label[label].append(text)
    return by_label
