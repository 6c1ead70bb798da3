"""Reports services of other users on the same dataset: labels that they accepted still count as the model's."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from argilla_loop.argilla.protocol import Backend, Writer
from argilla_loop.loop.turn import Turn

log = structlog.get_logger(__name__)

STAYS = "they count as the model's, whoever runs the service"


class OtherUsers:
    """Called after every turn; logs each user once.

    Args:
        backend: knows their names.
        workspace: name of the dataset's workspace.
    """

    def __init__(self, backend: Backend, workspace: str) -> None:
        self._backend, self._workspace = backend, workspace
        self._reported: frozenset[str] = frozenset()

    def __call__(self, turn: Turn) -> None:
        """Log the users that ``turn`` shows for the first time."""
        users = frozenset(turn.validated_by_others)
        if not users <= self._reported:
            log.info(
                "validated_by_another_user",
                records=in_words(self._backend, self._workspace, turn.validated_by_others),
                we_are=self._backend.username,
                then=STAYS,
            )
        self._reported |= users


def in_words(backend: Backend, workspace: str, counts: Mapping[str, int]) -> str:
    """Return counts by user id for people: ``120 by 'anna', 3 by 'ben'``; with ids if the names are not known."""
    names = backend.usernames(workspace) if counts else {}
    named = sorted(
        ((count, names.get(user, user)) for user, count in counts.items()), key=lambda one: (-one[0], one[1])
    )
    return ", ".join(f"{count:,} by {name!r}" for count, name in named)


def writer_in_words(writer: Writer | None, backend: Backend) -> str:
    """Return for people which service writes to the dataset, and whether it uses another user's key than ours."""
    if writer is None:
        return "none: no service runs on this dataset"
    other = writer.other_user(backend.user_id)
    if other is None:
        return writer.summary
    return (
        f"{writer.summary}; it runs as another user, {other!r}, than the key of these settings, which is "
        f"{backend.username!r}'s: what either validates stays the model's"
    )
