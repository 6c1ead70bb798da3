"""Two optimisations of argilla_server, applied in this process only.

argilla_server repeats two steps for each record, which take most of the time when many records are logged. The stored
data and the responses stay the same.
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
    """Apply the optimisations."""
    database.TypeAdapter = _adapter
    for module in (records_bulk, distribution, records, datasets):
        for name in ("notify_record_event_v1", "notify_response_event_v1"):
            if hasattr(module, name):
                setattr(module, name, _if_wanted(getattr(module, name)))


_adapters: dict[int, TypeAdapter[Any]] = {}


def _adapter(type_: Any) -> TypeAdapter[Any]:
    """Return a cached schema. The server compiles the schemas of question and metadata settings for each record."""
    # The key is the identity: the types live as long as the process, and not all of them are hashable.
    if id(type_) not in _adapters:
        _adapters[id(type_)] = TypeAdapter(type_)
    return _adapters[id(type_)]


def _if_wanted(notify: Callable[..., Awaitable[list[Any]]]) -> Callable[..., Awaitable[list[Any]]]:
    """Build an event's payload, which takes six queries a record, only if a webhook is subscribed to the event."""

    async def notify_if_wanted(db: AsyncSession, event: str, subject: Any) -> list[Any]:
        # Queried once for each session, which lasts for one request.
        wanted = db.info.get("argilla_loop_wanted_events")
        if wanted is None:
            wanted = {name for webhook in await webhooks.list_enabled_webhooks(db) for name in webhook.events}
            db.info["argilla_loop_wanted_events"] = wanted
        return await notify(db, event, subject) if str(event) in wanted else []

    return notify_if_wanted
