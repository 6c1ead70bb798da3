"""From settings to objects: every command makes them here, so that none works with others than the service."""

from __future__ import annotations

from collections.abc import Callable

from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.rows import ArgillaRows
from argilla_loop.argilla.v2.schema import (
    DatasetInfo,
    ensure_dataset,
    labels_of,
    verify_dataset,
)
from argilla_loop.argilla.v2.working import Working
from argilla_loop.errors import SchemaError
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.learning.learner import ClassyLearner, build_learner
from argilla_loop.policy.plan import MAX_BATCH
from argilla_loop.policy.rules import Rules
from argilla_loop.pool import WatchedPool
from argilla_loop.service.identity import remembered_dataset, working_dataset
from argilla_loop.settings import Settings


def connect_with(settings: Settings) -> Connection:
    """Connect as ``settings`` say."""
    return connect(
        str(settings.api_url),
        settings.api_key.get_secret_value(),
        headers={name: value.get_secret_value() for name, value in settings.headers.items()},
        timeout=settings.request_timeout,
        ca_file=settings.ca_file,
    )


def ensured_dataset(settings: Settings, connection: Connection, labels: tuple[str, ...]) -> DatasetInfo:
    """The working dataset, which is made where it is missing.

    Raises:
        SchemaError, CredentialsError, RetryableError: see ``argilla.schema.ensure_dataset``.
    """
    return ensure_dataset(
        connection,
        workspace=settings.workspace,
        name=settings.dataset,
        labels=labels,
        guidelines=settings.guidelines,
        min_submitted=settings.min_submitted,
        remembered=remembered_dataset(settings),
    )


def existing_dataset(settings: Settings, connection: Connection, found: Working | None = None) -> DatasetInfo:
    """The working dataset that is there already; it is only looked at.

    Args:
        settings: of the service.
        connection: of an admin or owner.
        found: what ``identity.working_dataset`` gives; default: it is asked.

    Raises:
        SchemaError: there is none yet, or it is another one.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    existing = (found or working_dataset(settings, connection)).dataset
    if existing is None or existing["status"] == "draft":
        raise SchemaError(
            f"dataset {settings.dataset!r} does not exist in workspace {settings.workspace!r}: check dataset and "
            "workspace in the settings, or start `argilla-loop run`, which creates it"
        )
    labels = tuple(settings.labels) or labels_of(connection, existing)
    return verify_dataset(connection, existing, workspace=settings.workspace, labels=labels)


def dataset_of(
    settings: Settings,
    connection: Connection,
    info: DatasetInfo,
    *,
    before_write: Callable[[], object] = lambda: None,
) -> ArgillaDataset:
    """The records of a working dataset, read and written as ``settings`` say.

    Args:
        settings: for ``render_html``.
        connection: of an admin or owner.
        info: the dataset.
        before_write: see ``ArgillaDataset``.
    """
    return ArgillaDataset(connection, info, before_write=before_write, render_html=settings.render_html)


def pool_source(settings: Settings, labels: tuple[str, ...], connection: Connection | None) -> WatchedPool:
    """The pool that ``settings`` describe; read when first asked for, and again when its source changes.

    Args:
        settings: for ``pool`` and the cache folder.
        labels: all there are; empty takes those of the label column.
        connection: needed where the pool is an Argilla dataset.
    """
    rows = argilla_rows(settings, connection) if connection is not None else None
    return WatchedPool(
        settings.pool,
        labels=labels or None,
        cache_dir=settings.cache_dir,
        argilla_rows=rows,
        argilla_revision=rows.revision if rows else None,
    )


def argilla_rows(settings: Settings, connection: Connection) -> ArgillaRows | None:
    """The rows of the pool where it is an Argilla dataset."""
    pool = settings.pool
    if pool.source != "argilla" or pool.dataset is None:
        return None
    return ArgillaRows(
        connection,
        workspace=pool.workspace or settings.workspace,
        dataset=pool.dataset,
        text_field=pool.text_column,
        question=pool.label_column or "label",
    )


def learner_of(settings: Settings) -> ClassyLearner:
    """What trains the models.

    Raises:
        ModelError: its encoder cannot be found or read, or its fingerprint is not ``model_fingerprint``.
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


def vectors_of(settings: Settings, learner: ClassyLearner) -> PoolVectors:
    """The pool's embeddings, by the encoder of ``learner``; to be closed."""
    return PoolVectors(learner.uncached_encoder, settings.cache_dir / "vectors", seed=settings.seed)


def rules(settings: Settings, info: DatasetInfo) -> Rules:
    """What the operator decided, as the loop takes it.

    Where a record needs several answers the service validates nothing: one answer of its own would leave the record in
    everybody's queue.
    """
    auto_validate = settings.auto_validate and info.min_submitted == 1
    return Rules(
        slice_size=settings.slice_size,
        accept_limit=min(settings.accept_limit, MAX_BATCH - settings.slice_size),
        min_examples_per_label=settings.min_examples_per_label,
        min_accept_examples=settings.min_accept_examples,
        strategy=settings.strategy,
        candidates=settings.candidates,
        certainty_threshold=settings.certainty_threshold if auto_validate else None,
        target_precision=settings.target_precision,
        min_precision=settings.min_precision,
        confidence=settings.confidence,
        promise=settings.promise,
        audit_rate=settings.audit_rate,
        evaluation_share=settings.evaluation_share,
        label_rule=settings.label_rule,
        train_on_model=settings.train_on == "human+model",
        self_training_ratio=settings.self_training_ratio,
        seed=settings.seed,
    )
