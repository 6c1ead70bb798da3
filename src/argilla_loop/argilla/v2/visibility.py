"""Which metadata annotators see: an audit is blind only while what would give it away is hidden from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from argilla_loop.argilla.v2.connection import Connection, GoneError
from argilla_loop.argilla.v2.schema import METADATA

# that one of them is seen takes the blindness from audits; the others are hidden for the sake of tidiness
TELLING = frozenset({"route", "prediction", "threshold", "held_back"})


@dataclass(frozen=True, slots=True)
class Exposed:
    """A metadata property of ours that annotators see, and should not."""

    id: str
    name: str
    since: str  # ISO 8601, the server's time: it was changed last then, so it has been visible since then at least

    @property
    def tells(self) -> bool:
        """Whether it tells annotators what an audit must not."""
        return self.name in TELLING


def exposed_in(connection: Connection, dataset_id: str) -> list[Exposed]:
    """The properties of ours that somebody has made visible to annotators.

    Raises:
        GoneError: there is no such dataset.
        RetryableError, FatalError: see ``connection.translated``.
    """
    path = f"/me/datasets/{dataset_id}/metadata-properties"
    return [
        Exposed(str(item["id"]), item["name"], str(item["updated_at"]))
        for item in connection.call("GET", path, where="the dataset's metadata properties")["items"]
        if item["visible_for_annotators"] and not METADATA.get(item["name"], ({}, True))[1]
    ]


def hide(
    connection: Connection, exposed: Iterable[Exposed], *, before_write: Callable[[], object] = lambda: None
) -> None:
    """Hide them from annotators again; one row in the database each, no job.

    Raises:
        RetryableError, FatalError: see ``connection.translated``; some may be hidden by then.
    """
    for one in exposed:
        before_write()
        with suppress(GoneError):  # deleted meanwhile: then nobody but admins sees it
            connection.call(
                "PATCH",
                f"/metadata-properties/{one.id}",
                where=f"metadata property {one.name!r}",
                json={"visible_for_annotators": False},
            )
