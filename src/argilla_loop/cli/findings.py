"""``argilla-loop check``: tries everything that the service needs, changes nothing, and reports the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from argilla_loop.argilla.index_watch import CURE
from argilla_loop.argilla.protocol import Backend, FoundDataset
from argilla_loop.errors import ArgillaLoopError, CredentialsError, RetryableError, SchemaError
from argilla_loop.observability.logs import redacted
from argilla_loop.service.identity import working_dataset
from argilla_loop.service.observers.other_users import STAYS, in_words, writer_in_words
from argilla_loop.service.wiring import connect_with, learner_of, pool_source, refuse_labels, start_model_of
from argilla_loop.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check; ``ok`` is ``None`` if an earlier failure prevented it."""

    what: str
    ok: bool | None
    said: str


def check(settings: Settings) -> Iterator[Finding]:
    """Try the settings in the order in which the service uses them; a failure is a finding and ends nothing."""
    yield Finding(
        "settings", ok=True, said=f"dataset {settings.dataset!r}, {len(settings.labels) or 'no'} labels given"
    )

    backend: Backend | None = None
    refused: str | None = None
    try:
        backend = connect_with(settings)
        yield Finding("connection", ok=True, said=f"Argilla {backend.server_version} at {settings.api_url}")
    except CredentialsError as error:  # it was reached, and does not know the key
        refused = redacted(str(error))
        yield Finding("connection", ok=True, said=f"there is an answer at {settings.api_url}")
    except ArgillaLoopError as error:
        yield Finding("connection", ok=False, said=redacted(str(error)))

    labels: tuple[str, ...] = tuple(settings.labels)
    if refused is not None:
        yield Finding("credentials", ok=False, said=refused)
        yield Finding("dataset", ok=None, said="not tried: no credentials")
    elif backend is None:
        for what in ("credentials", "dataset"):
            yield Finding(what, ok=None, said="not tried: no connection")
    else:
        yield _tried("credentials", lambda: _role(backend))
        try:
            found = working_dataset(settings, backend)
            if found is not None:
                labels = labels or found.labels()
            yield _tried("dataset", lambda: _dataset(found, labels))
            if found is not None and not found.is_draft and backend.role != "annotator":
                yield from _of_dataset(backend, found, settings.workspace)
        except ArgillaLoopError as error:
            yield Finding("dataset", ok=False, said=redacted(str(error)))

    if backend is None and settings.pool.source == "argilla":
        lacking = "credentials" if refused is not None else "connection"
        yield Finding("pool", ok=None, said=f"not tried: no {lacking}")
    else:
        yield _tried("pool", lambda: _pool(settings, labels, backend))
    yield from _models(settings, labels)


def _models(settings: Settings, labels: tuple[str, ...]) -> Iterator[Finding]:
    """Yield the findings about the models."""
    yield _tried("model", lambda: _model(settings))
    if settings.start_from is not None:
        yield _tried("start_from", lambda: _start(settings, labels))


def _of_dataset(backend: Backend, dataset: FoundDataset, workspace: str) -> Iterator[Finding]:
    """Yield the findings about a dataset that exists."""
    yield _tried("search", lambda: _search(dataset))
    yield _tried("writer", lambda: _writer(backend, dataset.id, workspace))
    yield _tried("audits", lambda: _audits(backend, dataset.id))


def _tried(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, ok=True, said=attempt())
    except ArgillaLoopError as error:
        return Finding(what, ok=False, said=redacted(str(error)))


def _role(backend: Backend) -> str:
    if backend.role == "annotator":
        raise CredentialsError(
            f"user {backend.username!r} is an annotator: the service needs an owner, or an admin in the workspace"
        )
    return f"user {backend.username!r} is {backend.role}"


def _dataset(found: FoundDataset | None, labels: tuple[str, ...]) -> str:
    if found is None or found.is_draft:
        if labels:  # otherwise they come from the pool, which is tried next
            refuse_labels(labels)
        return "does not exist yet: `argilla-loop run` will create it"
    if wrong := found.differences(labels):
        raise SchemaError(f"dataset {found.name!r} cannot be used: {'; '.join(wrong)}")
    return f"is there, labels {', '.join(labels)}" + (f"; {found.note}" if found.note else "")


def _search(dataset: FoundDataset) -> str:
    """Check that the search index, which the annotators' queue comes from, has all records of the database."""
    try:
        indexed = dataset.indexed()
    except RetryableError as error:
        raise RetryableError(
            f"the dataset cannot be searched, so people see no records ({error}): {CURE}"
        ) from None
    stored = dataset.stored()
    if indexed != stored:
        raise SchemaError(
            f"the search index knows {indexed:,} of {stored:,} records, so people may not see all: {CURE}"
        )
    return f"the index knows all {stored:,} records"


def _writer(backend: Backend, dataset_id: str, workspace: str) -> str:
    said = writer_in_words(backend.writer(dataset_id), backend)
    others = backend.accepted_by_user(dataset_id)
    others.pop(backend.user_id, None)
    if others:
        said += (
            f"; records validated by services of other users: {in_words(backend, workspace, others)}; {STAYS}"
        )
    return said


def _audits(backend: Backend, dataset_id: str) -> str:
    if exposed := backend.visibility(dataset_id).exposed():
        names = ", ".join(sorted(one.name for one in exposed))
        since = min(one.since for one in exposed)[:19].replace("T", " ")
        raise SchemaError(
            f"annotators can see {names} of the records, since {since} UTC or earlier: "
            "`argilla-loop run` hides it again, and counts no check that was answered meanwhile"
        )
    return "what would give them away is hidden from annotators"


def _pool(settings: Settings, labels: tuple[str, ...], backend: Backend | None) -> str:
    source = pool_source(settings, labels, backend)
    pool = source.current()
    given = labels or (tuple(source.report.labels) if source.report else ())
    if not labels:
        refuse_labels(given)
    return f"{len(pool):,} texts, {len(pool.unlabelled()):,} without a label"


def _start(settings: Settings, labels: tuple[str, ...]) -> str:
    model = start_model_of(settings, learner_of(settings), labels)
    return f"{model.version}, labels {', '.join(model.labels)}" if model is not None else "none"


def _model(settings: Settings) -> str:
    encoder = learner_of(settings).encoder
    width = encoder.encode(["A short text."]).shape[1]
    return f"{settings.model} ({settings.precision}), {width} dimensions, fingerprint {encoder.fingerprint}"
