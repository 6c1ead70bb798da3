"""Notices for annotators, beside the labels. A failure is logged once, and the loop goes on."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from argilla_loop.argilla.protocol import NoticeBoard
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.estimate.outlook import Outlook
from argilla_loop.policy.notice import notice
from argilla_loop.policy.observation import Observation

log = structlog.get_logger(__name__)


class Notices:
    """Called after every turn; sends requests only if there is something new to show.

    Args:
        board: where annotators read notices.
        latest: returns the outlook of the model that scored the latest batch, for a turn that trains none: so that a
            restart changes no notice.
    """

    def __init__(
        self, board: NoticeBoard, latest: Callable[[Observation], Outlook | None] = lambda _: None
    ) -> None:
        self._board, self._latest = board, latest
        self._shown: str | None = None
        self._tidy = False  # whether the section of earlier versions is known to be gone
        self._reported: str | None = None

    def __call__(self, turn: Turn) -> None:
        """Show the notice of ``turn``; what fails is tried again after the next turn. Never raises."""
        said = notice(turn.plan, turn.records, turn.outlook or self._latest(turn.seen))
        if said is None or (said == self._shown and self._tidy):
            return
        try:
            if said != self._shown:
                if self._board.show(said):
                    log.info("notice_written", characters=len(said))
                self._shown = said
            if not self._tidy:
                if self._board.remove_former():
                    log.info("notice_moved", was="in the guidelines", now="beside the labels")
                self._tidy = True
        except Exception as error:  # noqa: BLE001  a notice is a courtesy: no failure of it may stop the loop
            reason = f"{error or type(error).__name__}"
            if reason != self._reported:
                log.warning("notice_unavailable", reason=reason, then="trying again after the next turn")
            self._reported = reason
            return
        self._reported = None
