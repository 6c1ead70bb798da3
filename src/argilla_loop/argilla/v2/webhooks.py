"""Our webhook at Argilla: registered, found again, switched, removed; and whether what arrives there is Argilla's.

An event is a hint to look now and nothing more: it may come late, twice, out of order or never, and what it says of a
record may be stale. So only two things are read of it: whether it is genuine, and whether it is about our dataset.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import httpx
from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from argilla_loop.argilla.v2.connection import Connection, GoneError
from argilla_loop.errors import CredentialsError

EVENTS = ("response.created", "response.updated", "response.deleted")
SIGNED = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature"}
)  # headers of standardwebhooks.com
PAUSED = " (paused until it runs again)"  # behind the description
OWNER = "owner"  # the only role that Argilla lets manage webhooks
KEPT_IDS = (
    10_000  # ids of past events, to know a replayed one by; the signature ends after five minutes anyway
)


@dataclass(frozen=True)
class Registration:
    """One webhook as Argilla holds it."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    secret: str = field(repr=False)
    paused: bool = False  # disabled by a service that ended, for the next one to enable; by nobody else


def description_of(workspace: str, dataset: str) -> str:
    """What our webhook of a dataset is described as in Argilla, which is how it is found again."""
    return f"argilla-loop: wakes the service of {workspace}/{dataset}"


def registered(connection: Connection, description: str) -> list[Registration]:
    """The webhooks of this description, paused or not, the oldest first.

    Raises:
        CredentialsError: only an owner may ask.
        RetryableError, FatalError: see ``connection.translated``.
    """
    items: Sequence[Mapping[str, Any]] = _call(connection, "GET", "/webhooks")["items"]
    ours = (description, description + PAUSED)
    return [_registration(item) for item in items if item["description"] in ours]


def ensure_registered(connection: Connection, url: str, description: str) -> Registration:
    """Our webhook at ``url``: the one that is there, put right where somebody changed its events, or a new one.

    One that was disabled stays so: somebody wanted it; one that was paused is enabled. Of several, which two services
    that start at once can make, the oldest stays.

    Args:
        connection: of an owner.
        url: where events are sent, written as pydantic writes it.
        description: see ``description_of``.

    Raises:
        CredentialsError: only an owner may.
        RetryableError, FatalError: see ``connection.translated``; a server takes ten webhooks at most.
    """
    ours = [one for one in registered(connection, description) if one.url == url]
    for extra in ours[1:]:
        _delete(connection, extra)
    if not ours:
        made = {"url": url, "events": list(EVENTS), "description": description}
        return _registration(_call(connection, "POST", "/webhooks", json=made))
    changed: dict[str, Any] = {}
    if set(ours[0].events) != set(EVENTS):
        changed["events"] = list(EVENTS)
    if ours[0].paused:
        changed |= {"enabled": True, "description": description}
    if changed:
        return _registration(_call(connection, "PATCH", f"/webhooks/{ours[0].id}", json=changed))
    return ours[0]


def pause(connection: Connection, description: str, ours: Registration, *, alone: bool) -> bool:
    """Disable our webhook until the next start, so that Argilla keeps nothing for a service that has ended.

    Its description says so, which is how it differs from one that an operator disabled.

    Args:
        connection: of an owner.
        description: see ``description_of``.
        ours: the one we received by.
        alone: whether nobody else can be receiving by it. Otherwise it is left where no other of the dataset is
            enabled: a service that writes may be behind the same address.

    Returns:
        Whether it was paused; one that is disabled or gone is left as it is.

    Raises:
        CredentialsError: only an owner may.
        RetryableError, FatalError: see ``connection.translated``.
    """
    there = registered(connection, description)
    if not any(one.id == ours.id and one.enabled for one in there):
        return False
    if not alone and not any(one.enabled and one.url != ours.url for one in there):
        return False
    changed = {"enabled": False, "description": description + PAUSED}
    _call(connection, "PATCH", f"/webhooks/{ours.id}", json=changed)
    return True


def remove(connection: Connection, description: str) -> int:
    """Delete the webhooks of this description, at whatever address; returns how many there were."""
    ours = registered(connection, description)
    for one in ours:
        _delete(connection, one)
    return len(ours)


def switch(connection: Connection, description: str, *, enabled: bool) -> int:
    """Enable or disable the webhooks of this description, at whatever address; returns how many there are.

    A paused one is not paused any more: what an operator says holds until an operator says otherwise.
    """
    ours = registered(connection, description)
    changed = {"enabled": enabled, "description": description}
    for one in ours:
        _call(connection, "PATCH", f"/webhooks/{one.id}", json=changed)
    return len(ours)


def _delete(connection: Connection, one: Registration) -> None:
    try:
        _call(connection, "DELETE", f"/webhooks/{one.id}")
    except GoneError:
        return  # somebody else was first


def _call(connection: Connection, method: str, path: str, **kwargs: Any) -> Any:
    if connection.role != OWNER:
        raise CredentialsError(
            f"the API key's user {connection.username!r} is {connection.role}, and only an owner may manage webhooks"
        )
    return connection.call(method, path, where="webhooks", **kwargs)


def _registration(item: Mapping[str, Any]) -> Registration:
    enabled, paused = bool(item["enabled"]), str(item["description"]).endswith(PAUSED)
    return Registration(item["id"], item["url"], tuple(item["events"]), enabled, item["secret"], paused)


class Verdict(str, Enum):
    """What became of a request to the webhook's address."""

    WAKES = "wakes"
    OTHER_DATASET = "other_dataset"
    OTHER_EVENT = "other_event"  # such as Argilla's ping
    REPLAYED = "replayed"
    FORGED = "forged"  # or signed with a secret that is no longer ours, or longer than five minutes ago
    TOO_BIG = "too_big"
    MALFORMED = "malformed"

    @property
    def status(self) -> httpx.codes:
        """The HTTP status that answers it; what is genuine is 200 whatever it is about, else Argilla sends it again."""
        return _STATUS.get(self, httpx.codes.OK)


_STATUS = {
    Verdict.FORGED: httpx.codes.UNAUTHORIZED,
    Verdict.TOO_BIG: httpx.codes.REQUEST_ENTITY_TOO_LARGE,
    Verdict.MALFORMED: httpx.codes.BAD_REQUEST,
}


class Judge:
    """Tells genuine events of one dataset from all else; may be asked by several threads.

    Args:
        secret: of the webhook, base64.
        dataset_id: the dataset's.
    """

    def __init__(self, secret: str, dataset_id: str) -> None:
        self._key, self._dataset_id = secret, dataset_id
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def verdict(self, headers: Iterable[tuple[str, str]], body: bytes) -> Verdict:
        """Judge one request by its signature, then by its content.

        The signature is that of standardwebhooks.com: HMAC-SHA256 over id, time and body, no older than five minutes.
        Each of its three headers is there once: of two, one could be verified and the other be looked up.

        Args:
            headers: all of them, by name in any case and value, repeated ones as often as they came.
            body: as it came.
        """
        signed = [(name.lower(), value) for name, value in headers if name.lower() in SIGNED]
        once = dict(signed)
        if len(signed) != len(SIGNED) or len(once) != len(SIGNED):
            return Verdict.FORGED
        try:
            Webhook(self._key).verify(body, once, json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):  # broken base64, no UTF-8
            return Verdict.FORGED
        if self._was_seen(once["webhook-id"]):
            return Verdict.REPLAYED
        try:
            event = json.loads(body)
            kind = event["type"]
            if kind not in EVENTS:
                return Verdict.OTHER_EVENT
            about = event["data"]["record"]["dataset"]["id"]
        except (ValueError, LookupError, TypeError, RecursionError):
            return Verdict.MALFORMED
        return Verdict.WAKES if about == self._dataset_id else Verdict.OTHER_DATASET

    def _was_seen(self, event_id: str) -> bool:
        with self._lock:
            if event_id in self._seen:
                return True
            self._seen[event_id] = None
            if len(self._seen) > KEPT_IDS:
                self._seen.popitem(last=False)
            return False
