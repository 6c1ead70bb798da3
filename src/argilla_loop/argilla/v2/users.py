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


def ensure_annotator(connection: Connection, workspace: str, username: str, password: str) -> None:
    """Create an annotator if nobody has that name, and add the user to the workspace; a user who exists is not changed.

    Raises:
        CredentialsError: the connection is not an owner's.
        RetryableError, FatalError: see ``connection.translated``.
    """
    workspace_id = find_workspace(connection, workspace)
    users = connection.call("GET", "/users", where="the list of users")["items"]
    user = next((each for each in users if each["username"] == username), None)
    if user is None:
        body = {"username": username, "first_name": username, "password": password, "role": "annotator"}
        user = connection.call("POST", "/users", where=f"creating user {username!r}", json=body)
    path = f"/workspaces/{workspace_id}/users"
    members = connection.call("GET", path, where="the workspace's users")["items"]
    if user["id"] not in {each["id"] for each in members}:
        connection.call("POST", path, where=f"adding user {username!r}", json={"user_id": user["id"]})
