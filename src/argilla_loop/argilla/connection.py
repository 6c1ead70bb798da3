"""The connection to an Argilla server: who we are there, and what its errors mean for us."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from argilla import Argilla
from argilla._exceptions import ArgillaAPIError, ArgillaCredentialsError, ArgillaError

from argilla_loop.errors import ArgillaLoopError, CredentialsError, FatalError, RetryableError, SettingsError

# 409: somebody else was first, so the world has changed: look again
RETRYABLE_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CAUSES = {408: "timeout", 409: "conflict", 425: "rate_limited", 429: "rate_limited", 504: "timeout"}
MAX_DETAIL = 300


class GoneError(RetryableError):
    """What we talked about is no longer there (dataset deleted, server emptied): look again from the start."""

    cause = "gone"


class RejectedError(FatalError):
    """The server refuses the content of a request (422, 413, 400); ``detail`` is what it says, in full."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


def _one_line(text: object) -> str:
    return " ".join(str(text).split())


def _seconds(retry_after: str) -> float:
    """Seconds of a Retry-After header (RFC 9110); one that names a time of day is left to our own pauses."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _from_status(status: int, detail: str, where: str) -> ArgillaLoopError:
    said = _one_line(detail)[:MAX_DETAIL]
    if status == httpx.codes.UNAUTHORIZED:
        return CredentialsError("Argilla refuses the API key: set api_key to the key of an existing user")
    if status == httpx.codes.FORBIDDEN:
        return CredentialsError(
            f"the API key's user may not do this ({where}): use an owner, or an admin who is in the workspace"
        )
    if status == httpx.codes.NOT_FOUND:
        return GoneError(f"Argilla knows nothing of {where}")
    if status in RETRYABLE_STATUS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return RetryableError(f"Argilla answers {status} to {where}").because(
            _CAUSES.get(status, "server_error")
        )
    return RejectedError(f"Argilla rejects {where} ({status}): {said}", detail)


def _unreached(error: httpx.HTTPError, where: str) -> RetryableError:
    reason = _one_line(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        reason += ": renew its certificate, or set ca_file to the PEM file of the authority that signed it"
    cause = "timeout" if isinstance(error, httpx.TimeoutException) else "unreachable"
    return RetryableError(f"Argilla cannot be reached for {where}: {reason}").because(cause)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn whatever the SDK or its HTTP client raises into our errors, by class."""
    try:
        yield
    except ArgillaLoopError:
        raise
    except httpx.HTTPStatusError as error:
        raised = _from_status(error.response.status_code, error.response.text, where)
        if isinstance(raised, RetryableError):
            raised.retry_after = _seconds(error.response.headers.get("Retry-After", ""))
        raise raised from None
    except ArgillaCredentialsError:
        raise _from_status(401, "", where) from None
    except ArgillaAPIError as error:
        raise _from_status(error.status_code, str(error), where) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise FatalError(f"api_url is not an address that can be called: {_one_line(error)}") from None
    except httpx.HTTPError as error:  # refused, reset, time-out, TLS, broken body
        raise _unreached(error, where) from None
    except ArgillaError as error:
        raise RetryableError(f"Argilla's client failed on {where}: {_one_line(error)}") from None
    except ValueError as error:  # a truncated body is no JSON
        raise RetryableError(f"Argilla's answer to {where} cannot be read: {_one_line(error)}").because(
            "unreadable"
        ) from None


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
    api_url: str,
    api_key: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    ca_file: Path | None = None,
) -> Connection:
    """Connect and find out who we are.

    Args:
        api_url: address of the server.
        api_key: of our user.
        headers: sent with every request.
        timeout: seconds that an answer may take.
        ca_file: certificates to trust instead of the public authorities', in PEM.

    Raises:
        SettingsError: ``ca_file`` cannot be read.
        RetryableError: the server cannot be reached.
        CredentialsError: it refuses the key.
        FatalError: there is something else at that address.
    """
    where = f"its status at {api_url}"
    trusted: Any = _trusting(ca_file) if ca_file else True
    base, extra = api_url.rstrip("/"), dict(headers or {})
    with translated(where):
        version = _version(base, extra, timeout, trusted)
        # asked before there is a client: the SDK's leaves its socket open where the key is refused
        who = {**extra, "X-Argilla-Api-Key": api_key}
        me = httpx.get(f"{base}/api/v1/me", headers=who, timeout=timeout, verify=trusted)
        user = me.raise_for_status().json()
        client = Argilla(
            api_url=base,
            api_key=api_key,
            headers=extra,
            timeout=timeout,
            verify=trusted,
            retries=0,  # trying again is the listener's business: it can be stopped, and it says so
        )
        return Connection(client, user["id"], user["username"], user["role"], version)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            f"ca_file {str(ca_file)!r} cannot be used ({reason}): give the PEM file of Argilla's authority"
        ) from None


def _version(base: str, headers: dict[str, str], timeout: float, trusted: Any) -> str:
    """Version of the server, asked for without a key: what is no Argilla 2 server is found before the SDK trips."""
    answer = httpx.get(f"{base}/api/v1/version", headers=headers, timeout=timeout, verify=trusted)
    if answer.is_redirect:
        raise FatalError(
            f"{base} redirects to {answer.headers.get('location', 'elsewhere')}: set api_url to where it leads"
        )
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise CredentialsError(
            f"what stands in front of {base} lets nobody in ({answer.status_code}): set headers "
            "(a private Hugging Face Space wants Authorization)"
        )
    if answer.status_code != httpx.codes.NOT_FOUND:
        answer.raise_for_status()
    try:
        return str(answer.json()["version"])
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, ValueError) and "json" in answer.headers.get("Content-Type", ""):
            raise RetryableError(f"Argilla's answer at {base} was cut short").because("unreadable") from None
        raise FatalError(f"what answers at {base} is not an Argilla 2 server: check api_url") from None
