"""``ClassyClassifier`` with guards: what the stock class gets wrong silently is corrected here, or raises an error.

Importing this module takes a second or two: import it where a classifier is first needed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import structlog
from sklearn import preprocessing
from threadpoolctl import ThreadpoolController

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.errors import TrainingError
from argilla_loop.learning.classy.stock import ClassyClassifier
from argilla_loop.learning.heads.choose import choose_head
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import Head
from argilla_loop.learning.heads.scorers import Training
from argilla_loop.learning.heads.svm import PairwiseSvc
from argilla_loop.learning.label_names import embed_names

log = structlog.get_logger(__name__)

MIN_LABELS = 2
# Above so many texts, embedding shows its progress, which also keeps a watchdog from ending the process. Chosen, not
# measured, as ``embeddings.cache.CHUNK``.
PROGRESS_MIN_TEXTS = 256
# Two keys are added here, the others and their values are the stock class's. ``head`` is "auto" (``weighed``), one of
# ``heads.head.Kind``, or "svm". ``self_training_weight`` is the weight of an example that the model made, where
# people's weigh 1 (benchmarks/trust.md has figures for 0.3 and 1); the SVM ignores it.
DEFAULT_CONFIG: dict[str, Any] = {
    "head": "auto",
    "C": [1, 5],
    "kernel": ["linear", "rbf"],
    "max_cross_validation_folds": 3,
    "seed": 0,
    "self_training_weight": 0.3,
}


@dataclass(frozen=True, slots=True)
class Context:
    """What is known beyond the texts of a training.

    Attributes:
        graph: of the pool.
        model_made: texts whose label is the model's own: they train, but are not evidence.
    """

    graph: PoolGraph | None = None
    model_made: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Trained:
    """Everything that a training changes, so that it changes at once or not at all."""

    data: dict[str, list[str]]
    encoder: Encoder
    config: dict[str, Any]
    label_list: list[str]
    le: Any
    y: Any
    X: FloatArray
    clf: Head | PairwiseSvc


class GuardedClassyClassifier(ClassyClassifier):  # type: ignore[misc]  # the package ships no types
    """A ``ClassyClassifier`` that embeds with a given encoder, and whose trainings succeed or change nothing.

    It has the interface of the stock class: ``__call__``, ``pipe``, ``set_training_data``, ``set_config``,
    ``label_list``. The guards are listed in ``docs/learner.md``.

    Args:
        data: texts by label; labels without texts, and texts with two labels, are left out and logged.
        encoder: any ``domain.Encoder``; texts are embedded through it, the stock ``model`` name is not used.
        config: as the stock class takes it (lists of SVC parameters, ``max_cross_validation_folds``, ``seed``), and
            ``head``.
        context: what else is known.

    Raises:
        TrainingError: fewer than two labels have enough texts.
        TypeError: something is not a text.
        ValueError: a text is empty.
    """

    def __init__(
        self,
        data: Mapping[str, Sequence[str]],
        *,
        encoder: Encoder,
        config: Mapping[str, Any] | None = None,
        context: Context | None = None,
    ) -> None:
        # The stock constructor loads a torch model. These are its other steps, in its order.
        self.multi_label = False
        self.verbose = False
        self.model = encoder.fingerprint
        self.device = "cpu"
        self._context = context or Context()
        self._train(data, encoder, {**DEFAULT_CONFIG, **(config or {})})

    def set_training_data(self, data: Mapping[str, Sequence[str]] | None = None) -> None:
        """Train again on ``data``, or on the present texts; a failure leaves the classifier as it was.

        Raises:
            TrainingError: no data, or fewer than two labels have enough texts.
            TypeError: something is not a text.
            ValueError: a text is empty.
        """
        self._train(self.data if data is None else data, self.encoder, self.config)

    def set_config(self, config: Mapping[str, Any] | None = None) -> None:
        """Use ``config`` for this and every later training; the seed stays unless given."""
        self._train(self.data, self.encoder, {**self.config, **(config or {})})

    def set_classification_model(self, config: Mapping[str, Any] | None = None) -> None:
        """Fit again on the same texts; the stock class's name for ``set_config``."""
        self.set_config(config)

    def set_embedding_model(self, model: Encoder, device: str = "cpu") -> None:
        """Embed with another encoder from now on, and train again with it; ``device`` must be ``cpu``."""
        if device != "cpu":
            raise ValueError(
                f"device {device!r} is not supported: the encoder decides where it runs; leave it out"
            )
        self._train(self.data, model, self.config)
        self.model = model.fingerprint

    def get_embeddings(self, docs: Iterable[Any]) -> FloatArray:
        """Return embeddings of texts (or spaCy documents), shape (n, d)."""
        vectors: FloatArray = self.encoder.encode(_texts(docs))
        return vectors

    def __call__(self, text: str) -> dict[str, float]:
        """Return the probability of each label for one text."""
        return self.pipe([text])[0]

    def pipe(self, text: Iterable[str]) -> list[dict[str, float]]:
        """Return the probability of each label for each of several texts."""
        return [dict(zip(self.label_list, row, strict=True)) for row in self.probabilities(text).tolist()]

    def probabilities(self, texts: Iterable[str]) -> FloatArray:
        """Return probabilities, shape (n, labels), columns as ``label_list``, rows summing to 1.

        Raises:
            TypeError: something is not a text, or one bare text was given.
            ValueError: a text is empty.
        """
        wanted = _texts(texts)
        if not wanted:
            return np.empty((0, len(self.label_list)), dtype=np.float32)
        vectors = self.encoder.encode(wanted, progress=len(wanted) > PROGRESS_MIN_TEXTS)
        with _threads().limit(limits=1, user_api="blas"):
            return np.asarray(self.clf.predict_proba(vectors), dtype=np.float32)

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return probabilities of embeddings (n, d): those of ``probabilities`` except for the last bits."""
        if isinstance(self.clf, Head):
            return self.clf.score(vectors)
        return np.asarray(self.clf.predict_proba(vectors), dtype=np.float32)

    def _train(self, data: Mapping[str, Sequence[str]], encoder: Encoder, config: dict[str, Any]) -> None:
        smallest = 2 if config["head"] == "svm" else 1  # pair margins are cross-validated label by label
        usable = _select_usable(data, smallest)
        labels = sorted(usable)
        texts = [text for label in labels for text in usable[label]]
        encode_labels = preprocessing.LabelEncoder()
        numbers = encode_labels.fit_transform([label for label in labels for _ in usable[label]])
        vectors = encoder.encode(texts, progress=len(texts) > PROGRESS_MIN_TEXTS)
        # On busy cores, BLAS threads wait for one another: a fit then takes a hundred times as long.
        with _threads().limit(limits=1, user_api="blas"):
            head: Head | PairwiseSvc
            if config["head"] == "svm":
                head = PairwiseSvc.fit(vectors, numbers, config)
            else:
                trusted = np.array([text not in self._context.model_made for text in texts])
                head = choose_head(
                    Training(
                        vectors=vectors,
                        labels=numbers,
                        trusted=trusted,
                        weights=np.where(trusted, 1.0, config["self_training_weight"]).astype(np.float32),
                        names=embed_names(labels, encoder),
                        graph=self._context.graph,
                    ),
                    seed=int(config["seed"]),
                    kind="weighed" if config["head"] == "auto" else config["head"],
                )
        trained = _Trained(
            data=usable,
            encoder=encoder,
            config=config,
            label_list=labels,
            le=encode_labels,
            y=numbers,
            X=vectors,
            clf=head,
        )
        # Nothing above changed the classifier, and nothing below can fail.
        self.__dict__.update({name: getattr(trained, name) for name in trained.__slots__})
        self.svm = getattr(head, "svc", None)  # the stock class's attribute, if the head is an SVM


def _select_usable(data: Mapping[str, Sequence[str]], minimum: int) -> dict[str, list[str]]:
    """Return texts by label, each once and sorted; leave out texts with two labels, and labels with too few texts."""
    labels_of: dict[str, set[str]] = defaultdict(set)
    for label, texts in data.items():
        for text in _texts(texts):
            labels_of[text].add(label)
    contradictory = sum(len(labels) > 1 for labels in labels_of.values())
    if contradictory:
        log.warning("contradictory_texts_left_out", texts=contradictory)
    usable: dict[str, list[str]] = {label: [] for label in sorted(data)}
    for text in sorted(labels_of):
        if len(labels_of[text]) == 1:
            usable[next(iter(labels_of[text]))].append(text)
    counts = {label: len(texts) for label, texts in usable.items()}
    small = {label: count for label, count in counts.items() if count < minimum}
    if len(counts) - len(small) < MIN_LABELS:
        raise TrainingError(
            f"training needs {MIN_LABELS} labels with {minimum} usable texts each, but there are "
            f"{counts or 'none'}; validate more"
        )
    if small:
        log.warning("small_labels_left_out", labels=small, minimum=minimum)
    return {label: texts for label, texts in usable.items() if label not in small}


def _texts(docs: Iterable[Any]) -> list[str]:
    """Return ``docs`` as a list of texts; raise an error if it is a single text, or if one is empty or not a text."""
    if isinstance(docs, (str, bytes)):
        raise TypeError("expected several texts, got one; put it in a list")
    texts = [getattr(doc, "text", doc) for doc in docs]
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"text {position} is {type(text).__name__}, not str; leave it out")
        if not text.strip():
            raise ValueError(f"text {position} is empty; leave it out")
    return texts


@cache
def _threads() -> ThreadpoolController:
    """Return the controller of BLAS threads, made once: finding the loaded libraries takes milliseconds."""
    return ThreadpoolController()
