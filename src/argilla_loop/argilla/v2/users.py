"""The users whose services accepted records of a dataset, and the names of users."""

from __future__ import annotations

from contextlib import suppress

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import find_workspace
from argilla_loop.errors import ArgillaLoopError, CredentialsError


def accepted_by_user(connection: Connection, dataset_id: str) -> dict[str, int]:
    """Return how many records the service of each user has accepted, by user id.

    The counts come from Argilla's index, so they cost two requests however many records there are. Records that early
    versions accepted are left out, because those versions did not store the user.

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


def usernames(connection: Connection, workspace: str) -> dict[str, str]:
    """Return names by user id: of all users for an owner, of the workspace's for an admin; empty if Argilla is away."""
    found: list[dict[str, str]] = []
    with suppress(ArgillaLoopError):  # messages then show ids, which is no reason to fail
        try:
            found = connection.call("GET", "/users", where="the list of users")["items"]
        except CredentialsError:
            path = f"/workspaces/{find_workspace(connection, workspace)}/users"
            found = connection.call("GET", path, where="the workspace's users")["items"]
    return {str(user["id"]): str(user["username"]) for user in found}
