"""``argilla-loop check``: tries all that the service needs, changes nothing, says what is right and what is not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from argilla_loop.argilla.index_watch import CURE
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.lease import writer_of
from argilla_loop.argilla.v2.schema import differences, labels_of, refuse_labels
from argilla_loop.argilla.v2.users import in_words, validated_by_user
from argilla_loop.argilla.v2.visibility import exposed_in
from argilla_loop.argilla.v2.working import Working
from argilla_loop.errors import ArgillaLoopError, CredentialsError, RetryableError, SchemaError
from argilla_loop.observability.logs import redacted
from argilla_loop.service.identity import working_dataset
from argilla_loop.service.observers.other_users import STAYS, writer_in_words
from argilla_loop.service.wiring import connect_with, learner_of, pool_source
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
            found = working_dataset(settings, connection)
            if found.dataset:
                labels = labels or labels_of(connection, found.dataset)
            yield _tried("dataset", lambda: _dataset(connection, found, labels))
            if (
                found.dataset is not None
                and found.dataset["status"] != "draft"
                and connection.role != "annotator"
            ):
                yield from _of_dataset(connection, found.dataset, settings.workspace)
        except ArgillaLoopError as error:
            yield Finding("dataset", ok=False, said=redacted(str(error)))

    if connection is None and settings.pool.source == "argilla":
        lacking = "credentials" if refused is not None else "connection"
        yield Finding("pool", ok=None, said=f"not tried: no {lacking}")
    else:
        yield _tried("pool", lambda: _pool(settings, labels, connection))
    yield _tried("model", lambda: _model(settings))


def _of_dataset(connection: Connection, dataset: dict[str, Any], workspace: str) -> Iterator[Finding]:
    """What can be tried of a dataset that is there."""
    yield _tried("search", lambda: _search(connection, dataset))
    yield _tried("writer", lambda: _writer(connection, str(dataset["id"]), workspace))
    yield _tried("audits", lambda: _audits(connection, str(dataset["id"])))


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


def _dataset(connection: Connection, found: Working, labels: tuple[str, ...]) -> str:
    existing = found.dataset
    if existing is None or existing["status"] == "draft":
        if labels:  # else they come from the pool, which is tried next
            refuse_labels(labels)
        return "does not exist yet: `argilla-loop run` will create it"
    if wrong := differences(connection, existing, labels):
        raise SchemaError(f"dataset {existing['name']!r} cannot be used: {'; '.join(wrong)}")
    return f"is there, labels {', '.join(labels)}" + (f"; {found.note}" if found.note else "")


def _search(connection: Connection, existing: dict[str, Any]) -> str:
    """Whether the search index, from which people's queue comes, knows the records of the database."""
    path = f"/datasets/{existing['id']}/records"
    try:
        found = connection.call("POST", f"{path}/search", where="a search", params={"limit": 1}, json={})
    except RetryableError as error:
        raise RetryableError(
            f"the dataset cannot be searched, so people see no records ({error}): {CURE}"
        ) from None
    held = connection.call("GET", path, where="the records", params={"limit": 1})
    if found["total"] != held["total"]:
        raise SchemaError(
            f"the search index knows {found['total']:,} of {held['total']:,} records, so people may not see all: {CURE}"
        )
    return f"the index knows all {held['total']:,} records"


def _writer(connection: Connection, dataset_id: str, workspace: str) -> str:
    said = writer_in_words(writer_of(connection, dataset_id), connection)
    others = validated_by_user(connection, dataset_id)
    others.pop(connection.user_id, None)
    if others:
        said += f"; records validated by services of other users: {in_words(connection, workspace, others)}; {STAYS}"
    return said


def _audits(connection: Connection, dataset_id: str) -> str:
    if exposed := exposed_in(connection, dataset_id):
        names = ", ".join(sorted(one.name for one in exposed))
        since = min(one.since for one in exposed)[:19].replace("T", " ")
        raise SchemaError(
            f"annotators can see {names} of the records, since {since} UTC or earlier: "
            "`argilla-loop run` hides it again, and counts no check that was answered meanwhile"
        )
    return "what would give them away is hidden from annotators"


def _pool(settings: Settings, labels: tuple[str, ...], connection: Connection | None) -> str:
    source = pool_source(settings, labels, connection)
    pool = source.current()
    given = labels or (tuple(source.report.labels) if source.report else ())
    if not labels:
        refuse_labels(given)
    return f"{len(pool):,} texts, {len(pool.unlabelled()):,} without a label"


def _model(settings: Settings) -> str:
    encoder = learner_of(settings).encoder
    width = encoder.encode(["A short text."]).shape[1]
    return f"{settings.model} ({settings.precision}), {width} dimensions, fingerprint {encoder.fingerprint}"
