"""Errors by class: the class alone decides whether the service tries again or stops.

Every message says what is wrong and what to do about it, on one line.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import Self

_ACCESS_DENIED = frozenset({401, 403, 407})  # HTTP: unauthorized, forbidden, proxy authentication required


def collapse_whitespace(text: object) -> str:
    """Return ``text`` (or an error's message) on one line, each run of white space as a single space."""
    return " ".join(str(text).split())


def printable(text: str) -> str:
    """Return ``text`` on one line; characters that don't print, such as line ends, are escaped as Python does."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


class ArgillaLoopError(Exception):
    """Base of every error that argilla-loop raises on purpose; its message is one line, whatever it quotes."""

    def __str__(self) -> str:
        return printable(super().__str__())


class RetryableError(ArgillaLoopError):
    """Something outside is unavailable (server down, time-out, 5xx, 429): try again later, for ever.

    ``retry_after``: seconds that it asked for, if it did. ``cause``: one word, for counting.
    """

    retry_after: float = 0.0
    cause: str = "other"

    def because(self, cause: str) -> Self:
        """Set the cause and return the error."""
        self.cause = cause
        return self


class GoneError(RetryableError):
    """The dataset, or a part of it, no longer exists (deleted, server emptied): start again from the beginning."""

    cause = "gone"


class ForeignReplyError(RetryableError):
    """Something other than Argilla replied, such as a proxy; that says nothing about Argilla, so wait.

    ``status``: the HTTP status of the reply.
    """

    cause = "not_argilla"

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status

    @property
    def denies_access(self) -> bool:
        """Whether a proxy asks for a login of its own: the headers in the settings may have been rotated."""
        return self.status in _ACCESS_DENIED


class LeaseLostError(RetryableError):
    """Another service writes to this dataset now: nothing was written."""

    cause = "lease_lost"


class FatalError(ArgillaLoopError):
    """Waiting does not help (bad key, foreign schema, broken model): stop with ``exit_code``."""

    exit_code = 1


class OutputError(FatalError):
    """The output of a command cannot be written; ``reader_is_gone`` if its reader closed the pipe (``| head``)."""

    exit_code = 74  # sysexits' EX_IOERR

    def __init__(self, message: str, *, reader_is_gone: bool = False) -> None:
        super().__init__(message)
        self.reader_is_gone = reader_is_gone


class RejectedError(FatalError):
    """Argilla refuses the content of a request (400, 413, 422); ``detail`` is the full body of its reply."""

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail


class SettingsError(FatalError):
    """The settings are wrong; the message names the key, the value, and what would be right."""

    exit_code = 2


class CredentialsError(FatalError):
    """Argilla refuses the key, or its user lacks a permission."""

    exit_code = 3


class SchemaError(FatalError):
    """The working dataset exists, but its fields, questions or labels differ from the settings."""

    exit_code = 4


class PoolError(FatalError):
    """The pool cannot be read or holds no usable text."""

    exit_code = 5


class NoColumnError(PoolError):
    """The pool has no column of that name.

    Attributes:
        column: the name.
        available: the columns that it has.
    """

    def __init__(self, message: str, *, column: str, available: Sequence[str]) -> None:
        super().__init__(message)
        self.column, self.available = column, tuple(available)


class ModelError(FatalError):
    """The sentence-embedding model cannot be found, read or run."""

    exit_code = 6


class TrainingError(ArgillaLoopError):
    """The examples do not allow a classifier (fewer than two labels with enough examples)."""
