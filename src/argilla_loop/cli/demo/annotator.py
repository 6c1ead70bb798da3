"""A simulated annotator, who answers the pending records through the same API as Argilla's UI."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import Any

import structlog

from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.schema import QUESTION, find_dataset, find_workspace
from argilla_loop.errors import RetryableError

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2  # between two looks at the queue. Chosen, not measured.
THINK_SECONDS = 0.05  # for each text; much faster than a person, so that the demo is short
PAGE = 50  # records in one request, as in Argilla's UI


class SimulatedAnnotator:
    """Answers the annotator's queue from the gold labels, batch by batch, in a thread.

    It sees what any annotator sees: the records that are pending for its user, without the records that the service
    accepted.

    Args:
        url: address of the server.
        api_key: the annotator's API key.
        workspace: workspace of the working dataset.
        dataset: name of the working dataset, which need not exist yet.
        gold: the correct label by record id.
        batches: number of batches to answer; later batches are left for people.
    """

    def __init__(
        self, url: str, api_key: str, *, workspace: str, dataset: str, gold: Mapping[str, str], batches: int
    ) -> None:
        self.reactions: dict[
            int, float
        ] = {}  # batch -> seconds from the last submitted answer until the batch appeared
        self.error: Exception | None = None
        self._url, self._api_key = url, api_key
        self._workspace, self._dataset = workspace, dataset
        self._gold, self._batches = gold, batches
        self._seen: set[int] = set()
        self._last_submit: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="annotator", daemon=True)

    def start(self) -> None:
        """Start the thread and return at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop after the current answer."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        try:
            connection = connect(self._url, self._api_key)
            dataset_id: str | None = None
            while not self._stopping.wait(POLL_SECONDS):
                try:
                    dataset_id = dataset_id or self._find(connection)
                    if dataset_id is not None:
                        self._answer_all(connection, dataset_id)
                except RetryableError as error:
                    log.warning("annotator_waits", reason=str(error))
        except Exception as error:  # noqa: BLE001  the main thread raises it
            self.error = error

    def _find(self, connection: Connection) -> str | None:
        found = find_dataset(connection, find_workspace(connection, self._workspace), self._dataset)
        return str(found["id"]) if found is not None and found["status"] == "ready" else None

    def _answer_all(self, connection: Connection, dataset_id: str) -> None:
        for record in self._pending(connection, dataset_id):
            batch = int(record["metadata"]["idx"])
            if batch not in self._seen:
                self._seen.add(batch)
                if self._last_submit is not None:
                    self.reactions[batch] = time.monotonic() - self._last_submit
            if batch >= self._batches or self._stopping.wait(THINK_SECONDS):
                return
            connection.call(
                "POST",
                f"/records/{record['id']}/responses",
                where="an answer",
                json={
                    "status": "submitted",
                    "values": {QUESTION: {"value": self._gold[record["external_id"]]}},
                },
            )
            self._last_submit = time.monotonic()

    def _pending(self, connection: Connection, dataset_id: str) -> list[dict[str, Any]]:
        """Return the queue as the UI requests it: records that are neither completed nor answered by this user."""
        pending = [
            {"type": "terms", "scope": {"entity": entity, "property": "status"}, "values": ["pending"]}
            for entity in ("response", "record")
        ]
        answer = connection.call(
            "POST",
            f"/me/datasets/{dataset_id}/records/search",
            where="the annotator's queue",
            params={"limit": PAGE},
            json={"filters": {"type": "and", "and": pending}},
        )
        return [item["record"] for item in answer["items"]]
