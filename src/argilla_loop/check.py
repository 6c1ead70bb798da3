"""``argilla-loop check``: tries all that the service needs, changes nothing, says what is right and what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from argilla_loop.argilla.connection import Connection
from argilla_loop.argilla.schema import differences, find_dataset, find_workspace, labels_of
from argilla_loop.errors import ArgillaLoopError, CredentialsError, SchemaError
from argilla_loop.learning.learner import build_learner
from argilla_loop.observability.logs import redacted
from argilla_loop.service import connect_with, pool_source
from argilla_loop.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. ``ok`` is ``None`` where it could not be tried because of an earlier failure."""

    what: str
    ok: bool | None
    said: str


def check(settings: Settings) -> Iterator[Finding]:
    """Try the settings in the order in which the service uses them; every failure is a finding, none ends it."""
    yield Finding(
        "settings", ok=True, said=f"dataset {settings.dataset!r}, {len(settings.labels) or 'no'} labels given"
    )

    connection: Connection | None = None
    refused: str | None = None
    try:
        connection = connect_with(settings)
        yield Finding(
            "connection", ok=True, said=f"Argilla {connection.server_version} at {settings.api_url}"
        )
    except CredentialsError as error:  # it was reached, and answers that it does not know us
        refused = redacted(str(error))
        yield Finding("connection", ok=True, said=f"there is an answer at {settings.api_url}")
    except ArgillaLoopError as error:
        yield Finding("connection", ok=False, said=redacted(str(error)))

    labels: tuple[str, ...] = tuple(settings.labels)
    if refused is not None:
        yield Finding("credentials", ok=False, said=refused)
        yield Finding("dataset", ok=None, said="not tried: no credentials")
    elif connection is None:
        for what in ("credentials", "dataset"):
            yield Finding(what, ok=None, said="not tried: no connection")
    else:
        yield _tried("credentials", lambda: _role(connection))
        try:
            existing = find_dataset(
                connection, find_workspace(connection, settings.workspace), settings.dataset
            )
            if existing:
                labels = labels or labels_of(connection, existing)
            yield _tried("dataset", lambda: _dataset(connection, existing, labels, settings.dataset))
        except ArgillaLoopError as error:
            yield Finding("dataset", ok=False, said=redacted(str(error)))

    if connection is None and settings.pool.source == "argilla":
        lacking = "credentials" if refused is not None else "connection"
        yield Finding("pool", ok=None, said=f"not tried: no {lacking}")
    else:
        yield _tried("pool", lambda: _pool(settings, labels, connection))
    yield _tried("model", lambda: _model(settings))


def _tried(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ok=True, said=attempt())
    except ArgillaLoopError as error:
        return Finding(what, ok=False, said=redacted(str(error)))


def _role(connection: Connection) -> str:
    if connection.role == "annotator":
        raise CredentialsError(
            f"user {connection.username!r} is an annotator: the service needs an owner, or an admin in the workspace"
        )
    return f"user {connection.username!r} is {connection.role}"


def _dataset(
    connection: Connection, existing: dict[str, object] | None, labels: tuple[str, ...], name: str
) -> str:
    if existing is None or existing["status"] == "draft":
        return "does not exist yet: `argilla-loop run` will create it"
    if wrong := differences(connection, existing, labels):
        raise SchemaError(f"dataset {name!r} cannot be used: {'; '.join(wrong)}")
    return f"is there, labels {', '.join(labels)}"


def _pool(settings: Settings, labels: tuple[str, ...], connection: Connection | None) -> str:
    source = pool_source(settings, labels, connection)
    pool = source.current()
    given = labels or (tuple(source.report.labels) if source.report else ())
    if len(given) < 2:  # noqa: PLR2004  a choice takes two
        raise SchemaError("no labels are known: set labels, or pool.label_column")
    return f"{len(pool):,} texts, {len(pool.unlabelled()):,} without a label"


def _model(settings: Settings) -> str:
    encoder = build_learner(
        settings.model,
        settings.precision,
        settings.cache_dir,
        settings.seed,
        fingerprint=settings.model_fingerprint,
    ).encoder
    width = encoder.encode(["A short text."]).shape[1]
    return f"{settings.model} ({settings.precision}), {width} dimensions, fingerprint {encoder.fingerprint}"
