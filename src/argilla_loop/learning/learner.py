"""From examples to an immutable model: deterministic, versioned, and quick where embeddings are cached."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from argilla_loop.domain import Encoder, Example, FloatArray, HeadEvidence, Origin, PoolSample
from argilla_loop.errors import ModelError
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import Precision, resolve_model
from argilla_loop.settings.files import text_digest

if TYPE_CHECKING:
    from argilla_loop.learning.classy.classifier import GuardedClassyClassifier
    from argilla_loop.learning.heads.graph import PoolGraph

log = structlog.get_logger(__name__)

# Scored at a time: a million texts must not mean a million embeddings in memory at once.
SCORING_CHUNK = 8192
# Part of a model's version: raise it when the same inputs would give other probabilities.
HEADS_VERSION = 5
# Texts without which a pool has no neighbourhoods to speak of.
SMALLEST_POOL = 50


class TrainedModel:
    """A trained classifier that never changes; implements ``domain.Model``. Made by ``ClassyLearner.fit``."""

    def __init__(self, classifier: GuardedClassyClassifier, version: str) -> None:
        self._classifier = classifier
        self._version = version
        self._labels = tuple(classifier.label_list)

    @property
    def version(self) -> str:
        """Head and twelve hex digits: same examples, pool, encoder, seed and head, same version."""
        return self._version

    @property
    def head(self) -> str:
        """Name of the head that was chosen."""
        return getattr(self._classifier.clf, "name", "svm")

    @property
    def evidence(self) -> tuple[HeadEvidence, ...]:
        """What cross-validation on people's examples found about the heads, the chosen one first."""
        return getattr(self._classifier.clf, "evidence", ())

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels it can answer with, sorted: the columns of ``predict_proba``."""
        return self._labels

    def predict_proba(self, texts: Sequence[str]) -> FloatArray:
        """Probabilities, float32 of shape (n, len(labels)), rows summing to 1.

        Raises:
            ValueError: a text is empty or not a text (the pool gives no such texts).
        """
        scored = np.empty((len(texts), len(self._labels)), dtype=np.float32)
        for start in range(0, len(texts), SCORING_CHUNK):
            chunk = texts[start : start + SCORING_CHUNK]
            try:
                scored[start : start + len(chunk)] = self._classifier.probabilities(chunk)
            except TypeError as error:
                raise ValueError(str(error)) from error
        return scored

    def score(self, vectors: FloatArray) -> FloatArray:
        """Probabilities of embeddings (n, d) as of ``predict_proba``, but for the last bits; for whole pools."""
        return self._classifier.score(vectors)


class ClassyLearner:
    """Trains guarded ``ClassyClassifier`` models; implements ``domain.Learner``. Stateless but for caches.

    Args:
        encoder: embeds texts, the cold start's too.
        seed: for folds and solver; same examples and seed, same model.
        config: the classifier's configuration where it differs from the default.
    """

    def __init__(self, encoder: Encoder, *, seed: int, config: Mapping[str, Any] | None = None) -> None:
        self.encoder = encoder
        self.seed = seed
        self._config = dict(config or {})
        self._graph: tuple[str, PoolGraph] | None = None  # of the pool sample with that fingerprint

    @property
    def uncached_encoder(self) -> Encoder:
        """The encoder behind the cache, if there is one."""
        return self.encoder.encoder if isinstance(self.encoder, CachedEncoder) else self.encoder

    def warm_up(self) -> None:
        """Import the classifier and load the encoder (seconds), so that the first retrain need not wait for it.

        Raises:
            ModelError: the encoder's model is broken.
        """
        started = time.monotonic()
        _classifier_class()
        self.uncached_encoder.encode(["warm up"])  # the cache would answer without loading the model
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
            pool: what the pool may teach; a sample too small for a neighbourhood is left out.
            previous: head of the model before: it stays unless another is clearly better.

        Raises:
            TrainingError: fewer than two labels have enough usable examples.
            ModelError: the encoder's model is broken.
            ValueError: an example's text is empty or not a text.
        """
        started = time.monotonic()
        classifier_class = _classifier_class()
        from argilla_loop.learning.classy.classifier import Context  # noqa: PLC0415 - see _classifier_class

        data: dict[str, list[str]] = defaultdict(list)
        for example in examples:
            data[example.label].append(example.text)
        if pool is not None and len(pool.vectors) < SMALLEST_POOL:
            pool = None
        by_people = {example.text for example in examples if example.origin is Origin.HUMAN}
        try:
            classifier = classifier_class(
                data,
                encoder=self.encoder,
                config={**self._config, "seed": self.seed},
                context=Context(
                    graph=self._graph_of(pool),
                    model_made=frozenset(one.text for one in examples) - by_people,
                    previous=previous,
                ),
            )
        except TypeError as error:
            raise ValueError(str(error)) from error
        model = TrainedModel(classifier, self._version(examples, classifier, pool))
        log.debug(  # the turn tells the story at info
            "model_trained",
            version=model.version,
            examples=len(examples),
            used=sum(map(len, classifier.data.values())),
            labels=len(model.labels),
            seconds=round(time.monotonic() - started, 3),
        )
        return model

    def _graph_of(self, pool: PoolSample | None) -> PoolGraph | None:
        """The neighbour graph of ``pool``, made once."""
        if pool is None:
            return None
        if self._graph is None or self._graph[0] != pool.fingerprint:
            from argilla_loop.learning.heads.graph import PoolGraph  # noqa: PLC0415 - imports scipy

            self._graph = pool.fingerprint, PoolGraph(pool.vectors)
        return self._graph[1]

    def _version(
        self, examples: Sequence[Example], classifier: GuardedClassyClassifier, pool: PoolSample | None
    ) -> str:
        """The head, and a hash of all that a model depends on; nothing of time or place in it."""
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
        return f"{head}-{text_digest(json.dumps(parts, sort_keys=True))[:12]}"


def build_learner(
    model: str,
    precision: Precision,
    cache_dir: Path,
    seed: int,
    *,
    head: str = "auto",
    self_training_weight: float = 0.3,
    fingerprint: str | None = None,
) -> ClassyLearner:
    """The learner as the service uses it: weights by name or path, on onnxruntime, embeddings cached on disk.

    Args:
        model: folder, ``package:NAME`` or hub name, see ``weights.resolve_model``.
        precision: ``fp32`` or ``int8``.
        cache_dir: for exported weights and embeddings; may be deleted at any time.
        seed: same examples and seed, same model.
        head: ``auto`` lets the evidence choose; or one of ``heads.head.Kind``, or ``svm``.
        self_training_weight: of an example that the model made; people's weigh 1.
        fingerprint: how that of the encoder must begin; default: any.

    Raises:
        ModelError: the model cannot be found or read, or has another fingerprint.
    """
    encoder = OnnxEncoder(resolve_model(model, precision=precision, cache_dir=cache_dir))
    if fingerprint is not None and not encoder.fingerprint.startswith(fingerprint):
        raise ModelError(
            f"model {model!r} has fingerprint {encoder.fingerprint}, and model_fingerprint is {fingerprint}: "
            "its files are others than you have tried; put those back, or set the new fingerprint"
        )
    return ClassyLearner(
        CachedEncoder(encoder, cache_dir / "embeddings"),
        seed=seed,
        config={"head": head, "self_training_weight": self_training_weight},
    )


def _classifier_class() -> type[GuardedClassyClassifier]:
    # Seconds: paid by the first training, not by every start of the command.
    from argilla_loop.learning.classy.classifier import GuardedClassyClassifier  # noqa: PLC0415 - see above

    return GuardedClassyClassifier
