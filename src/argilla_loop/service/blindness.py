"""Keeps audits blind: hides what annotators must not see, and discards the audits that were not blind.

Whether a property is visible, and since when, is read from Argilla at every look; hiding it is the last step. If the
process is killed before that, the next look finds the property still visible, and repeats what is left to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from argilla_loop.argilla.protocol import Exposed, Visibility, WorkingDataset
from argilla_loop.policy.answers import AnswerRule, adjudicate
from argilla_loop.policy.blindness import seen_through

log = structlog.get_logger(__name__)

EVERY = 10.0  # seconds between two looks while there is no turn; chosen, not measured


class Blindness:
    """Hides from annotators what they must not see.

    Args:
        visibility: what they can see, and how to hide it.
        dataset: the working dataset.
        rule: how answers are read.
        clock: returns seconds; for tests.
    """

    def __init__(
        self,
        visibility: Visibility,
        dataset: WorkingDataset,
        rule: AnswerRule,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._visibility, self._dataset, self._rule = visibility, dataset, rule
        self._clock = clock
        self._looked_at: float | None = None
        self._reported: list[Exposed] = []

    def look(self) -> None:
        """Call ``restore`` if the last look is ``EVERY`` seconds old; it raises the same errors."""
        if self._looked_at is None or self._clock() - self._looked_at >= EVERY:
            self.restore()

    def restore(self) -> None:
        """Look, and hide what annotators can see but should not.

        Audits from the time in which it was visible are turned into plain questions first.

        Raises:
            RetryableError, FatalError: Argilla is away or refuses.
        """
        exposed = self._visibility.exposed()
        if exposed:
            self._report(exposed)
            distrusted = self._distrust(exposed)
            self._visibility.hide(exposed)
            log.warning("metadata_hidden_again", records_no_longer_checks=distrusted)
        self._reported = []
        self._looked_at = self._clock()

    def _report(self, exposed: list[Exposed]) -> None:
        if exposed != self._reported:
            log.warning(
                "metadata_visible_to_annotators",
                properties=sorted(one.name for one in exposed),
                since=min(one.since for one in exposed),
                then="hiding them; what was not answered blind counts as no check",
            )
        self._reported = exposed

    def _distrust(self, exposed: list[Exposed]) -> int:
        """Turn the audits that were not blind into plain questions; return how many there were."""
        times = [one.since for one in exposed if one.reveals]
        if not times:
            return 0
        ids = seen_through(
            (adjudicate(record, self._rule) for record in self._dataset.scan()),
            min(times),
        )
        self._dataset.make_plain(ids)
        return len(ids)
