"""Whose service validated an accepted record: as it is written beside it, or by when its answers were given."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from argilla_loop.argilla.v2.schema import QUESTION

TOGETHER = 30.0  # seconds that one request may lie between storing a record and storing the answers that came with it


def service_user_of(item: dict[str, Any], prediction: str | None) -> str | None:
    """Id of the user whose service accepted a record; ``None`` where that is not known.

    Earlier versions did not write it down. There it is told by time: the service's answer comes in the same request as
    the record, and nobody can answer a record before it is there. So it is an answer as old as the record. Where there
    are several (somebody was quick, or answers were copied along with records) it is the first of those that say what
    the model said.

    Args:
        item: an accepted record as the API gives it, with its responses.
        prediction: what the model said of it.
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
