"""Our webhook at Argilla: registered, found again, switched and removed; and the check that an event is genuine."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook, WebhookVerificationError

from argilla_loop.argilla.protocol import Registration, Verdict
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.errors import CredentialsError, GoneError

EVENTS = ("response.created", "response.updated", "response.deleted")
SIGNED = frozenset(
    {"webhook-id", "webhook-timestamp", "webhook-signature"}
)  # headers of standardwebhooks.com
PAUSED = " (paused until it runs again)"  # appended to the description
OWNER = "owner"  # the only role that may manage webhooks in Argilla
# Ids of past events that are kept to recognise a replayed one; signatures expire after five minutes anyway. Chosen, not
# measured.
KEPT_IDS = 10_000


def description_of(workspace: str, dataset: str) -> str:
    """Return the description of our webhook of a dataset in Argilla, by which it is found again."""
    return f"argilla-loop: wakes the service of {workspace}/{dataset}"


def registered(connection: Connection, description: str) -> list[Registration]:
    """Return the webhooks with this description, paused or not, the oldest first.

    Raises:
        CredentialsError: the user is not an owner.
        RetryableError, FatalError: see ``connection.translated``.
    """
    items: Sequence[Mapping[str, Any]] = _call(connection, "GET", "/webhooks")["items"]
    ours = (description, description + PAUSED)
    return [_registration(item) for item in items if item["description"] in ours]


def ensure_registered(connection: Connection, url: str, description: str) -> Registration:
    """Return our webhook at ``url``, see ``webhook.Webhooks.ensure``.

    Args:
        connection: of an owner.
        url: where events are sent, as pydantic formats it.
        description: see ``description_of``.

    Raises:
        CredentialsError: the user is not an owner.
        RetryableError, FatalError: see ``connection.translated``; a server allows ten webhooks at most.
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
    """Disable our webhook until the next start, see ``webhook.Webhooks.pause``.

    Its description then says so, which distinguishes it from one that an operator disabled.

    Raises:
        CredentialsError: the user is not an owner.
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
    """Delete the webhooks with this description, at whatever address; return how many there were."""
    ours = registered(connection, description)
    for one in ours:
        _delete(connection, one)
    return len(ours)


def switch(connection: Connection, description: str, *, enabled: bool) -> int:
    """Enable or disable the webhooks with this description, at whatever address; return how many there are."""
    ours = registered(connection, description)
    changed = {"enabled": enabled, "description": description}
    for one in ours:
        _call(connection, "PATCH", f"/webhooks/{one.id}", json=changed)
    return len(ours)


def _delete(connection: Connection, one: Registration) -> None:
    try:
        _call(connection, "DELETE", f"/webhooks/{one.id}")
    except GoneError:
        return  # somebody else was faster


def _call(connection: Connection, method: str, path: str, **kwargs: Any) -> Any:
    if connection.role != OWNER:
        raise CredentialsError(
            f"the API key's user {connection.username!r} is {connection.role}, and only an owner may manage webhooks"
        )
    return connection.call(method, path, where="webhooks", **kwargs)


def _registration(item: Mapping[str, Any]) -> Registration:
    enabled, paused = bool(item["enabled"]), str(item["description"]).endswith(PAUSED)
    return Registration(item["id"], item["url"], tuple(item["events"]), enabled, item["secret"], paused)


class ArgillaWebhooks:
    """``webhook.Webhooks`` of one dataset.

    Args:
        connection: of an owner; for any other user every method raises ``CredentialsError``.
        workspace: name of the dataset's workspace.
        name: the dataset's name in the settings.
    """

    def __init__(self, connection: Connection, workspace: str, name: str) -> None:
        self._connection, self._description = connection, description_of(workspace, name)

    def ensure(self, url: str) -> Registration:
        """Return our webhook at ``url``; repair or create it."""
        return ensure_registered(self._connection, url, self._description)

    def judge(self, registration: Registration, dataset_id: str) -> SignatureJudge:
        """Return what judges the requests to a webhook."""
        return SignatureJudge(registration.secret, dataset_id)

    def pause(self, ours: Registration, *, alone: bool) -> bool:
        """Disable our webhook until the next start; return whether it was disabled."""
        return pause(self._connection, self._description, ours, alone=alone)

    def remove(self) -> int:
        """Delete the webhooks; return how many there were."""
        return remove(self._connection, self._description)

    def switch(self, *, enabled: bool) -> int:
        """Enable or disable the webhooks; return how many there are."""
        return switch(self._connection, self._description, enabled=enabled)


class SignatureJudge:
    """``webhook.Judge`` by the signature that Argilla sends; may be called by several threads.

    Args:
        secret: the webhook's secret, base64.
        dataset_id: the dataset.
    """

    def __init__(self, secret: str, dataset_id: str) -> None:
        self._key, self._dataset_id = secret, dataset_id
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def verdict(self, headers: Iterable[tuple[str, str]], body: bytes) -> Verdict:
        """Judge one request by its signature, then by its content; never raises.

        The signature follows standardwebhooks.com: HMAC-SHA256 over id, time and body, no older than five minutes. Each
        of its three headers must occur once: of two, one could be verified and the other be looked up.

        Args:
            headers: names in any case and values, repeated headers as often as they came.
            body: the bytes as they came.
        """
        signed = [(name.lower(), value) for name, value in headers if name.lower() in SIGNED]
        once = dict(signed)
        if len(signed) != len(SIGNED) or len(once) != len(SIGNED):
            return Verdict.FORGED
        try:
            Webhook(self._key).verify(body, once, json_parse=False)
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):  # broken base64, not UTF-8
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
