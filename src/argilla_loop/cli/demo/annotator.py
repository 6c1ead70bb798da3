"""A simulated annotator, who answers the pending records through the same API as Argilla's UI."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from functools import partial

import structlog

from argilla_loop.argilla.protocol import AnnotatorQueue
from argilla_loop.errors import RetryableError
from argilla_loop.service.wiring import annotator_queue

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.2  # between two looks at the queue. Chosen, not measured.
THINK_SECONDS = 0.05  # for each text; much faster than a person, so that the demo is short


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
        self._open = partial(annotator_queue, url, api_key, workspace=workspace, dataset=dataset)
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
            waiting = self._open()
            while not self._stopping.wait(POLL_SECONDS):
                try:
                    self._answer_all(waiting)
                except RetryableError as error:
                    log.warning("annotator_waits", reason=str(error))
        except Exception as error:  # noqa: BLE001  the main thread raises it
            self.error = error

    def _answer_all(self, waiting: AnnotatorQueue) -> None:
        for record in waiting.pending():
            batch = record.batch
            if batch not in self._seen:
                self._seen.add(batch)
                if self._last_submit is not None:
                    self.reactions[batch] = time.monotonic() - self._last_submit
            if batch >= self._batches or self._stopping.wait(THINK_SECONDS):
                return
            waiting.submit(record, self._gold[record.id])
            self._last_submit = time.monotonic()
