"""The connection to an Argilla server: who we are there, and what its errors mean for us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from argilla import Argilla
from argilla._exceptions import ArgillaAPIError, ArgillaCredentialsError, ArgillaError

from argilla_loop.errors import ArgillaLoopError, CredentialsError, FatalError, RetryableError

RETRYABLE_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
MAX_DETAIL = 300


class GoneError(RetryableError):
    """What we talked about is no longer there (dataset deleted, server emptied): look again from the start."""


class RejectedError(FatalError):
    """The server refuses the content of a request (422, 400, 409)."""


def _from_status(status: int, detail: str, where: str) -> ArgillaLoopError:
    detail = " ".join(detail.split())[:MAX_DETAIL]
    if status == httpx.codes.UNAUTHORIZED:
        return CredentialsError("Argilla refuses the API key: set api_key to the key of an existing user")
    if status == httpx.codes.FORBIDDEN:
        return CredentialsError(
            f"the API key's user may not do this ({where}): use an owner, or an admin who is in the workspace"
        )
    if status == httpx.codes.NOT_FOUND:
        return GoneError(f"Argilla knows nothing of {where}")
    if status in RETRYABLE_STATUS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return RetryableError(f"Argilla answers {status} to {where}")
    return RejectedError(f"Argilla rejects {where} ({status}): {detail}")


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn whatever the SDK or its HTTP client raises into our errors, by class."""
    try:
        yield
    except ArgillaLoopError:
        raise
    except httpx.HTTPStatusError as error:
        raise _from_status(error.response.status_code, error.response.text, where) from None
    except ArgillaCredentialsError:
        raise _from_status(401, "", where) from None
    except ArgillaAPIError as error:
        raise _from_status(error.status_code, str(error), where) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise FatalError(f"api_url is not an address that can be called: {error}") from None
    except httpx.HTTPError as error:  # refused, reset, time-out, TLS, broken body
        reason = str(error) or type(error).__name__
        raise RetryableError(f"Argilla cannot be reached for {where}: {reason}") from None
    except ArgillaError as error:
        raise RetryableError(f"Argilla's client failed on {where}: {error}") from None
    except ValueError as error:  # a truncated body is no JSON
        raise RetryableError(f"Argilla's answer to {where} cannot be read: {error}") from None


@dataclass(frozen=True)
class Connection:
    """An authenticated connection."""

    client: Argilla
    user_id: str
    username: str
    role: str
    server_version: str

    def call(self, method: str, path: str, *, where: str, **kwargs: Any) -> Any:
        """Send one request and return the decoded answer (``None`` where there is no body).

        The SDK's own HTTP client is used below its models where the SDK has no word for a thing (sorting, counting,
        one atomic upsert) or costs four times as long for it.

        Raises:
            RetryableError, FatalError: by the answer's status, see ``translated``.
        """
        with translated(where):
            response = self.client.http_client.request(method, f"/api/v1{path}", **kwargs)
            response.raise_for_status()
            return response.json() if response.content else None

    def close(self) -> None:
        """Close its sockets."""
        self.client.http_client.close()


def connect(
    api_url: str, api_key: str, *, headers: Mapping[str, str] | None = None, timeout: float = 60.0
) -> Connection:
    """Connect and find out who we are.

    Raises:
        RetryableError: the server cannot be reached.
        CredentialsError: it refuses the key.
        FatalError: there is something else at that address.
    """
    where = f"its status at {api_url}"
    with translated(where):
        client = Argilla(
            api_url=api_url.rstrip("/"),
            api_key=api_key,
            headers=dict(headers or {}),
            timeout=timeout,
            retries=0,  # trying again is the listener's business: it can be stopped, and it says so
        )
        me = client.http_client.get("/api/v1/me")
        me.raise_for_status()
        version = client.http_client.get("/api/v1/version")
        version.raise_for_status()
        try:
            user, server = me.json(), version.json()
            return Connection(client, user["id"], user["username"], user["role"], server["version"])
        except (ValueError, KeyError, TypeError):
            raise FatalError(f"what answers at {api_url} is not an Argilla 2 server: check api_url") from None
