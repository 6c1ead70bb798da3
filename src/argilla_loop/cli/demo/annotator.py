"""A person at the Argilla UI, simulated: answers what waits for the annotator, through the same API as the UI."""

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

LOOK_EVERY_SECONDS = 0.2
THINK_SECONDS = 0.05  # for each text; nobody reads that fast, but a demo should end


class SimulatedAnnotator:
    """Answers the annotator's queue from the gold labels, batch by batch, in a thread of its own.

    It sees what any annotator sees: the records that are pending for it. What the service has validated by itself
    never comes before it.

    Args:
        url: the server.
        api_key: the annotator's own key.
        workspace: the working dataset's workspace.
        dataset: its name; it need not exist yet.
        gold: the right label by record id.
        batches: how many batches to answer; those after them are left to people.
    """

    def __init__(
        self, url: str, api_key: str, *, workspace: str, dataset: str, gold: Mapping[str, str], batches: int
    ) -> None:
        self.reactions: dict[int, float] = {}  # batch -> seconds from the last submit to its first sight
        self.error: Exception | None = None
        self._open = partial(annotator_queue, url, api_key, workspace=workspace, dataset=dataset)
        self._gold, self._batches = gold, batches
        self._seen: set[int] = set()
        self._last_submit: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="annotator", daemon=True)

    def start(self) -> None:
        """Begin to answer; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Put the pen down, after the answer in hand."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(10.0)

    def _run(self) -> None:
        try:
            waiting = self._open()
            while not self._stopping.wait(LOOK_EVERY_SECONDS):
                try:
                    self._answer_all(waiting)
                except RetryableError as error:
                    log.warning("annotator_waits", reason=str(error))
        except Exception as error:  # noqa: BLE001  handed to the main thread, which raises it
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
