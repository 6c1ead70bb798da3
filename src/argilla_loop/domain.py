"""The types that all rooms share (see ``docs/architecture.md``): no I/O, no behaviour."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
HalfArray = NDArray[np.float16]
IndexArray = NDArray[np.int64]
KeyArray = NDArray[np.uint64]


class Origin(str, Enum):
    """Who labelled an example."""

    HUMAN = "human"
    MODEL = "model"


class Route(str, Enum):
    """What becomes of a scored record: people are asked, the service accepts it, or people audit it."""

    ASK = "ask"
    ACCEPT = "accept"
    AUDIT = "audit"


@dataclass(frozen=True, slots=True)
class Example:
    """A labelled text used for training."""

    id: str
    text: str
    label: str
    origin: Origin = Origin.HUMAN


@dataclass(frozen=True, slots=True)
class Answer:
    """One user's response to a record in Argilla."""

    user_id: str
    status: Literal["submitted", "discarded", "draft"]
    label: str | None  # None for a discard, or where the draft has no label yet
    updated_at: str  # ISO 8601, UTC, as the server gives it: sorts by time
    comment: str | None = None

    @property
    def is_final(self) -> bool:
        """Whether its user is done with the record (submitted or discarded, not a draft)."""
        return self.status != "draft"


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A record of the working dataset, as observed."""

    id: str
    text: str
    batch: int | None = None  # None: not ours, somebody logged it by hand
    route: Route | None = None
    certainty: float | None = None
    model: str | None = None
    suggestion: str | None = None  # what people are shown
    prediction: str | None = None  # the model's label, shown or not
    threshold: float | None = None  # certainty above which it was acceptable, or was drawn for an audit
    held_back: bool = False  # a random sample: evidence, never an example
    answers: tuple[Answer, ...] = ()
    service_user: str | None = None  # whose service accepted it; None: not accepted, or not known
    text_key: int | None = None  # what it keeps of the key of the text that it was logged with
    # of a held-back record: how many texts it stands for, relative to a plain random draw
    weight: float | None = None
    promise: str | None = None  # it was accepted under, see policy.validation.granted; None: without one
    second_look_of: str | None = (
        None  # id of the record whose text it asks again; None: it asks for the first time
    )


@dataclass(frozen=True, slots=True)
class NewRecord:
    """A record to log: what the service decided about one pool text."""

    id: str
    text: str
    batch: int
    route: Route
    label: str | None = None  # the model's; None where there is no model yet
    certainty: float | None = None
    model: str | None = None
    threshold: float | None = None  # in force when it was routed; None where nothing could be accepted
    held_back: bool = False  # a random sample: evidence, never an example
    weight: float | None = None  # of a held-back record, see LoggedRecord
    promise: str | None = None  # it is accepted under; None: without one
    hidden: bool = False  # the label is not shown, whatever the route
    second_look_of: str | None = None  # see LoggedRecord

    @property
    def suggestion(self) -> str | None:
        """The label that people are shown; ``None`` on an audited, held-back or hidden record."""
        return None if self.route is Route.AUDIT or self.held_back or self.hidden else self.label


class Pool(Protocol):
    """All texts that may be labelled, addressed by position 0..len-1; texts stay on disk until asked for.

    Ids are unique, texts are unique (exact duplicates are taken once), no text is empty.
    """

    @property
    def fingerprint(self) -> str:
        """Changes when, and only when, the pool's ids, texts or labels change."""

    def __len__(self) -> int: ...

    def ids(self) -> Sequence[str]:
        """Ids of all records, in pool order."""

    def ids_at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Ids at ``positions``, in that order."""

    def keys(self) -> KeyArray:
        """What each text is known by (``policy.text_keys``), in pool order; shape (n,)."""

    def texts(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """Texts at ``positions``, in that order."""

    def examples(self) -> list[Example]:
        """The records that came with a label, as human examples, in pool order."""

    def unlabelled(self, *, excluding: Collection[str] = ()) -> IndexArray:
        """Ascending positions of the records without a label whose id is not in ``excluding``."""


class Encoder(Protocol):
    """Turns texts into sentence embeddings."""

    @property
    def fingerprint(self) -> str:
        """Identifies weights, precision and pooling: embeddings of two fingerprints never mix."""

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Embed ``texts``: float32 array of shape (n, d), rows of unit length, in the given order."""


class Vectors(Protocol):
    """Embeddings of the texts of one pool at a time, by position; precise enough to choose by."""

    def follow(self, pool: Pool) -> None:
        """Begin to embed ``pool``; returns at once."""

    def ready(self, pool: Pool, *, at_least: int) -> IndexArray:
        """Positions of ``pool`` whose embeddings are there, ascending.

        Waits until the first ``at_least`` of a random order are among them: all of a smaller pool.
        """

    def rows(self, positions: IndexArray) -> HalfArray:
        """Embeddings at ``positions``, in that order: shape (n, d)."""

    def prefix(self, n: int) -> IndexArray:
        """A fixed random sample of the pool: ``n`` positions, or all where there are fewer."""


@dataclass(frozen=True, slots=True)
class HeadEvidence:
    """How a head did on examples of people that it was not fitted on (cross-validation)."""

    head: str
    examples: int  # that were held out
    accuracy: float
    log_loss: float  # nats
    calibration_error: float  # expected calibration error, 0 to 1
    precision: float | None  # of what it was certain of (above 0.9); None where there was nothing
    coverage: float  # share of examples it was certain of


@dataclass(frozen=True, slots=True)
class PoolSample:
    """Embeddings of a fixed random sample of the pool: what a learner may take from texts that nobody labelled."""

    vectors: FloatArray  # shape (m, d), rows of unit length
    fingerprint: str  # changes when, and only when, the vectors do


class Model(Protocol):
    """A trained classifier; immutable."""

    @property
    def version(self) -> str:
        """The head's name and twelve hex digits, a function of all the model depends on: same inputs, same version."""

    @property
    def head(self) -> str:
        """Name of the head that was chosen."""

    @property
    def evidence(self) -> tuple[HeadEvidence, ...]:
        """What was found about the heads, that of the chosen one first; empty where there were too few examples."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it can answer with, the columns of ``predict_proba``."""

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities, shape (n, len(labels)), rows summing to 1."""

    def score(self, vectors: FloatArray) -> FloatArray:
        """Probabilities from embeddings of shape (n, d)."""


class Learner(Protocol):
    """Trains models. Stateless but for caches: the same inputs, examples in any order, give the same model."""

    def fit(
        self, examples: Sequence[Example], *, pool: PoolSample | None = None, previous: str | None = None
    ) -> Model:
        """Train on ``examples``.

        Args:
            examples: of people, or of people and model.
            pool: what the pool may teach.
            previous: head of the model before: it stays unless another is clearly better.

        Raises:
            TrainingError: fewer than two labels have enough usable examples.
        """
