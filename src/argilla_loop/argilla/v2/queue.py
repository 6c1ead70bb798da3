"""The queue of one annotator, as Argilla's UI asks for it."""

from __future__ import annotations

from argilla_loop.argilla.protocol import Pending
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.schema import QUESTION, find_dataset, find_workspace

PAGE = 50  # records per request


class ArgillaQueue:
    """``queue.AnnotatorQueue`` of the user whose key is used.

    Args:
        url: address of the server.
        api_key: the annotator's own key.
        workspace: name of the dataset's workspace.
        dataset: its name; it need not exist yet.

    Raises:
        RetryableError, FatalError: see ``connection.connect``.
    """

    def __init__(self, url: str, api_key: str, *, workspace: str, dataset: str) -> None:
        self._connection = connect(url, api_key)
        self._workspace, self._dataset = workspace, dataset
        self._dataset_id: str | None = None

    def pending(self) -> list[Pending]:
        """Return the next records that are not complete and not answered by this user; empty if there is no dataset."""
        self._dataset_id = self._dataset_id or self._find()
        if self._dataset_id is None:
            return []
        pending = [
            {"type": "terms", "scope": {"entity": entity, "property": "status"}, "values": ["pending"]}
            for entity in ("response", "record")
        ]
        answer = self._connection.call(
            "POST",
            f"/me/datasets/{self._dataset_id}/records/search",
            where="the annotator's queue",
            params={"limit": PAGE},
            json={"filters": {"type": "and", "and": pending}},
        )
        records = [item["record"] for item in answer["items"]]
        return [Pending(one["external_id"], int(one["metadata"]["idx"]), one["id"]) for one in records]

    def submit(self, record: Pending, label: str) -> None:
        """Submit ``label`` as this user's answer."""
        self._connection.call(
            "POST",
            f"/records/{record.server_id}/responses",
            where="an answer",
            json={"status": "submitted", "values": {QUESTION: {"value": label}}},
        )

    def _find(self) -> str | None:
        workspace_id = find_workspace(self._connection, self._workspace)
        found = find_dataset(self._connection, workspace_id, self._dataset)
        return str(found["id"]) if found is not None and found["status"] == "ready" else None
