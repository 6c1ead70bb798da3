"""Tells annotators beside the labels how things stand. Whatever fails here is told, and the loop goes on."""

from __future__ import annotations

import structlog

from argilla_loop.argilla.v2.description import Description
from argilla_loop.argilla.v2.guidelines import Guidelines
from argilla_loop.loop.turn import Turn
from argilla_loop.policy.notice import notice

log = structlog.get_logger(__name__)


class Notices:
    """Called after every turn; asks Argilla only where there is something new to say.

    Args:
        description: where to say it.
        guidelines: where earlier versions said it.
    """

    def __init__(self, description: Description, guidelines: Guidelines) -> None:
        self._description, self._guidelines = description, guidelines
        self._shown: str | None = None
        self._tidy = False  # whether the guidelines are known to hold nothing of ours
        self._told: str | None = None

    def __call__(self, turn: Turn) -> None:
        """Show the notice of ``turn``; what failed is tried again after the next turn. Never raises."""
        said = notice(turn.plan, turn.records)
        if said is None or (said == self._shown and self._tidy):
            return
        try:
            if said != self._shown:
                if self._description.show(said):
                    log.info("notice_written", characters=len(said))
                self._shown = said
            if not self._tidy:
                if self._guidelines.remove_section():
                    log.info("notice_moved", was="in the guidelines", now="beside the labels")
                self._tidy = True
        except Exception as error:  # noqa: BLE001  a notice is a courtesy: nothing that befalls it may hold up the loop
            reason = f"{error or type(error).__name__}"
            if reason != self._told:
                log.warning("notice_unavailable", reason=reason, then="trying again after the next turn")
            self._told = reason
            return
        self._told = None
