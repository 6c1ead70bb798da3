"""Train an immutable, versioned model from examples; the same examples give the same model."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from argilla_loop.domain import Encoder, Example, FloatArray, HeadEvidence, Model, Origin, PoolSample
from argilla_loop.errors import ModelError
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import Precision, resolve_model
from argilla_loop.settings.files import text_digest

if TYPE_CHECKING:
    from argilla_loop.learning.classy.classifier import GuardedClassyClassifier
    from argilla_loop.learning.heads.graph import PoolGraph
    from argilla_loop.learning.heads.head import Head
    from argilla_loop.learning.heads.svm import PairwiseSvc
    from argilla_loop.learning.tempered import Tempering

log = structlog.get_logger(__name__)

# Texts scored at a time, so that a million texts are never a million embeddings in memory. Chosen, not measured.
SCORING_CHUNK = 8192
# Part of a model's version: raise it when the same inputs give other probabilities.
HEADS_VERSION = 6
# Texts below which a pool has no neighbourhoods to learn from. Chosen, not measured.
MIN_POOL_TEXTS = 50
# Hexadecimal digits of a model's version: 48 bits. Chosen, not measured.
VERSION_DIGITS = 12


class TrainedModel:
    """A trained classifier that never changes; implements ``domain.Model``. ``ClassyLearner.fit`` makes it."""

    def __init__(
        self, classifier: GuardedClassyClassifier, version: str, *, scoring_chunk: int = SCORING_CHUNK
    ) -> None:
        self._classifier, self._scoring_chunk = classifier, scoring_chunk
        self._version = version
        self._labels = tuple(classifier.label_list)

    @property
    def version(self) -> str:
        """The head's name and a digest: the same examples, pool, encoder, seed and head give the same version."""
        return self._version

    @property
    def head(self) -> str:
        """The name of the chosen head."""
        return getattr(self._classifier.clf, "name", "svm")

    @property
    def classifier(self) -> Head | PairwiseSvc:
        """The chosen head itself, fitted on embeddings."""
        head: Head | PairwiseSvc = self._classifier.clf
        return head

    @property
    def evidence(self) -> tuple[HeadEvidence, ...]:
        """The results of cross-validation on people's examples, those of the chosen head first."""
        return getattr(self._classifier.clf, "evidence", ())

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels, sorted: the columns of ``predict_proba``."""
        return self._labels

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return probabilities, float32 of shape (n, len(labels)), rows summing to 1.

        Raises:
            ValueError: a text is empty or not a text; a pool has no such texts.
        """
        scored = np.empty((len(texts), len(self._labels)), dtype=np.float32)
        for start in range(0, len(texts), self._scoring_chunk):
            chunk = texts[start : start + self._scoring_chunk]
            try:
                scored[start : start + len(chunk)] = self._classifier.probabilities(chunk)
            except TypeError as error:
                raise ValueError(str(error)) from error
        return scored

    def score(self, vectors: FloatArray) -> FloatArray:
        """Return probabilities of embeddings (n, d): those of ``predict_proba`` except for the last bits."""
        return self._classifier.score(vectors)


class ClassyLearner:
    """Trains guarded ``ClassyClassifier`` models; implements ``domain.Learner``. It has no state except caches.

    Args:
        encoder: embeds texts.
        seed: for folds and solver; the same examples and seed give the same model.
        config: the classifier's configuration, as far as it differs from the default.
        scoring_chunk: texts that its models score at a time.
        tempering: for a tuned encoder, what its tuner found about heads on it.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        seed: int,
        config: Mapping[str, Any] | None = None,
        scoring_chunk: int = SCORING_CHUNK,
        tempering: Tempering | None = None,
    ) -> None:
        self.encoder, self._scoring_chunk, self._tempering = encoder, scoring_chunk, tempering
        self.seed = seed
        self._config = dict(config or {})
        self._graph: tuple[str, PoolGraph] | None = None  # with the fingerprint of its pool sample

    @property
    def uncached_encoder(self) -> Encoder:
        """The encoder without its cache, if it has one."""
        return self.encoder.encoder if isinstance(self.encoder, CachedEncoder) else self.encoder

    def warm_up(self) -> None:
        """Import the classifier and load the encoder, which takes seconds, before the first training needs them.

        Raises:
            ModelError: the encoder's model is broken.
        """
        started = time.monotonic()
        _classifier_class()
        self.uncached_encoder.encode(["warm up"])  # with the cache, the model might not be loaded
        log.info(
            "learner_ready",
            encoder=self.encoder.fingerprint[:12],
            seconds=round(time.monotonic() - started, 3),
        )

    def fit(
        self, examples: Sequence[Example], *, pool: PoolSample | None = None, previous: str | None = None
    ) -> TrainedModel:
        """Train on ``examples``; their order does not matter.

        Args:
            examples: of people, or of people and model.
            pool: a sample of the pool to learn from; ignored below ``MIN_POOL_TEXTS`` texts.
            previous: not used: heads are weighed anew each time.

        Raises:
            TrainingError: fewer than two labels have enough usable examples.
            ModelError: the encoder's model is broken.
            ValueError: an example's text is empty or not a text.
        """
        del previous
        started = time.monotonic()
        classifier_class = _classifier_class()
        from argilla_loop.learning.classy.classifier import Context  # noqa: PLC0415 - see _classifier_class

        data: dict[str, list[str]] = defaultdict(list)
        for example in examples:
            data[example.label].append(example.text)
        if pool is not None and len(pool.vectors) < MIN_POOL_TEXTS:
            pool = None
        by_people = {example.text for example in examples if example.origin is Origin.HUMAN}
        try:
            classifier = classifier_class(
                data,
                encoder=self.encoder,
                config={**self._config, "seed": self.seed},
                context=Context(
                    graph=self._pool_graph(pool),
                    model_made=frozenset(one.text for one in examples) - by_people,
                ),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error
        if self._tempering is not None:
            from argilla_loop.learning.tempered import tempered  # noqa: PLC0415 - imports scipy

            classifier.clf = tempered(classifier.clf, self._tempering)
        model = TrainedModel(
            classifier, self._version(examples, classifier, pool), scoring_chunk=self._scoring_chunk
        )
        log.debug(  # the turn's observers log it at info
            "model_trained",
            version=model.version,
            examples=len(examples),
            used=sum(map(len, classifier.data.values())),
            labels=len(model.labels),
            seconds=round(time.monotonic() - started, 3),
        )
        return model

    def guess(self, labels: Sequence[str], pool: PoolSample) -> Model | None:
        """Return a model for the time before the first examples, made of the labels' names alone.

        Args:
            labels: of the dataset.
            pool: a sample of the pool, whose neighbourhoods tell what the names mean.

        Returns:
            ``None`` if names are codes, or if the pool has fewer than ``MIN_POOL_TEXTS`` texts.

        Raises:
            ModelError: the encoder's model is broken.
        """
        from argilla_loop.learning.guess import guess_from_names  # noqa: PLC0415 - imports scipy

        if len(pool.vectors) < MIN_POOL_TEXTS:
            return None
        graph = self._pool_graph(pool)
        return guess_from_names(labels, self.encoder, pool, graph) if graph is not None else None

    def _pool_graph(self, pool: PoolSample | None) -> PoolGraph | None:
        """Return the neighbour graph of ``pool``, made once."""
        if pool is None:
            return None
        if self._graph is None or self._graph[0] != pool.fingerprint:
            from argilla_loop.learning.heads.graph import PoolGraph  # noqa: PLC0415 - imports scipy

            self._graph = pool.fingerprint, PoolGraph(pool.vectors)
        return self._graph[1]

    def _version(
        self, examples: Sequence[Example], classifier: GuardedClassyClassifier, pool: PoolSample | None
    ) -> str:
        """Return the head's name and a digest of everything that the model depends on."""
        import scipy  # noqa: PLC0415 - loaded with the classifier by now
        import sklearn  # noqa: PLC0415 - loaded with the classifier by now

        head = getattr(classifier.clf, "name", "svm")
        parts = {
            "examples": sorted(
                [
                    one.id,
                    text_digest(one.text),
                    one.label,
                    one.origin.value,
                ]
                for one in examples
            ),
            "encoder": self.encoder.fingerprint,
            "config": classifier.config,
            "pool": pool.fingerprint if pool is not None else None,
            "heads": HEADS_VERSION,
            "head": head,
            "scikit-learn": sklearn.__version__,
            "scipy": scipy.__version__,
        }
        if self._tempering is not None:
            parts["exponent"] = self._tempering.exponent
        return f"{head}-{text_digest(json.dumps(parts, sort_keys=True))[:VERSION_DIGITS]}"


def build_learner(
    model: str,
    precision: Precision,
    cache_dir: Path,
    seed: int,
    *,
    head: str = "auto",
    self_training_weight: float = 0.3,
    fingerprint: str | None = None,
    name: str | None = None,
    tempering: Tempering | None = None,
) -> ClassyLearner:
    """Build the service's learner: weights by name or path, run by onnxruntime, embeddings cached on disk.

    Args:
        model: folder, ``package:NAME`` or hub name, see ``weights.resolve_model``.
        precision: ``fp32`` or ``int8``.
        cache_dir: for exported weights and embeddings; may be deleted at any time.
        seed: the same examples and seed give the same model.
        head: ``auto`` (cross-validation chooses), one of ``heads.head.Kind``, or ``svm``.
        self_training_weight: the weight of an example that the model made; people's weigh 1.
        fingerprint: what the encoder's fingerprint must start with; the default accepts any.
        name: what the encoder is called; the default is ``model``.
        tempering: for a tuned encoder, see ``ClassyLearner``.

    Raises:
        ModelError: the model cannot be found or read, or has another fingerprint.
    """
    files = resolve_model(model, precision=precision, cache_dir=cache_dir)
    encoder = OnnxEncoder(files if name is None else replace(files, name=name))
    if fingerprint is not None and not encoder.fingerprint.startswith(fingerprint):
        raise ModelError(
            f"model {model!r} has fingerprint {encoder.fingerprint}, and model_fingerprint is {fingerprint}: "
            "its files are not the ones that you tried; restore those, or set the new fingerprint"
        )
    return ClassyLearner(
        CachedEncoder(encoder, cache_dir / "embeddings"),
        seed=seed,
        config={"head": head, "self_training_weight": self_training_weight},
        tempering=tempering,
    )


def _classifier_class() -> type[GuardedClassyClassifier]:
    # The import takes seconds, which only the first training spends.
    from argilla_loop.learning.classy.classifier import GuardedClassyClassifier  # noqa: PLC0415 - see above

    return GuardedClassyClassifier
