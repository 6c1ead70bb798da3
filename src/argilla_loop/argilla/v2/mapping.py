"""Records as Argilla's API writes them, from and to the types of ``domain``; no requests."""

from __future__ import annotations

from typing import Any

from argilla_loop.argilla.v2.markup import escape_markup, unescape_markup
from argilla_loop.argilla.v2.schema import COMMENT, FIELD, METADATA, QUESTION
from argilla_loop.argilla.v2.service_user import service_user_of
from argilla_loop.domain import Answer, LoggedRecord, NewRecord, Route
from argilla_loop.policy.text_keys import KEPT, kept_of

AGENT = "argilla-loop"  # of suggestions, before the model version
BY_MODEL = "model"


def payload_of(
    record: NewRecord, *, question_id: str, service_user_id: str, render_html: bool
) -> dict[str, Any]:
    """Return the item of a bulk upsert that logs ``record``."""
    payload: dict[str, Any] = {
        "external_id": record.id,
        "fields": {FIELD: record.text if render_html else escape_markup(record.text)},
        "metadata": _metadata_of(record, service_user_id),
    }
    if record.suggestion is not None:
        payload["suggestions"] = [
            {
                "question_id": question_id,
                "value": record.suggestion,
                "score": record.certainty,
                "agent": f"{AGENT}/{record.model}",
                "type": "model",
            }
        ]
    if record.route is Route.ACCEPT:
        values = {QUESTION: {"value": record.label}}
        payload["responses"] = [{"user_id": service_user_id, "status": "submitted", "values": values}]
    return payload


def rerouted_payload_of(record: NewRecord, item: dict[str, Any], logged: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a bulk upsert that routes an existing record anew.

    It has no text, so that Argilla refuses the item if the record was deleted meanwhile. The key of the text that the
    record was logged with stays, and so does the metadata of others.

    Args:
        record: what the record becomes.
        item: the record as the API gives it.
        logged: what ``payload_of`` gives for ``record``.
    """
    foreign = {name: value for name, value in (item.get("metadata") or {}).items() if name not in METADATA}
    ours = {name: value for name, value in logged["metadata"].items() if name != "text_key"}
    kept = {name: value for name, value in logged.items() if name != "fields"}
    return {**kept, "external_id": record.id, "metadata": {**foreign, **ours, **_first_text(item)}}


def plain_payload_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return the item of a bulk upsert that turns a record into a plain question; other metadata stays."""
    metadata = {
        name: value
        for name, value in (item.get("metadata") or {}).items()
        if name not in ("held_back", "weight")
    }
    return {"external_id": item["external_id"], "metadata": {**metadata, "route": Route.ASK.value}}


def record_of(item: dict[str, Any], *, question_id: str) -> LoggedRecord:
    """Return a record from the API's object, read with its responses and suggestions."""
    metadata = item.get("metadata") or {}
    ours = metadata.get("route") in {route.value for route in Route}
    if not ours:  # somebody else's metadata may have the same names
        metadata = {}
    suggestion = next(
        (s for s in item.get("suggestions") or () if str(s["question_id"]) == question_id), None
    )
    shown = _word(suggestion["value"]) if suggestion else None
    route = Route(metadata["route"]) if ours else None
    prediction = _word(metadata.get("prediction")) or (shown if ours else None)
    idx = metadata.get("idx")
    return LoggedRecord(
        id=str(item.get("external_id") or item["id"]),
        text=unescape_markup(str(item["fields"].get(FIELD) or "")),
        batch=idx if type(idx) is int else None,
        route=route,
        certainty=_number(metadata.get("certainty")),
        model=_word(metadata.get("model")),
        suggestion=shown,
        prediction=prediction,
        threshold=_number(metadata.get("threshold")),
        held_back=metadata.get("held_back") == "yes",
        weight=_number(metadata.get("weight")),
        answers=tuple(_answer_of(response) for response in item.get("responses") or ()),
        service_user=service_user_of(item, prediction) if route is Route.ACCEPT else None,
        text_key=_first_text(item).get("text_key") if ours else None,
        promise=_word(metadata.get("promise")),
        second_look_of=_word(metadata.get("second_look_of")),
    )


def _metadata_of(record: NewRecord, service_user_id: str) -> dict[str, Any]:
    accepted = record.route is Route.ACCEPT
    known = {
        "idx": record.batch,
        "route": record.route.value,
        "model": record.model,
        "certainty": record.certainty,
        "prediction": record.label,
        "threshold": record.threshold,
        "held_back": "yes" if record.held_back else None,
        "weight": record.weight if record.held_back else None,
        "validated_by": BY_MODEL if accepted else None,
        "service_user": service_user_id if accepted else None,
        "text_key": kept_of(record.text),
        "promise": record.promise if accepted else None,
        "second_look_of": record.second_look_of,
    }
    return {name: value for name, value in known.items() if value is not None}


def _first_text(item: dict[str, Any]) -> dict[str, int]:
    """Return the key of the text that a record was logged with, which somebody may have edited since."""
    key = (item.get("metadata") or {}).get("text_key")
    return {"text_key": key} if type(key) is int and 0 <= key < KEPT else {}


def _answer_of(response: dict[str, Any]) -> Answer:
    values = response.get("values") or {}
    value, comment = ((values.get(name) or {}).get("value") for name in (QUESTION, COMMENT))
    return Answer(
        user_id=str(response["user_id"]),
        status=response["status"],
        label=_word(value),
        updated_at=str(response["updated_at"]),
        comment=_word(comment),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _word(value: object) -> str | None:
    return value if isinstance(value, str) else None
