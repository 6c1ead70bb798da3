"""Says when services of other users have worked on the dataset, or do: what they validated stays the model's."""

from __future__ import annotations

import structlog

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.lease import Writer
from argilla_loop.argilla.v2.users import in_words
from argilla_loop.loop.turn import Turn

log = structlog.get_logger(__name__)

STAYS = "they count as the model's, whoever runs the service"


class OtherUsers:
    """Called after every turn; tells each user once.

    Args:
        connection: to learn their names.
        workspace: of the dataset.
    """

    def __init__(self, connection: Connection, workspace: str) -> None:
        self._connection, self._workspace = connection, workspace
        self._told: frozenset[str] = frozenset()

    def __call__(self, turn: Turn) -> None:
        """Look at ``turn``."""
        users = frozenset(turn.validated_by_others)
        if not users <= self._told:
            log.info(
                "validated_by_another_user",
                records=in_words(self._connection, self._workspace, turn.validated_by_others),
                we_are=self._connection.username,
                then=STAYS,
            )
        self._told |= users


def writer_in_words(writer: Writer | None, connection: Connection) -> str:
    """Who writes to the dataset, and whether with another user's key than ours; for people."""
    if writer is None:
        return "none: no service runs on this dataset"
    other = writer.other_user(connection.user_id)
    if other is None:
        return writer.told
    return (
        f"{writer.told}; it runs as another user, {other!r}, than the key of these settings, which is "
        f"{connection.username!r}'s: what either validates stays the model's"
    )
