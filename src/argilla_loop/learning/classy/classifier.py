"""``ClassyClassifier`` with guards: what the stock class gets wrong silently is put right here, or said aloud.

Importing this module costs a second or two: import it where a classifier is first needed.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args

import numpy as np
import structlog
from sklearn import preprocessing
from threadpoolctl import ThreadpoolController

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.errors import TrainingError
from argilla_loop.learning.classy.stock import ClassyClassifier
from argilla_loop.learning.heads.choose import choose_head
from argilla_loop.learning.heads.graph import PoolGraph
from argilla_loop.learning.heads.head import Head, Kind
from argilla_loop.learning.heads.scorers import Training
from argilla_loop.learning.heads.svm import PairwiseSvc

log = structlog.get_logger(__name__)

MINIMUM_LABELS = 2
LEAST_LETTERS = 2  # in a name that says something
# From so many texts on, embedding shows its progress, which also tells a watchdog that work goes on.
MANY_TEXTS = 256
# Ours are ``head`` ("auto", one of ``heads.head.Kind``, or "svm") and ``self_training_weight``: what an example
# weighs that the model made (people's weigh 1; the SVM weighs all alike). The others are the stock class's.
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
    """What a training may know beyond its texts.

    Attributes:
        graph: of the pool.
        model_made: texts whose label is the model's own: they train, but are no evidence for anything.
        previous: name of the head of the model before.
    """

    graph: PoolGraph | None = None
    model_made: frozenset[str] = frozenset()
    previous: str | None = None


@dataclass(frozen=True, slots=True)
class _Trained:
    """All that a training changes, so that it changes at once or not at all."""

    data: dict[str, list[str]]
    encoder: Encoder
    config: dict[str, Any]
    label_list: list[str]
    le: Any
    y: Any
    X: FloatArray
    clf: Head | PairwiseSvc


class GuardedClassyClassifier(ClassyClassifier):  # type: ignore[misc]  # the package ships no types
    """A ``ClassyClassifier`` whose embeddings come from a given encoder and whose every training is whole.

    To callers it is one: ``__call__``, ``pipe``, ``set_training_data``, ``set_config``, ``label_list``. The guards
    are listed in ``docs/learner.md``, each with its test.

    Args:
        data: texts by label; empty labels and texts under two labels are left out and logged.
        encoder: any ``domain.Encoder``; texts are embedded through it, the stock ``model`` name is not used.
        config: as the stock class takes it (lists of SVC parameters, ``max_cross_validation_folds``, ``seed``), and
            ``head``.
        context: what else training may know.

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
        # The stock constructor loads a torch model; its steps are taken here, in its order, without that.
        self.multi_label = False
        self.verbose = False
        self.model = encoder.fingerprint
        self.device = "cpu"
        self._context = context or Context()
        self._train(data, encoder, {**DEFAULT_CONFIG, **(config or {})})

    def set_training_data(self, data: Mapping[str, Sequence[str]] | None = None) -> None:
        """Train anew on ``data`` (or on what is there); a failure leaves the classifier as it was.

        Raises:
            TrainingError: no data, or fewer than two labels have enough texts.
            TypeError: something is not a text.
            ValueError: a text is empty.
        """
        self._train(self.data if data is None else data, self.encoder, self.config)

    def set_config(self, config: Mapping[str, Any] | None = None) -> None:
        """Take over ``config`` for this and every later training; the seed stays unless given."""
        self._train(self.data, self.encoder, {**self.config, **(config or {})})

    def set_classification_model(self, config: Mapping[str, Any] | None = None) -> None:
        """Fit anew on the same texts, the stock class's name for it."""
        self.set_config(config)

    def set_embedding_model(self, model: Encoder, device: str = "cpu") -> None:
        """Embed with another encoder from now on, and train anew with it; ``device`` must stay ``cpu``."""
        if device != "cpu":
            raise ValueError(
                f"device {device!r} is not supported: the encoder decides where it runs; leave it out"
            )
        self._train(self.data, model, self.config)
        self.model = model.fingerprint

    def get_embeddings(self, docs: Iterable[Any]) -> FloatArray:
        """Embeddings of texts (or spacy documents), shape (n, d)."""
        vectors: FloatArray = self.encoder.encode(_texts(docs))
        return vectors

    def __call__(self, text: str) -> dict[str, float]:
        """Probabilities of one text by label."""
        return self.pipe([text])[0]

    def pipe(self, text: Iterable[str]) -> list[dict[str, float]]:
        """Probabilities by label for each of several texts; none for none."""
        return [dict(zip(self.label_list, row, strict=True)) for row in self.probabilities(text).tolist()]

    def probabilities(self, texts: Iterable[str]) -> FloatArray:
        """Probabilities, shape (n, labels), columns as ``label_list``, rows summing to 1.

        Raises:
            TypeError: something is not a text, or one bare text was given.
            ValueError: a text is empty.
        """
        wanted = _texts(texts)
        if not wanted:
            return np.empty((0, len(self.label_list)), dtype=np.float32)
        vectors = self.encoder.encode(wanted, progress=len(wanted) > MANY_TEXTS)
        with _threads().limit(limits=1, user_api="blas"):
            return np.asarray(self.clf.predict_proba(vectors), dtype=np.float32)

    def score(self, vectors: FloatArray) -> FloatArray:
        """Probabilities of embeddings (n, d), as of ``probabilities`` but for the last bits: for whole pools."""
        if isinstance(self.clf, Head):
            return self.clf.score(vectors)
        return np.asarray(self.clf.predict_proba(vectors), dtype=np.float32)

    def _train(self, data: Mapping[str, Sequence[str]], encoder: Encoder, config: dict[str, Any]) -> None:
        smallest = 2 if config["head"] == "svm" else 1  # pair margins are cross-validated label by label
        usable = _usable(data, smallest)
        labels = sorted(usable)
        texts = [text for label in labels for text in usable[label]]
        encode_labels = preprocessing.LabelEncoder()
        numbers = encode_labels.fit_transform([label for label in labels for _ in usable[label]])
        vectors = encoder.encode(texts, progress=len(texts) > MANY_TEXTS)
        # On busy cores, BLAS threads that wait for one another make a fit a hundred times slower.
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
                        names=_names(labels, encoder),
                        graph=self._context.graph,
                    ),
                    seed=int(config["seed"]),
                    previous=self._context.previous,
                    kinds=get_args(Kind) if config["head"] == "auto" else (config["head"],),
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
        # Nothing above touched the classifier; nothing below can fail.
        self.__dict__.update({name: getattr(trained, name) for name in trained.__slots__})
        self.svm = getattr(head, "svc", None)  # the stock class's attribute, where the head is one


def _names(labels: Sequence[str], encoder: Encoder) -> FloatArray | None:
    """Embeddings of the labels' names; None where a name is only a code ("1", "B") that says nothing."""
    words = [words_of(label) for label in labels]
    if any(sum(character.isalpha() for character in name) < LEAST_LETTERS for name in words):
        return None
    return encoder.encode(words)


def words_of(label: str) -> str:
    """A label's name as words: ``card_arrival`` and ``CardArrival`` are "card arrival"."""
    return " ".join(re.sub(r"(?<=[a-z])(?=[A-Z])|[_\W]+", " ", label).lower().split())


def _usable(data: Mapping[str, Sequence[str]], smallest: int) -> dict[str, list[str]]:
    """Texts by label as training takes them: each once, sorted, without contradictions and too small labels."""
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
    small = {label: count for label, count in counts.items() if count < smallest}
    if len(counts) - len(small) < MINIMUM_LABELS:
        raise TrainingError(
            f"training needs {MINIMUM_LABELS} labels with {smallest} usable texts each, but there are "
            f"{counts or 'none'}; validate more"
        )
    if small:
        log.warning("small_labels_left_out", labels=small, minimum=smallest)
    return {label: texts for label, texts in usable.items() if label not in small}


def _texts(docs: Iterable[Any]) -> list[str]:
    """Check that ``docs`` are several texts, none of them empty; spacy documents count as their text."""
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
    """Looking for the loaded BLAS libraries takes milliseconds: done once, after scikit-learn is loaded."""
    return ThreadpoolController()
