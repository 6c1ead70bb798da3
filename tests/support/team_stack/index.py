"""The search index behind a dataset, for tests that set it against the database."""

from __future__ import annotations

import json
from typing import Any

import httpx


class Index:
    """One dataset's index in Elasticsearch, past Argilla."""

    def __init__(self, elasticsearch: str, dataset_id: str) -> None:
        self.dataset_id = dataset_id
        self._url = f"{elasticsearch}/rg.{dataset_id}"

    def documents(self) -> dict[str, dict[str, Any]]:
        """All documents by record id; fails where the index is not there."""
        found = self._call("POST", "/_search", {"size": 10_000, "query": {"match_all": {}}})
        return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}

    def put(self, record_id: str, document: dict[str, Any]) -> None:
        """Write a document as it is."""
        self._call("PUT", f"/_doc/{record_id}?refresh=true", document)

    def delete(self, record_id: str) -> None:
        """Remove a document."""
        self._call("DELETE", f"/_doc/{record_id}?refresh=true")

    def restore(self, documents: dict[str, dict[str, Any]]) -> None:
        """Make it hold these documents and no others, as an older snapshot does."""
        for record_id in self.documents().keys() - documents.keys():
            self.delete(record_id)
        for record_id, document in documents.items():
            self.put(record_id, document)

    def block(self, name: str) -> None:
        """Refuse writes: ``write``, or ``read_only_allow_delete``, which Elasticsearch sets itself on a full disk."""
        self._call("PUT", "/_settings", {f"index.blocks.{name}": True})

    def unblock(self, name: str) -> None:
        """Allow writes again."""
        self._call("PUT", "/_settings", {f"index.blocks.{name}": None})

    def remove(self) -> None:
        """Delete the whole index."""
        self._call("DELETE", "")

    def exists(self) -> bool:
        """Whether it is there."""
        return httpx.head(self._url, timeout=30, trust_env=False).is_success

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        content = None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if content else {}
        answer = httpx.request(
            method, self._url + path, content=content, headers=headers, timeout=60, trust_env=False
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
