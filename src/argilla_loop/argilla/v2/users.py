"""Whose services have validated records of a dataset, and what those users are called."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import find_workspace
from argilla_loop.errors import ArgillaLoopError, CredentialsError


def validated_by_user(connection: Connection, dataset_id: str) -> dict[str, int]:
    """How many records each user's service has validated, by user id.

    From Argilla's index, so that it costs two requests, however many records there are. What earlier versions validated
    is left out, as they named nobody.

    Raises:
        GoneError: there is no such dataset.
        RetryableError, FatalError: see ``connection.translated``.
    """
    path = f"/me/datasets/{dataset_id}/metadata-properties"
    for item in connection.call("GET", path, where="the dataset's metadata properties")["items"]:
        if item["name"] == "service_user" and item["settings"]["type"] == "terms":
            metrics = connection.call(
                "GET", f"/metadata-properties/{item['id']}/metrics", where="who validated records"
            )
            return {str(value["term"]): int(value["count"]) for value in metrics["values"]}
    return {}


def in_words(connection: Connection, workspace: str, counts: Mapping[str, int]) -> str:
    """``counts`` by user id, for people: ``120 by 'anna', 3 by 'ben'``; ids where Argilla does not tell names."""
    names = _names(connection, workspace) if counts else {}
    told = sorted(
        ((count, names.get(user, user)) for user, count in counts.items()), key=lambda one: (-one[0], one[1])
    )
    return ", ".join(f"{count:,} by {name!r}" for count, name in told)


def _names(connection: Connection, workspace: str) -> dict[str, str]:
    """Usernames by id, as far as our user may know them: all for an owner, the workspace's for an admin."""
    found: list[dict[str, str]] = []
    with suppress(ArgillaLoopError):  # a name is a courtesy
        try:
            found = connection.call("GET", "/users", where="the list of users")["items"]
        except CredentialsError:
            path = f"/workspaces/{find_workspace(connection, workspace)}/users"
            found = connection.call("GET", path, where="the workspace's users")["items"]
    return {str(user["id"]): str(user["username"]) for user in found}
