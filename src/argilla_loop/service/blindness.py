"""Keeps audits blind: notices when annotators can see what they must not, hides it, and trusts no check of that time.

Level-triggered, like all else: that a property is visible, and since when, is read from Argilla, and it is hidden last.
Killed before that, the next look finds it visible still, and does again what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.dataset import WorkingDataset
from argilla_loop.argilla.v2.visibility import Exposed, exposed_in, hide
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.blindness import seen_through

log = structlog.get_logger(__name__)

EVERY = 10.0  # seconds between two looks, where no turn comes in between


class Blindness:
    """Sees to it that what must be hidden from annotators is.

    Args:
        connection: of an admin or owner.
        dataset: the working dataset.
        rule: how answers are read.
        before_write: called right before each request that writes; what it raises keeps the request from being sent.
        clock: seconds; for tests.
    """

    def __init__(
        self,
        connection: Connection,
        dataset: WorkingDataset,
        rule: AnswerRule,
        *,
        before_write: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._connection, self._dataset, self._rule = connection, dataset, rule
        self._before_write, self._clock = before_write, clock
        self._looked_at: float | None = None
        self._told: list[Exposed] = []

    def look(self) -> None:
        """Look if the last time is long ago; cheap enough for every look at the dataset. Errors as ``restore``."""
        if self._looked_at is None or self._clock() - self._looked_at >= EVERY:
            self.restore()

    def restore(self) -> None:
        """Look; hide what annotators see and should not, after the checks of that time have been made plain questions.

        Raises:
            RetryableError, FatalError: see ``connection.translated``.
        """
        exposed = exposed_in(self._connection, self._dataset.info.id)
        if exposed:
            self._tell(exposed)
            distrusted = self._distrust(exposed)
            hide(self._connection, exposed, before_write=self._before_write)
            log.warning("metadata_hidden_again", records_no_longer_checks=distrusted)
        self._told = []
        self._looked_at = self._clock()

    def _tell(self, exposed: list[Exposed]) -> None:
        if exposed != self._told:
            log.warning(
                "metadata_visible_to_annotators",
                properties=sorted(one.name for one in exposed),
                since=min(one.since for one in exposed),
                then="hiding them; what was not answered blind counts as no check",
            )
        self._told = exposed

    def _distrust(self, exposed: list[Exposed]) -> int:
        """Make plain questions of the checks that were not blind; how many."""
        times = [one.since for one in exposed if one.tells]
        if not times:
            return 0
        ids = seen_through(
            (adjudicate(record, self._rule) for record in self._dataset.scan()),
            min(times),
        )
        self._dataset.make_plain(ids)
        return len(ids)
