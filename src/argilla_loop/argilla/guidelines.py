"""Our section of the dataset's guidelines, which belong to people."""

from __future__ import annotations

from collections.abc import Callable

from argilla_loop.argilla.connection import Connection
from argilla_loop.argilla.schema import DatasetInfo
from argilla_loop.errors import RetryableError
from argilla_loop.policy.section import put

MAX_LENGTH = 10_000  # characters that Argilla takes (DATASET_GUIDELINES_MAX_LENGTH)


class NoRoomError(RetryableError):
    """People's guidelines leave no room for ours."""


class Guidelines:
    """The guidelines of one dataset.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        before_write: called before the one write; may raise to prevent it.
    """

    def __init__(
        self,
        connection: Connection,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
    ) -> None:
        self._connection, self._name, self._path = connection, info.name, f"/datasets/{info.id}"
        self._before_write = before_write

    def read(self) -> str:
        """All of them; empty where there are none."""
        dataset = self._connection.call("GET", self._path, where=f"dataset {self._name!r}")
        return dataset["guidelines"] or ""

    def show(self, body: str) -> bool:
        """Make ``body`` our section; whether that took a write.

        Argilla has no conditional write: what somebody saves between our read and our write, two requests apart, is
        lost. What is saved later is safe, and found by reading again.

        Raises:
            NoRoomError: they would become longer than Argilla takes; nothing was written.
            RetryableError: somebody else has written meanwhile, or Argilla is away.
        """
        before = self.read()
        after = put(before, body)
        if after == before:
            return False
        if len(after) > MAX_LENGTH:
            raise NoRoomError(
                f"the guidelines of dataset {self._name!r} leave no room for a notice ({len(after)} characters, "
                f"{MAX_LENGTH} at most): shorten them, or set notices = false"
            )
        self._before_write()
        self._connection.call("PATCH", self._path, where="the guidelines", json={"guidelines": after})
        if self.read() != after:
            raise RetryableError("the guidelines were changed by somebody else at the same moment")
        return True
