"""The connection to an Argilla server: the user that we are, and the errors that its replies become."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from argilla import Argilla
from argilla._exceptions import ArgillaError

from argilla_loop.argilla.v2.replies import Foreign, content_of, described, is_refusal
from argilla_loop.errors import (
    ArgillaLoopError,
    CredentialsError,
    FatalError,
    ForeignReplyError,
    GoneError,
    RejectedError,
    RetryableError,
    SettingsError,
    collapse_whitespace,
)

# 409: somebody else was faster, so the state has changed: look again
RETRYABLE_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_CAUSES = {408: "timeout", 409: "conflict", 425: "rate_limited", 429: "rate_limited", 504: "timeout"}
MAX_DETAIL = 300  # characters of a refusal that are quoted in one line; chosen, not measured


class _Answer(dict[str, Any]):
    """A reply of Argilla; a missing key means that something else has replied."""

    def __init__(self, content: dict[str, Any], where: str) -> None:
        super().__init__(content)
        self._where = where

    def __missing__(self, key: str) -> Any:
        raise ForeignReplyError(f"what answers to {self._where} is not Argilla: its JSON has no {key!r}", 200)


def _seconds(retry_after: str) -> float:
    """Return the seconds of a Retry-After header (RFC 9110); 0 if it names a time of day, which is not supported."""
    return float(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0.0


def _foreign(response: httpx.Response, where: str) -> ForeignReplyError:
    return ForeignReplyError(
        f"what answers to {where} is not Argilla ({collapse_whitespace(described(response))})",
        response.status_code,
    )


def _from_response(response: httpx.Response, where: str) -> ArgillaLoopError:
    """Return the error for a reply that is not a success; only Argilla's own refusals are final."""
    status, detail = response.status_code, response.text
    if status in RETRYABLE_STATUS or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        error: ArgillaLoopError = RetryableError(f"Argilla answers {status} to {where}").because(
            _CAUSES.get(status, "server_error")
        )
    elif not is_refusal(status, detail):
        error = _foreign(response, where)
    elif status == httpx.codes.UNAUTHORIZED:
        error = CredentialsError("Argilla refuses the API key: set api_key to the key of an existing user")
    elif status == httpx.codes.FORBIDDEN:
        error = CredentialsError(
            f"the API key's user may not do this ({where}): use an owner, or an admin who is in the workspace"
        )
    elif status == httpx.codes.NOT_FOUND:
        error = GoneError(f"Argilla knows nothing of {where}")
    else:
        said = collapse_whitespace(detail)[:MAX_DETAIL]
        error = RejectedError(f"Argilla rejects {where} ({status}): {said}", detail)
    if isinstance(error, RetryableError):
        error.retry_after = _seconds(response.headers.get("Retry-After", ""))
    return error


def _response_of(error: BaseException) -> httpx.Response | None:
    """Return the reply that an error of the SDK was made from; the error itself has no headers."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, httpx.HTTPStatusError):
            return cause.response
        cause = cause.__cause__ or cause.__context__
    return None


def _unreached(error: httpx.HTTPError, where: str) -> RetryableError:
    reason = collapse_whitespace(error) or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        reason += ": renew its certificate, or set ca_file to the PEM file of the authority that signed it"
    cause = "timeout" if isinstance(error, httpx.TimeoutException) else "unreachable"
    return RetryableError(f"Argilla cannot be reached for {where}: {reason}").because(cause)


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Translate whatever the SDK or its HTTP client raises into our errors.

    Raises:
        RetryableError: Argilla is away or busy; by subclass, what was asked for is gone, or something else replied.
        FatalError: Argilla refuses; by subclass, the key or the content of the request.
    """
    try:
        yield
    except ArgillaLoopError:
        raise
    except httpx.HTTPStatusError as error:
        raise _from_response(error.response, where) from None
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise FatalError(
            f"api_url is not an address that can be called: {collapse_whitespace(error)}"
        ) from None
    except httpx.HTTPError as error:  # refused, reset, time-out, TLS, broken body
        raise _unreached(error, where) from None
    except ArgillaError as error:
        response = _response_of(error)
        if response is not None:
            raise _from_response(response, where) from None
        raise RetryableError(f"Argilla's client failed on {where}: {collapse_whitespace(error)}") from None
    except ValueError as error:  # a truncated body is not JSON
        raise RetryableError(
            f"Argilla's answer to {where} cannot be read: {collapse_whitespace(error)}"
        ).because("unreadable") from None


@dataclass(frozen=True)
class Connection:
    """An authenticated connection.

    Attributes:
        client: the SDK's client.
        user_id: id of the key's user.
        username: name of that user.
        role: ``owner``, ``admin`` or ``annotator``.
        server_version: as Argilla reports it.
        question_ids: ids of label questions by dataset id, as far as they are known; see ``schema.question_id_of``.
    """

    client: Argilla
    user_id: str
    username: str
    role: str
    server_version: str
    question_ids: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    def call(self, method: str, path: str, *, where: str, **kwargs: Any) -> Any:
        """Send one request and return the decoded reply (``None`` for a 204, which has no body).

        It uses the SDK's HTTP client below the SDK's models, because the models lack some operations (sorting,
        counting, one atomic upsert) and take four times as long for others.

        Raises:
            RetryableError, FatalError: by the reply's status, see ``translated``.
        """
        with translated(where):
            response = self.client.http_client.request(method, f"/api/v1{path}", **kwargs)
            return _content(response, where)

    def close(self) -> None:
        """Close the sockets."""
        self.client.http_client.close()


def _content(response: httpx.Response, where: str) -> _Answer | None:
    """Return the body of Argilla's reply.

    Raises:
        httpx.HTTPStatusError: the reply is not a success. Redirects are not followed, because the key would be sent on.
        ForeignReplyError: something other than Argilla replied.
        ValueError: the body was cut short.
    """
    response.raise_for_status()
    try:
        content = content_of(response)
    except Foreign:
        raise _foreign(response, where) from None
    return None if content is None else _Answer(content, where)


def connect(
    api_url: str,
    api_key: str,
    *,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
    ca_file: Path | None = None,
) -> Connection:
    """Connect, and ask which user the key belongs to.

    Args:
        api_url: address of the server.
        api_key: key of our user.
        headers: sent with every request.
        timeout: seconds that a reply may take.
        ca_file: certificates to trust instead of those of the public authorities, in PEM.

    Raises:
        SettingsError: ``ca_file`` cannot be read.
        RetryableError: the server cannot be reached.
        ForeignReplyError: something else replies: the address is wrong, or a proxy replies for the moment.
        CredentialsError: Argilla refuses the key.
        FatalError: ``api_url`` is not a valid address.
    """
    where = f"its status at {api_url}"
    trusted: Any = _trusting(ca_file) if ca_file else True
    base, extra = api_url.rstrip("/"), dict(headers or {})
    with translated(where):
        # sent without the key, which nothing but Argilla may get
        answer = httpx.get(f"{base}/api/v1/version", headers=extra, timeout=timeout, verify=trusted)
        version = str(_known(answer, where)["version"])
        # asked before there is a client, because the SDK's leaves its socket open if the key is refused
        who = {**extra, "X-Argilla-Api-Key": api_key}
        me = httpx.get(f"{base}/api/v1/me", headers=who, timeout=timeout, verify=trusted)
        user = _known(me, where)
        user_id, username, role = str(user["id"]), str(user["username"]), str(user["role"])
        client = Argilla(
            api_url=base,
            api_key=api_key,
            headers=extra,
            timeout=timeout,
            verify=trusted,
            retries=0,  # the listener tries again: it can be stopped, and it logs every failure
        )
        return Connection(client, user_id, username, role, version)


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except (OSError, ssl.SSLError) as error:
        reason = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise SettingsError(
            f"ca_file {str(ca_file)!r} cannot be used ({reason}): give the PEM file of Argilla's authority"
        ) from None


def _known(response: httpx.Response, where: str) -> _Answer:
    content = _content(response, where)
    if content is None:
        raise _foreign(response, where)
    return content
