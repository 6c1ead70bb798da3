"""The lease on a working dataset, which allows one service at a time to write."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

# Heartbeats within the lease's ``seconds``: three may be lost before another service takes over. Chosen, not measured.
HEARTBEATS = 4


@dataclass(frozen=True, slots=True)
class Writer:
    """The service that holds the lease, as the server shows it.

    Attributes:
        id: identifies this holding of the lease.
        title: the holder's description of itself, for people.
        token: identifies the holder over restarts.
        seconds: time without a heartbeat after which another service may replace the holder.
        seen_at: time of the last heartbeat by the server's clock, ISO 8601, UTC.
        user_id: the user whose key the holder uses; ``None`` if an earlier version did not say.
        username: that user's name.
    """

    id: str
    title: str
    token: str
    seconds: float
    seen_at: str
    user_id: str | None = None
    username: str | None = None

    @property
    def summary(self) -> str:
        """One line for people."""
        seen = self.seen_at[:19].replace("T", " ")
        return f"{self.title}, at {seen} UTC; replaced after {self.seconds:g} s without a heartbeat"

    def other_user(self, user_id: str) -> str | None:
        """Return the name of the holder's user; ``None`` if that user is ``user_id`` or unknown."""
        return self.username if self.user_id not in (None, user_id) else None


class Lease(Protocol):
    """The right to write to a dataset, which one service at a time can hold."""

    @property
    def is_held(self) -> bool:
        """Whether this process held the lease when it last asked the server."""

    def hold(self) -> bool:
        """Keep the lease, or try to get it; return whether this process holds it.

        It is cheap enough for every look: the server is asked ``HEARTBEATS`` times within the lease's ``seconds``.
        """

    def confirm(self) -> None:
        """Ask the server whether this process still holds the lease; call it just before each write.

        Raises:
            LeaseLostError: it does not; nothing was written.
        """

    def release(self) -> None:
        """Give the lease up, so that another service need not wait. Never raises."""
