"""Spares argilla_server two things that it does anew for each record, in this process only.

Together they take most of the time of logging many records. What it stores and answers is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from argilla_server.bulk import records_bulk
from argilla_server.contexts import datasets, distribution, records, webhooks
from argilla_server.models import database
from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncSession


def install() -> None:
    """Put the quicker ways in place."""
    database.TypeAdapter = _adapter
    for module in (records_bulk, distribution, records, datasets):
        for name in ("notify_record_event_v1", "notify_response_event_v1"):
            if hasattr(module, name):
                setattr(module, name, _if_wanted(getattr(module, name)))


_adapters: dict[int, TypeAdapter[Any]] = {}


def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Compile a schema once; the server compiles those of question and metadata settings for each record."""
    # By identity: the types are the server's own, which live as long as the process, and not all can be hashed.
    if id(type_) not in _adapters:
        _adapters[id(type_)] = TypeAdapter(type_)
    return _adapters[id(type_)]


def _if_wanted(notify: Callable[..., Awaitable[list[Any]]]) -> Callable[..., Awaitable[list[Any]]]:
    """Build an event's payload (six queries a record) only if a webhook wants it; the server always does."""

    async def notify_if_wanted(db: AsyncSession, event: str, subject: Any) -> list[Any]:
        # Asked once for each session, which lives as long as one request.
        wanted = db.info.get("argilla_loop_wanted_events")
        if wanted is None:
            wanted = {name for webhook in await webhooks.list_enabled_webhooks(db) for name in webhook.events}
            db.info["argilla_loop_wanted_events"] = wanted
        return await notify(db, event, subject) if str(event) in wanted else []

    return notify_if_wanted
