"""Which metadata annotators see: an audit is blind only while everything that would give it away is hidden."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress

from argilla_loop.argilla.protocol import Exposed
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import METADATA
from argilla_loop.errors import GoneError

# an audit is not blind if one of these is visible; the others are hidden only to keep the UI tidy
REVEALING = frozenset({"route", "prediction", "threshold", "held_back", "weight"})


class ArgillaVisibility:
    """``protocol.Visibility`` of one dataset.

    Args:
        connection: of an admin or owner.
        dataset_id: the dataset.
        before_write: called right before each write; if it raises, nothing is written.
    """

    def __init__(
        self, connection: Connection, dataset_id: str, *, before_write: Callable[[], object] = lambda: None
    ) -> None:
        self._connection, self._before_write = connection, before_write
        self._path = f"/me/datasets/{dataset_id}/metadata-properties"

    def exposed(self) -> list[Exposed]:
        """Return our properties that somebody has made visible to annotators.

        A property was visible since its last change at the latest, which is the time that Argilla keeps.

        Raises:
            GoneError: there is no such dataset.
            RetryableError, FatalError: see ``connection.translated``.
        """
        found = self._connection.call("GET", self._path, where="the dataset's metadata properties")["items"]
        return [
            Exposed(str(item["id"]), item["name"], str(item["updated_at"]), reveals=item["name"] in REVEALING)
            for item in found
            if item["visible_for_annotators"] and not METADATA.get(item["name"], ({}, True))[1]
        ]

    def hide(self, exposed: Collection[Exposed]) -> None:
        """Hide properties from annotators again; each is one row in the database, and no job.

        Raises:
            RetryableError, FatalError: see ``connection.translated``; some may be hidden already.
        """
        for one in exposed:
            self._before_write()
            with suppress(GoneError):  # deleted meanwhile, so that only admins see its values
                self._connection.call(
                    "PATCH",
                    f"/metadata-properties/{one.id}",
                    where=f"metadata property {one.name!r}",
                    json={"visible_for_annotators": False},
                )
