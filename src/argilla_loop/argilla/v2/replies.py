"""Whether a reply comes from Argilla, or from something in front of it: a proxy, an ingress, a login page.

Argilla replies in JSON. A success is an object with an ``id``, ``items``, a ``total`` or a ``version``; a refusal is
``{"detail": ...}`` or ``{"code": ..., "message": ...}`` (``argilla_server/errors``). Only a reply of that shape says
anything about keys, datasets and records. Any other reply is treated like a connection that was reset.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import httpx

CODE = "argilla.api.errors::"
MARKS = frozenset({"id", "items", "total", "version"})  # every object that we ask for has one of them
MAX_SERVER = 40  # characters of the Server header that are quoted; chosen, not measured
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
    """A success that is not Argilla's: the page of something else, or JSON of another shape."""


def is_refusal(status: int, body: str) -> bool:
    """Whether a reply with this status and body is a refusal by Argilla itself.

    It is stricter for 401 and 403, which end the service, and for 404, which means that the dataset was deleted.
    """
    said = _json(body)
    if not isinstance(said, dict) or said.keys() != {"detail"}:
        # two of its errors have another shape
        return isinstance(said, dict) and said.keys() == {"code", "message"} and status == _UNPROCESSABLE
    detail = said["detail"]
    if isinstance(detail, dict):
        return str(detail.get("code")).startswith(CODE)
    if isinstance(detail, list):  # FastAPI's own findings in a request
        return status == _UNPROCESSABLE
    if not isinstance(detail, str) or status in _BEFORE_A_KEY or _is_phrase(status, detail):
        return False  # any FastAPI application says "Not Found" of an unknown path
    return status != HTTPStatus.NOT_FOUND or "not found" in detail.lower()


def content_of(response: httpx.Response) -> dict[str, Any] | None:
    """Return the object in the body of a successful reply; ``None`` for the 204 of a deletion, which has no body.

    Raises:
        Foreign: it is not a reply of Argilla.
        ValueError: its content type is JSON and its body is cut short.
    """
    if response.status_code == HTTPStatus.NO_CONTENT:
        if response.request.method != "DELETE":  # Argilla replies to all other requests with an object
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
    """Describe in a few words who replied and the likely reason, without quoting the body.

    Only the host of an address in a redirect is shown, because the rest may hold a ticket.
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
