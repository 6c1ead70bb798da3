"""The schema of the working dataset: created if missing, completed if half made, checked if it exists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog

from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.limits import refuse_labels
from argilla_loop.argilla.v2.working import (
    datasets_in,
    ensure_marked,
    find_working,
    is_half_made,
    mark_of,
    migration_of,
)
from argilla_loop.errors import (
    CredentialsError,
    GoneError,
    RejectedError,
    RetryableError,
    SchemaError,
)
from argilla_loop.policy.presentation import Presentation

log = structlog.get_logger(__name__)

FIELD = "text"
QUESTION = "label"
COMMENT = "comment"
COMMENT_QUESTION = {
    "name": COMMENT,
    "title": "Comment (optional)",
    "required": False,
    "settings": {"type": "text", "use_markdown": False},
}
# name -> (settings, whether annotators see it): audits are blind, so everything that would reveal them is hidden
METADATA: dict[str, tuple[dict[str, Any], bool]] = {
    "idx": ({"type": "integer"}, True),
    "certainty": ({"type": "float", "min": 0.0, "max": 1.0}, True),
    "route": ({"type": "terms"}, False),
    "model": ({"type": "terms"}, False),
    "prediction": ({"type": "terms"}, False),
    "threshold": ({"type": "float", "min": 0.0, "max": 1.0}, False),
    "held_back": ({"type": "terms"}, False),
    "weight": ({"type": "float"}, False),
    "validated_by": ({"type": "terms"}, False),
    "service_user": ({"type": "terms"}, False),
    "text_key": ({"type": "integer"}, False),
    "promise": ({"type": "terms"}, False),
    "second_look_of": ({"type": "terms"}, False),
}
TITLES = {
    "idx": "Batch (idx)",
    "certainty": "Certainty",
    "route": "Route",
    "model": "Model version",
    "prediction": "Model's label",
    "threshold": "Threshold in force",
    "held_back": "Held back",
    "weight": "Weight of the random draw",
    "validated_by": "Validated by",
    "service_user": "Service's user",
    "text_key": "Text as it was logged (key)",
    "promise": "Promise in force",
    "second_look_of": "Second look at",
}
HALF_MADE = "argilla-loop migrate has yet to complete it: repeat that command"


def find_workspace(connection: Connection, name: str) -> str:
    """Return the id of workspace ``name``.

    Raises:
        CredentialsError: the workspace does not exist, or the key's user is not in it.
    """
    mine = connection.call("GET", "/me/workspaces", where="the list of workspaces")["items"]
    for workspace in mine:
        if workspace["name"] == name:
            return str(workspace["id"])
    names = ", ".join(sorted(workspace["name"] for workspace in mine)) or "none"
    raise CredentialsError(
        f"workspace {name!r} does not exist or user {connection.username!r} is not in it (it is in: {names}): "
        "create it in Argilla or set workspace"
    )


def find_dataset(connection: Connection, workspace_id: str, name: str) -> dict[str, Any] | None:
    """Return the dataset called ``name`` in a workspace, as the API describes it; ``None`` if there is none."""
    found = datasets_in(connection, workspace_id)
    return next((dataset for dataset in found if dataset["name"] == name), None)


def labels_of(connection: Connection, dataset: dict[str, Any]) -> tuple[str, ...]:
    """Return the labels of an existing dataset's question; empty if it has no question of that name."""
    question = next((q for q in _parts(connection, dataset, "questions") if q["name"] == QUESTION), None)
    return _options(question) if question else ()


def question_id_of(connection: Connection, dataset_id: str) -> str:
    """Return the id of a dataset's label question; it never changes, so it is asked for once per connection.

    Raises:
        GoneError: there is no such dataset or question.
        RetryableError, FatalError: see ``connection.translated``.
    """
    if dataset_id not in connection.question_ids:
        for question in _parts(connection, {"id": dataset_id}, "questions"):
            if question["name"] == QUESTION:
                connection.question_ids[dataset_id] = str(question["id"])
                break
        else:
            raise GoneError("Argilla knows nothing of the label question")
    return connection.question_ids[dataset_id]


def ensure_dataset(
    connection: Connection,
    *,
    workspace: str,
    name: str,
    labels: Sequence[str],
    presentation: Presentation | None = None,
    min_submitted: int = 1,
    remembered: str | None = None,
) -> DatasetInfo:
    """Find the working dataset or create it; complete a draft that a killed process left.

    A dataset that was renamed in Argilla is found by our mark or by its id, see ``working``; a warning is logged.
    Nothing is ever deleted, emptied or renamed. Metadata properties that an existing dataset lacks are added, because
    that takes nothing away from anyone; any other difference is refused.

    Raises:
        SettingsError: the dataset is missing, and Argilla would not accept these labels or guidelines.
        SchemaError: it exists with another field, question, label or metadata type than needed.
        CredentialsError: there is no such workspace, or the user lacks the permission.
        RetryableError: another service creates it at the same moment.
    """
    if connection.role == "annotator":
        raise CredentialsError(
            f"user {connection.username!r} is an annotator: the service needs an owner, or an admin in the workspace"
        )
    presentation = presentation or Presentation()
    workspace_id = find_workspace(connection, workspace)
    found = find_working(connection, workspace_id, name, remembered=remembered)
    if found.note is not None:
        log.warning("dataset_renamed", note=found.note)
    dataset = found.dataset
    unfinished = dataset is None or dataset["status"] == "draft"
    known = labels or (labels_of(connection, dataset) if dataset else ())
    if unfinished:
        refuse_labels(known)
    if dataset is None:
        dataset = connection.call(
            "POST",
            "/datasets",
            where=f"creating dataset {name!r}",
            json={
                "name": name,
                "workspace_id": workspace_id,
                "guidelines": presentation.full_guidelines(),
                "allow_extra_metadata": True,
                "distribution": {"strategy": "overlap", "min_submitted": min_submitted},
                "metadata": mark_of(name),
            },
        )
        log.info("dataset_created", dataset=name, workspace=workspace, labels=len(labels))
    draft = dataset["status"] == "draft"
    try:
        if draft and migration_of(dataset) is None:
            _complete_draft(connection, dataset, labels, presentation)
        # checked first, because publishing cannot be undone
        info = verify_dataset(connection, dataset, workspace=workspace, labels=labels)
        ensure_marked(connection, dataset, name)
        added = _add_missing_metadata(connection, dataset)
        if added and not draft:  # nothing to report about a dataset that we have just created
            log.info("metadata_properties_added", dataset=name, properties=added)
        if draft:
            connection.call("PUT", f"/datasets/{dataset['id']}/publish", where="publishing the dataset")
    except RejectedError:
        there = find_dataset(connection, workspace_id, name)
        if draft and there is not None and there["status"] != "draft":
            raise RetryableError(f"another service was first to make dataset {name!r}") from None
        raise
    return info


def _complete_draft(
    connection: Connection, dataset: dict[str, Any], labels: Sequence[str], presentation: Presentation
) -> None:
    path = f"/datasets/{dataset['id']}"
    if not _parts(connection, dataset, "fields"):
        field = {"name": FIELD, "title": "Text", "required": True}
        settings = {"type": "text", "use_markdown": False}
        connection.call(
            "POST", f"{path}/fields", where="the text field", json={**field, "settings": settings}
        )
    there = {question["name"] for question in _parts(connection, dataset, "questions")}
    if QUESTION not in there:
        meanings = presentation.label_descriptions
        options = [
            {"value": label, "text": label, **({"description": meanings[label]} if label in meanings else {})}
            for label in labels
        ]
        question = {"name": QUESTION, "title": presentation.title, "required": True}
        if presentation.description:
            question["description"] = presentation.description
        # all of them visible, because annotators choose a label behind "more" less often; chosen, not measured
        settings = {"type": "label_selection", "options": options, "visible_options": max(3, len(options))}
        if len(options) < 3:  # noqa: PLR2004  Argilla refuses fewer than three visible options
            del settings["visible_options"]
        connection.call(
            "POST", f"{path}/questions", where="the label question", json={**question, "settings": settings}
        )
    if presentation.comments and COMMENT not in there:
        connection.call("POST", f"{path}/questions", where="the comment question", json=COMMENT_QUESTION)


def _add_missing_metadata(connection: Connection, dataset: dict[str, Any]) -> list[str]:
    """Add the properties that are missing; return their names."""
    there = {prop["name"] for prop in _parts(connection, dataset, "metadata-properties")}
    missing = [name for name in METADATA if name not in there]
    for name in missing:
        settings, visible = METADATA[name]
        connection.call(
            "POST",
            f"/datasets/{dataset['id']}/metadata-properties",
            where=f"metadata property {name!r}",
            json={
                "name": name,
                "title": TITLES[name],
                "settings": settings,
                "visible_for_annotators": visible,
            },
        )
    return missing


def differences(connection: Connection, dataset: dict[str, Any], labels: Sequence[str]) -> list[str]:
    """Return what keeps the service from working on a published ``dataset``; empty if nothing does."""
    wrong: list[str] = []
    fields = {f["name"]: f["settings"]["type"] for f in _parts(connection, dataset, "fields")}
    questions = {q["name"]: q for q in _parts(connection, dataset, "questions")}
    if fields.get(FIELD) != "text":
        wrong.append(f"it needs a text field {FIELD!r}, it has {_shown(fields)}")
    wrong += [
        f"field {name!r} is required, but only {FIELD!r} is filled"
        for name in _required_others(connection, dataset)
    ]
    question = questions.get(QUESTION)
    if question is None or question["settings"]["type"] != "label_selection":
        kinds = {name: q["settings"]["type"] for name, q in questions.items()}
        wrong.append(f"it needs a label question {QUESTION!r}, it has {_shown(kinds)}")
    elif labels and set(labels) != set(_options(question)):
        more, less = (
            sorted(set(_options(question)) - set(labels)),
            sorted(set(labels) - set(_options(question))),
        )
        parts = [
            f"only in the dataset: {more}" if more else "",
            f"only in the settings: {less}" if less else "",
        ]
        remedy = "argilla-loop migrate changes labels"
        wrong.append(
            "its labels differ from the settings (" + "; ".join(filter(None, [*parts, remedy])) + ")"
        )
    wrong += [
        f"question {name!r} is required, but only {QUESTION!r} is answered"
        for name, q in questions.items()
        if q["required"] and name != QUESTION
    ]
    properties = _parts(connection, dataset, "metadata-properties")
    if is_half_made(dataset, properties):
        wrong.insert(0, HALF_MADE)
    for prop in properties:
        name, kind = prop["name"], prop["settings"]["type"]
        if name not in METADATA:
            continue
        if kind != METADATA[name][0]["type"]:
            wrong.append(f"metadata {name!r} is {kind}, it must be {METADATA[name][0]['type']}")
        elif narrow := _narrower(prop["settings"], METADATA[name][0]):
            wrong.append(f"metadata {name!r} allows too little ({narrow})")
    return wrong


def verify_dataset(
    connection: Connection, dataset: dict[str, Any], *, workspace: str, labels: Sequence[str]
) -> DatasetInfo:
    """Return the properties of ``dataset``; nothing is changed.

    Raises:
        SchemaError: the service cannot work on it; the message lists every difference.
    """
    if wrong := differences(connection, dataset, labels):
        raise SchemaError(
            f"dataset {dataset['name']!r} in workspace {workspace!r} cannot be used: {'; '.join(wrong)}. "
            "Set dataset to another name (it will be created) or make the settings match"
        )
    question = next(q for q in _parts(connection, dataset, "questions") if q["name"] == QUESTION)
    connection.question_ids[str(dataset["id"])] = str(question["id"])
    distribution = dataset.get("distribution") or {}
    return DatasetInfo(
        id=str(dataset["id"]),
        name=dataset["name"],
        workspace=workspace,
        labels=_options(question),
        min_submitted=int(distribution.get("min_submitted") or 1),
    )


def _narrower(there: dict[str, Any], needed: dict[str, Any]) -> str:
    """Return which limit of a metadata property excludes values that we write; empty if none does."""
    if there.get("values"):
        return "only certain values"
    least, most = there.get("min"), there.get("max")
    if least is not None and least > 0:
        return f"min {least}"
    if most is not None and (needed.get("max") is None or most < needed["max"]):
        return f"max {most}"
    return ""


def _required_others(connection: Connection, dataset: dict[str, Any]) -> list[str]:
    return [f["name"] for f in _parts(connection, dataset, "fields") if f["required"] and f["name"] != FIELD]


def _parts(connection: Connection, dataset: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    base = "/me" if kind == "metadata-properties" else ""
    answer = connection.call("GET", f"{base}/datasets/{dataset['id']}/{kind}", where=f"the dataset's {kind}")
    return list(answer["items"])


def _options(question: dict[str, Any]) -> tuple[str, ...]:
    return tuple(option["value"] for option in question["settings"].get("options") or ())


def _shown(kinds: dict[str, str]) -> str:
    return ", ".join(f"{name!r} ({kind})" for name, kind in kinds.items()) or "none"
