"""Which dataset is the working one: that with the name in the settings, or the one that had it before it was renamed.

A dataset carries the name that the settings gave it at first. It is stored in the dataset's own metadata (not that of
its records), which the list of datasets shows. A copy that somebody makes with Argilla's SDK does not carry it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from argilla_loop.argilla.v2.connection import Connection

MARK = "argilla_loop"
# Metadata property of a dataset that ``argilla-loop migrate`` has yet to complete. A property is one row in the
# database; a change of the dataset would make Argilla go through all of its answered records.
UNFINISHED = "argilla_loop_unfinished"


@dataclass(frozen=True, slots=True)
class Working:
    """What was found under the name in the settings.

    Attributes:
        name: the name in the settings.
        dataset: as the API describes it; ``None`` if there is none yet.
        passed_over: name of a dataset that began under this name and was renamed, while another one, which is used,
            has the name now.
    """

    name: str
    dataset: dict[str, Any] | None
    passed_over: str | None = None

    @property
    def note(self) -> str | None:
        """One line for operators; ``None`` if the names in Argilla and in the settings agree."""
        if self.dataset is not None and self.dataset["name"] != self.name:
            return renamed(self.name, self.dataset["name"])
        if self.passed_over is not None:
            return (
                f"dataset {self.passed_over!r} began as {self.name!r}, but another dataset has that name now and "
                f"is used: set dataset to {self.passed_over!r} to go on there"
            )
        return None


def renamed(before: str, now: str) -> str:
    """Return the line that says that a dataset has another name."""
    return (
        f"dataset {before!r} is called {now!r} in Argilla now; it is used as before: set dataset to {now!r}, or "
        "give it its old name back"
    )


def datasets_in(connection: Connection, workspace_id: str) -> list[dict[str, Any]]:
    """Return the datasets of a workspace, as the API describes them."""
    found = connection.call(
        "GET", "/me/datasets", where="the list of datasets", params={"workspace_id": workspace_id}
    )
    return list(found["items"])


def find_working(
    connection: Connection, workspace_id: str, name: str, *, remembered: str | None = None
) -> Working:
    """Find the working dataset that the settings call ``name``; a dataset that has that name now takes precedence.

    Args:
        connection: of a user of that workspace.
        workspace_id: where to look.
        name: the name in the settings.
        remembered: id of the dataset that this machine worked on under that name.
    """
    there = datasets_in(connection, workspace_id)
    named = next((dataset for dataset in there if dataset["name"] == name), None)
    if named is not None and marked_as(named) == name:
        return Working(name, named)
    once = _once_called(there, name, remembered)
    if named is None:
        return Working(name, once)
    return Working(name, named, once["name"] if once is not None and once["id"] != named["id"] else None)


def marked_as(dataset: dict[str, Any]) -> str | None:
    """Return the settings' name of a dataset that carries our mark; ``None`` for any other dataset."""
    mark = (dataset.get("metadata") or {}).get(MARK)
    name = mark.get("dataset") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def mark_of(name: str) -> dict[str, Any]:
    """Return the metadata of a dataset that the settings call ``name``."""
    return {MARK: {"dataset": name}}


def migration_of(dataset: dict[str, Any]) -> dict[str, str] | None:
    """Return what ``argilla-loop migrate`` notes on the dataset that it makes; ``None`` for any other dataset."""
    mark = (dataset.get("metadata") or {}).get(MARK)
    made = mark.get("migration") if isinstance(mark, dict) else None
    return made if isinstance(made, dict) else None


def is_half_made(dataset: dict[str, Any], properties: Iterable[dict[str, Any]]) -> bool:
    """Return whether ``argilla-loop migrate`` has yet to complete a dataset.

    Args:
        dataset: as the API describes it.
        properties: its metadata properties.
    """
    if migration_of(dataset) is None:
        return False
    return dataset["status"] == "draft" or any(one["name"] == UNFINISHED for one in properties)


def ensure_marked(connection: Connection, dataset: dict[str, Any], name: str) -> None:
    """Mark a dataset that carries no mark, or the mark of another name.

    This happens once in a dataset's life, because Argilla goes through all of its records after every change of a
    dataset. A dataset that we create is marked from the start. If others keep something in its metadata, it is left
    alone: Argilla 2.8 stores a change of this metadata only if there was none, so theirs would have to go first.
    """
    there = dataset.get("metadata") or {}
    if marked_as(dataset) == name or set(there) - {MARK}:
        return
    for metadata in (None, mark_of(name)) if there else (mark_of(name),):
        connection.call(
            "PATCH",
            f"/datasets/{dataset['id']}",
            where="our mark on the dataset",
            json={"metadata": metadata},
        )


def _once_called(there: Sequence[dict[str, Any]], name: str, remembered: str | None) -> dict[str, Any] | None:
    """Return the dataset that began under that name; of several, the one with the latest answer."""
    known = [dataset for dataset in there if dataset["id"] == remembered]
    marked = [dataset for dataset in there if marked_as(dataset) == name]
    return max(known or marked, key=lambda dataset: str(dataset["last_activity_at"]), default=None)
