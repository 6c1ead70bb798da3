"""Records and questions of a dataset as they are copied to one with other labels; no requests."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from argilla_loop.argilla.v2.schema import QUESTION
from argilla_loop.argilla.v2.service_user import service_user_of
from argilla_loop.domain import Route
from argilla_loop.policy.migration import LabelChange, migrated_promise

LEAST_VISIBLE = 3  # options that Argilla lets a question show before "more"


def copied_question(question: Mapping[str, Any], change: LabelChange) -> dict[str, Any]:
    """Return the question to create; the label question gets the new labels.

    A label that is merged loses the description of its parts; any other keeps what it has.
    """
    made = {name: question[name] for name in ("name", "title", "description", "required", "settings")}
    if made["description"] is None:
        del made["description"]
    if question["name"] != QUESTION:
        return made
    settings = dict(question["settings"])
    before = {change.of(option["value"]): option for option in settings["options"]}
    parts = [change.of(option["value"]) for option in settings["options"]]
    options = []
    for label in change.after:
        option = dict(before[label]) if parts.count(label) == 1 else {}
        same = option.get("value") == label
        options.append({**option, "value": label, "text": option["text"] if same else label})
    visible = settings.pop("visible_options", None)
    if visible is not None and len(options) >= LEAST_VISIBLE:
        all_shown = visible >= len(settings["options"])
        settings["visible_options"] = len(options) if all_shown else min(visible, len(options))
    return {**made, "settings": {**settings, "options": options}}


def copied_item(
    item: Mapping[str, Any],
    change: LabelChange,
    questions: Mapping[str, tuple[str, str]],
    *,
    anew: bool,
    gone: Collection[str] = (),
) -> dict[str, Any]:
    """Return the item of a bulk upsert that copies a record.

    Args:
        item: the record as the API gives it, with its responses and suggestions.
        change: of the labels.
        questions: by the id of a question of the old dataset, its name and its id in the new one.
        anew: whether evidence starts anew, see ``policy.migration``.
        gone: ids of users that Argilla does not know any more, whose answers it would refuse.
    """
    copy: dict[str, Any] = {
        # a record without one is known by the id that Argilla gave it
        "external_id": str(item.get("external_id") or item["id"]),
        "fields": item["fields"],
        "metadata": _metadata(item, change, anew=anew),
        "suggestions": [_suggestion(one, change, questions) for one in item.get("suggestions") or ()],
        "responses": [
            {
                "user_id": str(one["user_id"]),
                "status": one["status"],
                "values": _values(one.get("values"), change),
                "updated_at": one["updated_at"],
            }
            for one in sorted(item.get("responses") or (), key=lambda one: str(one["updated_at"]))
            if str(one["user_id"]) not in gone
        ],
    }
    if item.get("vectors"):
        copy["vectors"] = item["vectors"]
    return copy


def lacking(copy: Mapping[str, Any], there: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return the part of ``copy`` that the record in the new dataset lacks; ``None`` if it has all of it.

    An answer that somebody gave in the new dataset later than the one in the old one stays.

    Args:
        copy: what ``copied_item`` returned.
        there: the record in the new dataset as the API gives it; ``None`` if it is not there yet.
    """
    if there is None:
        return dict(copy)
    part: dict[str, Any] = {}
    if copy["fields"] != there["fields"]:
        part["fields"] = copy["fields"]
    if copy["metadata"] != (there.get("metadata") or {}):
        part["metadata"] = copy["metadata"]
    shown = [{name: one.get(name) for name in _SUGGESTED} for one in there.get("suggestions") or ()]
    if new := [one for one in copy["suggestions"] if one not in shown]:
        part["suggestions"] = new
    given = {str(one["user_id"]): one for one in there.get("responses") or ()}
    if missing := [one for one in copy["responses"] if not _has(given.get(one["user_id"]), one)]:
        part["responses"] = missing
    return {"external_id": copy["external_id"], **part} if part else None


def withdrawn(copy: Mapping[str, Any], there: Mapping[str, Any] | None) -> list[str]:
    """Return the ids of services' answers in the new dataset that were withdrawn in the old one meanwhile."""
    metadata = (there or {}).get("metadata") or {}
    if there is None or metadata.get("route") != Route.ACCEPT.value:
        return []
    still = {one["user_id"] for one in copy["responses"]}
    return [
        str(one["id"])
        for one in there.get("responses") or ()
        if str(one["user_id"]) == metadata.get("service_user")
        and str(one["user_id"]) not in still
        and _label(one) == metadata.get("prediction")
    ]


_SUGGESTED = ("question_id", "value", "score", "agent", "type")


def _metadata(item: Mapping[str, Any], change: LabelChange, *, anew: bool) -> dict[str, Any]:
    metadata = dict(item.get("metadata") or {})
    route = metadata.get("route")
    if route not in {one.value for one in Route}:  # somebody else's metadata may have the same names
        return metadata
    prediction = metadata.get("prediction")
    if isinstance(prediction, str):
        metadata["prediction"] = change.of(prediction)
    if route == Route.ACCEPT.value:
        if prediction is not None and (user := service_user_of(dict(item), prediction)) is not None:
            metadata["service_user"] = user  # its answer's time, which tells it otherwise, is not copied
        promise = migrated_promise(metadata.get("promise"), change)
        metadata |= {"promise": promise} if promise else {}
    if anew:
        metadata = {name: value for name, value in metadata.items() if name not in ("held_back", "weight")}
        metadata["route"] = Route.ASK.value if route == Route.AUDIT.value else route
    return metadata


def _suggestion(
    suggestion: Mapping[str, Any], change: LabelChange, questions: Mapping[str, tuple[str, str]]
) -> dict[str, Any]:
    name, new_id = questions[str(suggestion["question_id"])]
    copy = {key: suggestion.get(key) for key in _SUGGESTED}
    value = suggestion["value"]
    if name == QUESTION and isinstance(value, str):
        value = change.of(value)
    return {**copy, "question_id": new_id, "value": value}


def _values(values: Mapping[str, Any] | None, change: LabelChange) -> dict[str, Any]:
    """Return an answer's values; Argilla 2.8 stores a discard without any, and then fails to index and to list it."""
    copy = {name: {"value": one["value"]} for name, one in (values or {}).items()}
    if QUESTION in copy and isinstance(copy[QUESTION]["value"], str):
        copy[QUESTION] = {"value": change.of(copy[QUESTION]["value"])}
    return copy


def _has(given: Mapping[str, Any] | None, wanted: Mapping[str, Any]) -> bool:
    """Whether an answer in the new dataset is ``wanted``, or later than it."""
    if given is None:
        return False
    same = given["status"] == wanted["status"] and _plain(given.get("values")) == wanted["values"]
    return same or str(given["updated_at"]) > str(wanted["updated_at"])


def _plain(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: {"value": one["value"]} for name, one in (values or {}).items()}


def _label(response: Mapping[str, Any]) -> object:
    return ((response.get("values") or {}).get(QUESTION) or {}).get("value")
