"""Webhooks as the service sees them: how they are registered, and what becomes of the requests that arrive.

An event only tells the service to look now. It may be late, repeated, out of order or lost, and what it says about a
record may be stale. So two things are read from it: whether it is genuine, and whether it is about our dataset.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Protocol


@dataclass(frozen=True)
class Registration:
    """One webhook as the server holds it.

    Attributes:
        id: the webhook's id.
        url: the address that receives events.
        events: names of the events that are sent.
        enabled: whether events are sent now.
        secret: signs the events.
        paused: whether a service disabled it when it ended, for the next start to enable; never set by an operator.
    """

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    secret: str = field(repr=False)
    paused: bool = False


class Verdict(str, Enum):
    """What a request to the webhook's address turned out to be."""

    WAKES = "wakes"
    OTHER_DATASET = "other_dataset"
    OTHER_EVENT = "other_event"  # such as a ping
    REPLAYED = "replayed"
    FORGED = "forged"  # or signed with a former secret, or signed too long ago
    TOO_BIG = "too_big"
    MALFORMED = "malformed"

    @property
    def status(self) -> HTTPStatus:
        """The HTTP status of the reply: 200 for every genuine event, so that the server does not send it again."""
        return _STATUS.get(self, HTTPStatus.OK)


_STATUS = {
    Verdict.FORGED: HTTPStatus.UNAUTHORIZED,
    Verdict.TOO_BIG: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Verdict.MALFORMED: HTTPStatus.BAD_REQUEST,
}


class Judge(Protocol):
    """Distinguishes genuine events of one dataset from all other requests; may be called by several threads."""

    def verdict(self, headers: Iterable[tuple[str, str]], body: bytes) -> Verdict:
        """Judge one request by its signature, then by its content; never raises.

        Args:
            headers: names in any case and values, repeated headers as often as they came.
            body: the bytes as they came.
        """


class Webhooks(Protocol):
    """The webhooks that wake the service of one dataset, at whatever address.

    Every method raises ``CredentialsError`` if the user may not manage webhooks, and the errors that
    ``argilla.protocol`` lists.
    """

    def ensure(self, url: str) -> Registration:
        """Return our webhook at ``url``: the existing one, repaired if somebody changed its events, or a new one.

        A disabled webhook stays disabled, because an operator wanted that; a paused one is enabled. If there are
        several, which two services that start at the same moment can create, only the oldest is kept.
        """

    def judge(self, registration: Registration, dataset_id: str) -> Judge:
        """Return what judges the requests to a webhook; it sends no request itself."""

    def pause(self, ours: Registration, *, alone: bool) -> bool:
        """Disable our webhook until the next start, so that the server keeps no events for a service that has ended.

        Args:
            ours: the webhook that this service received by.
            alone: whether no other service can be receiving by it. If one can, it is paused only where another
                webhook of the dataset is enabled, because the service that writes may be behind the same address.

        Returns:
            Whether it was paused; one that is disabled or gone is left as it is.
        """

    def remove(self) -> int:
        """Delete the webhooks; return how many there were."""

    def switch(self, *, enabled: bool) -> int:
        """Enable or disable the webhooks; return how many there are.

        A paused webhook is no longer paused afterwards: what an operator sets holds until an operator changes it.
        """
