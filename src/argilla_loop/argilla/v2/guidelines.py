"""The section that earlier versions kept in the dataset's guidelines, which belong to people: taken out, once."""

from __future__ import annotations

from collections.abc import Callable

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import DatasetInfo
from argilla_loop.policy.section import without


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

    def remove_section(self) -> bool:
        """Take our section out, where there is one; whether that took a write.

        The write is dear: at any change of a dataset the server goes through all of its answered records. So it is done
        once, and never where nothing of ours is there.

        Raises:
            RetryableError: Argilla is away.
        """
        before = self._connection.call("GET", self._path, where=f"dataset {self._name!r}")["guidelines"] or ""
        after = without(before)
        if after == before:
            return False
        self._before_write()
        # Argilla takes no empty text; null is none at all
        body = {"guidelines": after or None}
        self._connection.call("PATCH", self._path, where="the guidelines", json=body)
        return True
