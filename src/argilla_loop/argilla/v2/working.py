"""Which dataset is the working one: that of the settings' name, or the one that had it and was renamed in Argilla.

A dataset carries the name that the settings gave it when it was begun, in its own metadata (not its records'), which
the list of datasets shows. A copy that somebody makes with Argilla's SDK does not get it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from argilla_loop.argilla.v2.connection import Connection

MARK = "argilla_loop"


@dataclass(frozen=True, slots=True)
class Working:
    """What was found by the settings' name.

    Attributes:
        name: in the settings.
        dataset: as the API describes it; ``None`` where there is none yet.
        passed_over: name of a dataset that was begun by this name and renamed, while another, which is used, has it.
    """

    name: str
    dataset: dict[str, Any] | None
    passed_over: str | None = None

    @property
    def note(self) -> str | None:
        """What the operator should know, in one line; ``None`` where all is as the settings say."""
        if self.dataset is not None and self.dataset["name"] != self.name:
            return renamed(self.name, self.dataset["name"])
        if self.passed_over is not None:
            return (
                f"dataset {self.passed_over!r} was begun as {self.name!r}, but another one has that name by now, and "
                f"is used: set dataset to {self.passed_over!r} to go on there"
            )
        return None


def renamed(before: str, now: str) -> str:
    """Says that a dataset has another name."""
    return (
        f"dataset {before!r} is called {now!r} in Argilla by now; it is used as before: set dataset to {now!r}, or "
        "give it its old name back"
    )


def datasets_in(connection: Connection, workspace_id: str) -> list[dict[str, Any]]:
    """The datasets of a workspace, as the API describes them."""
    found = connection.call(
        "GET", "/me/datasets", where="the list of datasets", params={"workspace_id": workspace_id}
    )
    return list(found["items"])


def find_working(
    connection: Connection, workspace_id: str, name: str, *, remembered: str | None = None
) -> Working:
    """The working dataset that the settings call ``name``; one that has that name comes first.

    Args:
        connection: of a user of that workspace.
        workspace_id: where to look.
        name: in the settings.
        remembered: id of the dataset that this machine worked on by that name.
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
    """The settings' name for a dataset that carries our mark."""
    mark = (dataset.get("metadata") or {}).get(MARK)
    name = mark.get("dataset") if isinstance(mark, dict) else None
    return name if isinstance(name, str) else None


def mark_of(name: str) -> dict[str, Any]:
    """The metadata of a dataset that the settings call ``name``."""
    return {MARK: {"dataset": name}}


def ensure_marked(connection: Connection, dataset: dict[str, Any], name: str) -> None:
    """Mark a dataset that carries no mark, or that the settings call otherwise by now.

    Once in a dataset's life, as Argilla looks through all of its records after every change of a dataset; one that we
    make ourselves is marked from the start. Where others keep something in its metadata it is left alone: Argilla 2.8
    stores a change of these only where there were none, so theirs would have to go first.
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
    """The dataset that was begun by that name; of several the one that people worked on last."""
    known = [dataset for dataset in there if dataset["id"] == remembered]
    marked = [dataset for dataset in there if marked_as(dataset) == name]
    return max(known or marked, key=lambda dataset: str(dataset["last_activity_at"]), default=None)
