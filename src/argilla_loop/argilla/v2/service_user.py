"""Which user's service accepted a record: as the record says, or by the time of its answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from argilla_loop.argilla.v2.schema import QUESTION

# Seconds between storing a record and storing the answers of the same request, at most. Chosen, not measured.
TOGETHER = 30.0


def service_user_of(item: dict[str, Any], prediction: str | None) -> str | None:
    """Return the id of the user whose service accepted a record; ``None`` if it is not known.

    Earlier versions did not store it. Then it follows from the time: the service's answer comes in the same request as
    the record, and nobody can answer a record before it exists, so it is an answer as old as the record. If there are
    several (somebody was quick, or answers were copied with the records), it is the first one with the model's label.

    Args:
        item: an accepted record as the API gives it, with its responses.
        prediction: the model's label for it.
    """
    written = (item.get("metadata") or {}).get("service_user")
    if isinstance(written, str):
        return written
    made = _time(item.get("inserted_at"))
    together = [
        (
            given,
            str(response["user_id"]),
            response["status"] == "submitted" and _label(response) == prediction,
        )
        for response in item.get("responses") or ()
        if made is not None
        and (given := _time(response.get("inserted_at"))) is not None
        and (given - made).total_seconds() <= TOGETHER
    ]
    if len(together) > 1:
        together = [one for one in together if one[2]]
    return min(together)[1] if together else None


def _label(response: dict[str, Any]) -> object:
    return ((response.get("values") or {}).get(QUESTION) or {}).get("value")


def _time(stamp: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
    except ValueError:
        return None
