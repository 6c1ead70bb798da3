"""Whether a reply is Argilla's own, or that of something in front of it: a proxy, an ingress, a login page.

Argilla answers in JSON. A success is an object with an ``id``, ``items``, a ``total`` or a ``version``; a refusal is
``{"detail": ...}`` or ``{"code": ..., "message": ...}`` (``argilla_server/errors``). Only what has that shape says
anything about keys, datasets and records. What an intermediary says is no better than a connection that was reset.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

CODE = "argilla.api.errors::"
MARKS = frozenset({"id", "items", "total", "version"})  # one of them is in every object that we ask for
MAX_SERVER = 40  # characters of the Server header that are quoted
_UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
_BEFORE_A_KEY = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_HINTS = {
    HTTPStatus.UNAUTHORIZED: "a proxy that wants a login of its own: set headers, or let us through",
    HTTPStatus.FORBIDDEN: "a firewall, or a proxy that wants a login of its own: set headers, or let us through",
    HTTPStatus.PROXY_AUTHENTICATION_REQUIRED: "a proxy that wants a login of its own: set headers",
    HTTPStatus.NOT_FOUND: "an ingress without a backend, or a path that api_url should not have or lacks",
    HTTPStatus.MISDIRECTED_REQUEST: "a proxy that expects another host name",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "a limit for the size of requests: raise it, or set a smaller slice_size",
}


class Foreign(ValueError):  # noqa: N818  a finding, which ``connection`` turns into an error
    """A success that is none: another's page, or JSON that is not what was asked."""


def is_refusal(status: int, body: str) -> bool:
    """Whether an answer of this ``status`` with this ``body`` is a refusal by Argilla itself.

    Stricter where more hangs on it: 401 and 403 end the service, and 404 makes it take its dataset for deleted.
    """
    said = _json(body)
    if not isinstance(said, dict) or said.keys() != {"detail"}:
        # two of its errors are written otherwise
        return isinstance(said, dict) and said.keys() == {"code", "message"} and status == _UNPROCESSABLE
    detail = said["detail"]
    if isinstance(detail, dict):
        return str(detail.get("code")).startswith(CODE)
    if isinstance(detail, list):  # FastAPI's own findings in a request
        return status == _UNPROCESSABLE
    if not isinstance(detail, str) or status in _BEFORE_A_KEY or _is_phrase(status, detail):
        return False  # "Not Found" is what any FastAPI says of a path that it does not know
    return status != HTTPStatus.NOT_FOUND or "not found" in detail.lower()


def content_of(response: httpx.Response) -> dict[str, Any] | None:
    """The object that a successful answer holds; ``None`` for a deletion's 204, which has none.

    Raises:
        Foreign: it is none of Argilla's.
        ValueError: it calls itself JSON and is cut short.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        if response.request.method != "DELETE":  # Argilla answers all else with an object
            raise Foreign
        return None
    try:
        said = response.json()
    except (ValueError, RecursionError) as error:
        if response.content and "json" in response.headers.get("Content-Type", ""):
            raise ValueError(f"it is not JSON: {error}") from None
        raise Foreign from None
    if not isinstance(said, dict) or not MARKS & said.keys():
        raise Foreign
    if not isinstance(said.get("items", []), list):
        raise Foreign
    return said


def described(response: httpx.Response) -> str:
    """Who answers, and the likely reason, in a few words without anything of the body.

    Of an address that it redirects to only the host is told, as the rest may hold a ticket.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip() or "without a content type"
    by = response.headers.get("Server", "")[:MAX_SERVER]
    said = f"{response.status_code}, {kind}" + (f", by {by!r}" if by else "")
    return f"{said}; {_hint(response)}"


def _hint(response: httpx.Response) -> str:
    to = _origin(response.headers.get("Location", ""))
    if response.is_redirect:
        return f"it redirects to {to or 'another path'}: set api_url to where Argilla is, or let us through"
    if response.is_success:
        return "perhaps a login page, or api_url is wrong"
    if response.status_code in _HINTS:
        return f"perhaps {_HINTS[HTTPStatus(response.status_code)]}"
    return "perhaps a proxy in front of Argilla, or api_url is wrong"


def _origin(location: str) -> str:
    try:
        parts = urlsplit(location)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.scheme and parts.hostname else ""


def _is_phrase(status: int, detail: str) -> bool:
    try:
        return detail == HTTPStatus(status).phrase
    except ValueError:
        return False


def _json(body: str) -> object:
    try:
        said: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said
