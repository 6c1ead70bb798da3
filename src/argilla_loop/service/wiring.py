"""From settings to objects. Every command creates them here, so that all commands use the same as the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import structlog

from argilla_loop.argilla.protocol import (
    AnnotatorQueue,
    Backend,
    DatasetInfo,
    FoundDataset,
    PoolRows,
    WorkingDataset,
)
from argilla_loop.argilla.v2.backend import ArgillaBackend
from argilla_loop.argilla.v2.links import dataset_url as ui_address
from argilla_loop.argilla.v2.queue import ArgillaQueue
from argilla_loop.errors import ModelError, SchemaError
from argilla_loop.learning.embeddings.vectors import AWAITED, PoolVectors
from argilla_loop.learning.learner import ClassyLearner, build_learner
from argilla_loop.learning.saved.start import StartModel
from argilla_loop.learning.tempered import Tempering
from argilla_loop.learning.tuning.eligible import why_not_tunable
from argilla_loop.learning.tuning.request import Outcome
from argilla_loop.policy.presentation import Presentation
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.tuning import tuning_in_words
from argilla_loop.pool import WatchedPool
from argilla_loop.service.identity import remembered_dataset, working_dataset
from argilla_loop.service.tuning.encoding import Encoding
from argilla_loop.service.tuning.ledger import Ledger
from argilla_loop.service.tuning.tuner import Tuner
from argilla_loop.settings import Settings

log = structlog.get_logger(__name__)


def backend_at(api_url: str, api_key: str) -> Backend:
    """Connect to the backend at an address without further settings, as the demo does; you have to close it."""
    return ArgillaBackend.open(api_url, api_key)


def annotator_queue(api_url: str, api_key: str, *, workspace: str, dataset: str) -> AnnotatorQueue:
    """Return the queue of the annotator with that key, for the demo; connects at once."""
    return ArgillaQueue(api_url, api_key, workspace=workspace, dataset=dataset)


def connect_with(settings: Settings) -> Backend:
    """Connect to the backend of ``settings``; you have to close it.

    Raises:
        RetryableError: it cannot be reached.
        FatalError: it refuses the key, or ``settings`` cannot be used.
    """
    return ArgillaBackend.open(
        str(settings.api_url),
        settings.api_key.get_secret_value(),
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=settings.request_timeout,
        ca_file=settings.ca_file,
    )


def refuse_labels(labels: Sequence[str]) -> None:
    """Check, without a connection, that a dataset can be created with these labels.

    Raises:
        SettingsError: see ``Backend.refuse_labels``.
    """
    ArgillaBackend.refuse_labels(labels)


def ensured_dataset(settings: Settings, backend: Backend, labels: tuple[str, ...]) -> DatasetInfo:
    """Return the working dataset; create it if it is missing.

    Raises:
        SettingsError, SchemaError, CredentialsError, RetryableError: see ``Backend.ensure``.
    """
    return backend.ensure(
        workspace=settings.workspace,
        name=settings.dataset,
        labels=labels,
        presentation=Presentation(
            title=settings.question_title,
            description=settings.question_description,
            guidelines=settings.guidelines,
            label_descriptions=settings.label_descriptions,
            comments=settings.comments,
        ),
        min_submitted=settings.min_submitted,
        remembered=remembered_dataset(settings),
    )


def existing_dataset(settings: Settings, backend: Backend, found: FoundDataset | None = None) -> DatasetInfo:
    """Return the working dataset, which must exist; nothing is changed.

    Args:
        settings: of the service.
        backend: connection of an admin or owner.
        found: what ``identity.working_dataset`` returned; by default it is called here.

    Raises:
        SchemaError: there is none yet, or the service cannot work on it.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    existing = found or working_dataset(settings, backend)
    if existing is None or existing.is_draft:
        raise SchemaError(
            f"dataset {settings.dataset!r} does not exist in workspace {settings.workspace!r}: check dataset and "
            "workspace in the settings, or start `argilla-loop run`, which creates it"
        )
    return existing.verified(tuple(settings.labels) or existing.labels())


def dataset_url(settings: Settings, info: DatasetInfo) -> str:
    """Return the address at which people label in the UI."""
    return ui_address(str(settings.api_url), info.id)


def dataset_of(
    settings: Settings,
    backend: Backend,
    info: DatasetInfo,
    *,
    before_write: Callable[[], object] = lambda: None,
) -> WorkingDataset:
    """Return the records of a working dataset.

    Args:
        settings: for ``render_html``.
        backend: connection of an admin or owner.
        info: the dataset.
        before_write: see ``Backend.dataset``.
    """
    return backend.dataset(info, before_write=before_write, render_html=settings.render_html)


def pool_source(settings: Settings, labels: tuple[str, ...], backend: Backend | None) -> WatchedPool:
    """Return the pool of ``settings``; it is read when first asked for, and again when its source changes.

    Args:
        settings: for ``pool`` and the cache folder.
        labels: all labels; if empty, those of the label column.
        backend: required if the pool is an Argilla dataset.
    """
    rows = argilla_rows(settings, backend) if backend is not None else None
    return WatchedPool(
        settings.pool,
        labels=labels or None,
        cache_dir=settings.cache_dir,
        argilla_rows=rows,
        argilla_revision=rows.revision if rows else None,
    )


def argilla_rows(settings: Settings, backend: Backend) -> PoolRows | None:
    """Return the records of the pool if it is an Argilla dataset; ``None`` for any other pool."""
    pool = settings.pool
    if pool.source != "argilla" or pool.dataset is None:
        return None
    return backend.rows(
        pool.workspace or settings.workspace,
        pool.dataset,
        text_field=pool.text_column,
        question=pool.label_column or "label",
    )


def learner_of(settings: Settings) -> ClassyLearner:
    """Return the learner, which trains the models: on the tuned encoder if one is in use.

    Raises:
        ModelError: its encoder cannot be found or read, or its fingerprint is not ``model_fingerprint``.
    """
    frozen = frozen_learner_of(settings)
    if settings.encoder == "frozen":
        return frozen
    ledger = Ledger(settings)
    if not ledger.in_use or not any(
        one.encoder == ledger.in_use for one in ledger.of_base(frozen.encoder.fingerprint)
    ):
        return frozen
    try:
        return tuned_learner_of(settings, ledger.in_use)
    except (ModelError, OSError, ValueError) as error:
        log.warning("tuned_encoder_lost", encoder=ledger.in_use[:12], reason=str(error), then="going on")
        return frozen


def tuned_learner_of(settings: Settings, encoder: str) -> ClassyLearner:
    """Return the learner that trains on a tuned encoder.

    Raises:
        ModelError, OSError, ValueError: its folder is gone, or is not what the tuner wrote.
    """
    folder = Ledger(settings).encoder_folder(encoder)
    outcome = Outcome.read(folder)
    learner = build_learner(
        str(folder),
        settings.precision,
        settings.cache_dir,
        settings.seed,
        head=settings.head,
        self_training_weight=settings.self_training_weight,
        fingerprint=encoder,
        name=f"{settings.model}, tuned on {outcome.examples} examples",
        tempering=Tempering(outcome.exponent, outcome.evidence),
    )
    learner.uncached_encoder.encode([])  # loads it: what is broken shows here
    return learner


def tuner_of(settings: Settings, encoding: Encoding) -> Tuner | None:
    """Return what tunes the encoder; ``None`` if it stays frozen, which is logged if it cannot be tuned.

    Args:
        settings: for the schedule.
        encoding: what is in use, which the tuner switches.
    """
    if settings.encoder == "frozen":
        return None
    if why := why_not_tunable(settings.model):
        log.warning("encoder_stays_frozen", why=why)
        return None
    frozen = frozen_learner_of(settings)

    def make(encoder: str) -> tuple[ClassyLearner, PoolVectors]:
        learner = tuned_learner_of(settings, encoder) if encoder else frozen
        return learner, vectors_of(settings, learner, awaited=0)

    ledger, base = Ledger(settings), frozen.encoder.fingerprint
    ledger.in_use = "" if encoding.fingerprint == base else encoding.fingerprint
    return Tuner(settings, encoding, ledger, make, base=base)


def encoder_in_words(settings: Settings) -> str:
    """Return what was tried to tune the encoder, and what is in use; empty if it stays frozen."""
    if settings.encoder == "frozen":
        return ""
    ledger = Ledger(settings)
    return tuning_in_words(ledger.trials, ledger.in_use, settings.tune_from)


def frozen_learner_of(settings: Settings) -> ClassyLearner:
    """Return the learner that trains on the encoder as it is.

    Raises:
        ModelError: see ``learner_of``.
    """
    return build_learner(
        settings.model,
        settings.precision,
        settings.cache_dir,
        settings.seed,
        head=settings.head,
        self_training_weight=settings.self_training_weight,
        fingerprint=settings.model_fingerprint,
    )


def start_model_of(settings: Settings, learner: ClassyLearner, labels: Sequence[str]) -> StartModel | None:
    """Return the saved model that suggests until there are examples for one; ``None`` if none is set.

    Args:
        settings: for ``start_from``.
        learner: whose encoder the model must have been trained on.
        labels: of the dataset; empty if they are not known yet.

    Raises:
        ModelError: it cannot be read, has another encoder, or knows labels that are not among ``labels``.
    """
    if settings.start_from is None:
        return None
    model = StartModel(settings.start_from, learner.encoder)
    if labels:
        model.check_labels(labels)
    return model


def vectors_of(settings: Settings, learner: ClassyLearner, *, awaited: int = AWAITED) -> PoolVectors:
    """Return the pool's embeddings by the encoder of ``learner``; you have to close them.

    Args:
        settings: for the cache folder.
        learner: whose encoder embeds.
        awaited: texts that somebody waits for; the others are embedded at a lower priority.
    """
    return PoolVectors(
        learner.uncached_encoder, settings.cache_dir / "vectors", seed=settings.seed, awaited=awaited
    )


def rules(settings: Settings, info: DatasetInfo) -> Rules:
    """Return the operator's decisions for the loop.

    If a record needs several answers, the service accepts nothing, because one answer of its own would leave the record
    in everybody's queue.
    """
    auto_validate = settings.auto_validate and info.min_submitted == 1
    own: dict[str, Any] = {
        "certainty_threshold": settings.certainty_threshold if auto_validate else None,
        "train_on_model": settings.train_on == "human+model",
    }
    same = {rule.name: getattr(settings, rule.name) for rule in fields(Rules) if rule.name not in own}
    return Rules(**same, **own)
