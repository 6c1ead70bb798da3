"""Fixtures: one real Argilla server for the whole test session, and names that no other test uses.

``tests/conftest.py`` imports the fixtures from here.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import httpx
import pytest

from argilla_embedded import EmbeddedServer, UserCredentials
from argilla_loop.argilla.v2.connection import Connection, connect

_numbers = itertools.count(1)

# Webhooks that fail are tried again at once rather than after 10, 60 and 180 seconds.
QUICK_RETRIES = (0.2, 0.2, 0.2)


@pytest.fixture(scope="session")
def argilla_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """A real server in a process of its own, shared by all tests: keep to data sets of your own."""
    home = tmp_path_factory.mktemp("argilla")
    with EmbeddedServer(home, webhook_retries=QUICK_RETRIES) as server:
        yield server


@pytest.fixture
def connection(argilla_server: EmbeddedServer) -> Iterator[Connection]:
    """A connection as the user of the service."""
    made = connect(argilla_server.url, argilla_server.credentials.loop.api_key)
    yield made
    made.close()


@pytest.fixture
def fresh_name() -> Callable[[str], str]:
    """Makes a name for a data set or workspace that no other test uses: ``fresh_name("news")``."""
    return lambda stem: f"{stem}-{os.getpid()}-{next(_numbers)}"


class Api:
    """Argilla's HTTP API as one user; every answer but 2xx is an ``httpx.HTTPStatusError``."""

    def __init__(self, server: EmbeddedServer, user: UserCredentials) -> None:
        self.http = httpx.Client(
            base_url=f"{server.url}/api/v1",
            headers={"X-Argilla-Api-Key": user.api_key},
            timeout=60,
            limits=httpx.Limits(max_keepalive_connections=0),  # nothing stays open, so nothing need be closed
        )

    def call(self, method: str, path: str, json: object = None, **parameters: Any) -> Any:
        """The JSON that the server answers; None where it answers nothing."""
        response = self.http.request(method, path, json=json, params=parameters)
        response.raise_for_status()
        return response.json() if response.content else None

    def me(self) -> str:
        """Id of this user."""
        return str(self.call("GET", "/me")["id"])

    def create_dataset(
        self,
        name: str,
        *,
        fields: Sequence[dict[str, Any]],
        questions: Sequence[dict[str, Any]],
        metadata: Sequence[dict[str, Any]] = (),
        vectors: Sequence[dict[str, Any]] = (),
        min_submitted: int = 1,
    ) -> str:
        """Create and publish a data set in the server's workspace; returns its id."""
        workspace = self.call("GET", "/me/workspaces")["items"][0]["id"]
        dataset = {
            "name": name,
            "workspace_id": workspace,
            "distribution": {"strategy": "overlap", "min_submitted": min_submitted},
        }
        dataset_id = str(self.call("POST", "/datasets", dataset)["id"])
        for kind, items in (
            ("fields", fields),
            ("questions", questions),
            ("metadata-properties", metadata),
            ("vectors-settings", vectors),
        ):
            for item in items:
                self.call("POST", f"/datasets/{dataset_id}/{kind}", {"title": item["name"], **item})
        self.call("PUT", f"/datasets/{dataset_id}/publish")
        return dataset_id

    def upsert(self, dataset_id: str, records: Sequence[dict[str, Any]]) -> dict[str, str]:
        """Log records in one bulk call; returns record ids by external id."""
        answer = self.call("PUT", f"/datasets/{dataset_id}/records/bulk", {"items": list(records)})
        return {item["external_id"]: item["id"] for item in answer["items"]}

    def search(
        self,
        dataset_id: str,
        *,
        filters: Sequence[dict[str, Any]] = (),
        text: str | dict[str, str] | None = None,
        vector: dict[str, Any] | None = None,
        sort: Sequence[tuple[dict[str, Any], str]] = (),
        me: bool = False,
        **page: Any,
    ) -> tuple[list[str], int]:
        """Search; returns the external ids found, in order, and the total."""
        body: dict[str, Any] = {}
        if filters:
            body["filters"] = {"and": list(filters)}
        if text is not None:
            body["query"] = {"text": {"q": text} if isinstance(text, str) else text}
        if vector is not None:
            body.setdefault("query", {})["vector"] = vector
        if sort:
            body["sort"] = [{"scope": scope, "order": order} for scope, order in sort]
        prefix = "/me" if me else ""
        answer = self.call("POST", f"{prefix}/datasets/{dataset_id}/records/search", body, **page)
        return [item["record"]["external_id"] for item in answer["items"]], answer["total"]
