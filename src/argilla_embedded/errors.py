"""The error that the embedded server raises on purpose."""

from __future__ import annotations


class EmbeddedServerError(Exception):
    """The server cannot start or cannot be used; the message is one line and says what to do about it."""

    exit_code = 1  # of `python -m argilla_embedded`

    def __str__(self) -> str:
        # A path may contain line breaks: escape whatever is not printable.
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in super().__str__())
