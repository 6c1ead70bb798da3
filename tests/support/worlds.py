"""Small worlds for fast tests: a pool in memory, a learner of one line, a person who answers from gold labels."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence

import numpy as np

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.domain import Encoder, Example, FloatArray, HeadEvidence, IndexArray, KeyArray, PoolSample
from argilla_loop.errors import TrainingError
from argilla_loop.learning.encoders.fake import HashingEncoder
from argilla_loop.policy.text_keys import keys_of

TOPICS = {
    "Sports": ["match", "goal", "coach", "league", "striker", "final"],
    "Business": ["market", "shares", "profit", "bank", "trade", "investor"],
    "World": ["minister", "border", "election", "treaty", "embassy", "protest"],
}


def sentences(count: int, topics: dict[str, list[str]] | None = None) -> list[tuple[str, str, str]]:
    """``count`` rows of (id, text, gold label), labels in turn, every text different."""
    topics = topics or TOPICS
    names = list(topics)
    rows = []
    for number in range(count):
        label = names[number % len(names)]
        words = topics[label]
        first, second = words[number % len(words)], words[(number // len(words)) % len(words)]
        rows.append((f"r{number:04d}", f"the {first} and the {second} of report {number}", label))
    return rows


class ListPool:
    """``domain.Pool`` over a list of (id, text, label or None)."""

    def __init__(self, rows: Sequence[tuple[str, str, str | None]]) -> None:
        self.rows = list(rows)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.rows)

    def ids(self) -> list[str]:
        return [row[0] for row in self.rows]

    def ids_at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        return [self.rows[position][0] for position in positions]

    def keys(self) -> KeyArray:
        return keys_of([row[1] for row in self.rows])

    def texts(self, positions: Sequence[int] | IndexArray) -> list[str]:
        return [self.rows[position][1] for position in positions]

    def examples(self) -> list[Example]:
        return [Example(*row) for row in self.rows if row[2] is not None]  # type: ignore[arg-type]  # filtered above

    def unlabelled(self, *, excluding: Collection[str] = ()) -> IndexArray:
        free = [i for i, row in enumerate(self.rows) if row[2] is None and row[0] not in excluding]
        return np.asarray(free, dtype=np.int64)


class FixedSource:
    """A ``PoolSource`` whose pool a test can swap."""

    def __init__(self, pool: ListPool) -> None:
        self.pool = pool

    def revision(self) -> str:
        return self.pool.fingerprint

    def current(self) -> ListPool:
        return self.pool


class CentroidModel:
    """Softmax over the similarity to each label's mean embedding."""

    def __init__(self, examples: Sequence[Example], encoder: Encoder) -> None:
        self._encoder = encoder
        self.head = "centroid"
        self.evidence: tuple[HeadEvidence, ...] = ()
        self.labels = tuple(sorted({example.label for example in examples}))
        digits = hashlib.sha256(repr(sorted((e.id, e.text, e.label) for e in examples)).encode()).hexdigest()[
            :12
        ]
        self.version = f"centroid-{digits}"
        self._centroids = np.stack(
            [
                encoder.encode([e.text for e in examples if e.label == label]).mean(axis=0)
                for label in self.labels
            ]
        )

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        return self.score(self._encoder.encode(texts))

    def score(self, vectors: FloatArray) -> FloatArray:
        powers = np.exp(40 * vectors @ self._centroids.T)
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)


class CentroidLearner:
    """``domain.Learner`` that keeps what it was given."""

    def __init__(self, encoder: Encoder | None = None) -> None:
        self.encoder: Encoder = encoder or HashingEncoder()
        self.fitted: list[list[Example]] = []
        self.hints: list[tuple[PoolSample | None, str | None]] = []  # pool and previous head of each fit

    def fit(
        self, examples: Sequence[Example], *, pool: PoolSample | None = None, previous: str | None = None
    ) -> CentroidModel:
        self.fitted.append(list(examples))
        self.hints.append((pool, previous))
        if len({example.label for example in examples}) < 2:
            raise TrainingError("one label only")
        return CentroidModel(examples, self.encoder)


def answer_all(dataset: MemoryDataset, gold: dict[str, str], *, user_id: str = "ann") -> int:
    """Answer every record that waits for people; returns how many there were."""
    waiting = [r for r in dataset.scan() if not r.answers]
    for record in waiting:
        dataset.answer(record.id, gold[record.id], user_id=user_id)
    return len(waiting)
