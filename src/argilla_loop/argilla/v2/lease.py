"""The lease on a working dataset, which allows one service at a time to write; it is stored in Argilla itself.

The lease is a metadata property that no record carries. Argilla allows only one property of a name in a dataset, so
creating it is a compare-and-swap. Its id is never used again, so it identifies one holding of the lease. Its title says
who holds it, and changes with every heartbeat. The clock of another machine is never read: a service that waits for the
lease measures with its own clock how long the title has not changed (as in Gray & Cheriton, "Leases", SOSP 1989, but
without synchronised clocks).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import structlog

from argilla_loop.argilla.protocol import HEARTBEATS, DatasetInfo, Writer
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.errors import ArgillaLoopError, GoneError, LeaseLostError, RetryableError

log = structlog.get_logger(__name__)

NAME = "argilla_loop_writer"
FOREIGN_SECONDS = 60.0  # assumed for a property of our name that holds no seconds; chosen, not measured


def monotonic() -> float:
    """Return seconds of a clock that runs on while the process or the machine is suspended, and that nobody can set."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first exists on Linux only
    return time.clock_gettime(clock)


def writer_of(connection: Connection, dataset_id: str) -> Writer | None:
    """Return the service that holds the lease on a dataset; ``None`` if there is none.

    Raises:
        GoneError: there is no such dataset.
        RetryableError, FatalError: see ``connection.translated``.
    """
    path = f"/me/datasets/{dataset_id}/metadata-properties"
    for item in _items(connection, path):
        if item["name"] == NAME:
            values = [str(value) for value in item["settings"].get("values") or ("",)]
            token, _, seconds = values[0].partition(" ")
            user_id, _, username = "".join(values[1:2]).partition(" ")
            return Writer(
                str(item["id"]),
                item["title"],
                token,
                _number(seconds),
                str(item["updated_at"]),
                user_id or None,
                username or None,
            )
    return None


class ArgillaLease:
    """``protocol.Lease`` as a metadata property of the dataset.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        holder: describes this service to people.
        token: identifies this service; after a restart with the same token it continues at once.
        seconds: time without a heartbeat after which another service may replace the holder.
        clock: returns seconds; for tests.
    """

    def __init__(
        self,
        connection: Connection,
        info: DatasetInfo,
        *,
        holder: str,
        token: str,
        seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._connection, self._info = connection, info
        self._holder, self._token, self._seconds, self._clock = holder, token, seconds, clock
        self._user = f"{connection.user_id} {connection.username}"
        self._held: tuple[str, str] | None = None  # id and title as we wrote it last
        self._beat_at = 0.0  # when we began to write that
        self._beats = 0
        self._other: tuple[str, str] | None = None  # id and title of another holder's lease
        self._other_since = 0.0  # when these were first seen
        self._lock = threading.RLock()  # the thread that sends heartbeats, and the loop

    @property
    def is_held(self) -> bool:
        """Whether we held it when we last asked Argilla."""
        return self._held is not None

    def hold(self) -> bool:
        """Keep the lease, or try to get it; return whether we hold it. It is cheap enough for every look.

        Raises:
            GoneError: the dataset is gone.
            RetryableError, FatalError: see ``connection.translated``.
        """
        with self._lock:
            if self._held is not None:
                if self._clock() - self._beat_at < self._seconds / HEARTBEATS:
                    return True
                try:
                    self._verify()
                except LeaseLostError:
                    return False
                return True
            return self._acquire()

    def confirm(self) -> None:
        """Check that we may write; call it just before each write.

        Afterwards most of the lease's time is left for the write: a reply that took longer is asked for again.

        Raises:
            LeaseLostError: another service has taken over, or somebody has removed the lease.
            RetryableError, FatalError: see ``connection.translated``.
        """
        with self._lock:
            while True:
                if self._held is None:
                    raise LeaseLostError(f"another service writes to dataset {self._info.name!r}")
                asked = self._clock()
                self._verify()
                if self._clock() - asked < self._seconds / HEARTBEATS:
                    return

    def release(self) -> None:
        """Give the lease up, so that another service need not wait; a lease that is not ours stays. Never raises."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                try:
                    self._connection.call("DELETE", f"/metadata-properties/{held[0]}", where="the lease")
                except Exception as error:  # noqa: BLE001  called at the end, where it must not hide the error that ended the service
                    why = str(error) if isinstance(error, ArgillaLoopError) else type(error).__name__
                    log.info("lease_not_released", why=why, free_in_seconds=self._seconds)

    def _verify(self) -> None:
        """Check that the lease is still ours, and send a heartbeat if the last one is old.

        Raises:
            LeaseLostError: it is not ours any more.
        """
        there = writer_of(self._connection, self._info.id)
        if there is None or (there.id, there.title) != self._held:
            # a heartbeat whose reply was lost has our next title
            if there is None or there.id != (self._held or ("",))[0] or there.title != self._title():
                self._lose(there)
            self._held = (there.id, there.title)
        if self._clock() - self._beat_at >= self._seconds / HEARTBEATS:
            self._beat(there)

    def _beat(self, there: Writer) -> None:
        begun = self._clock()
        title = self._title()
        try:
            self._connection.call(
                "PATCH", f"/metadata-properties/{there.id}", where="the lease", json={"title": title}
            )
        except GoneError:
            self._lose(None)
        self._held, self._beat_at = (there.id, title), begun
        self._beats += 1

    def _lose(self, to: Writer | None) -> NoReturn:
        self._held = None
        if (
            to is not None and to.token == self._token
        ):  # a copy of our cache folder: two services have this token
            self._token = secrets.token_hex(8)
        log.warning(
            "lease_lost", now_written_by=to.title if to else "nobody", then="writing nothing; standing by"
        )
        raise LeaseLostError(
            f"the lease on dataset {self._info.name!r} was lost to {to.title if to else 'nobody'}: nothing was written"
        )

    def _acquire(self) -> bool:
        there = writer_of(self._connection, self._info.id)
        if there is not None and there.token != self._token and not self._is_dead(there):
            return False
        if there is not None:
            # several services may find it dead, or share a token; only one of them can create it again
            with suppress(RetryableError):
                self._connection.call("DELETE", f"/metadata-properties/{there.id}", where="a lease")
        held = self._make()
        if held and there is not None and there.token != self._token:
            log.warning("lease_taken_over", was_written_by=there.title, silent_for_seconds=there.seconds)
        return held

    def _make(self) -> bool:
        begun = self._clock()
        title = self._title()
        try:
            made = self._connection.call(
                "POST",
                f"/datasets/{self._info.id}/metadata-properties",
                where="the lease",
                json={
                    "name": NAME,
                    "title": title,
                    "settings": {"type": "terms", "values": [f"{self._token} {self._seconds:g}", self._user]},
                    "visible_for_annotators": False,
                },
            )
        except GoneError:
            raise
        except RetryableError:  # another service was faster, or it was created and the reply was lost
            there = writer_of(self._connection, self._info.id)
            if there is None or there.token != self._token or there.title != title:
                return False
            made = {"id": there.id}
        self._held, self._beat_at, self._other = (str(made["id"]), title), begun, None
        self._beats += 1
        log.info("lease_held", writer=self._holder, seconds=self._seconds)
        return True

    def _is_dead(self, there: Writer) -> bool:
        """Whether another holder's lease has not changed for as long as it says, by our own clock."""
        now = self._clock()
        if self._other != (there.id, there.title):
            if self._other is None or self._other[0] != there.id:
                other = there.other_user(self._connection.user_id)
                log.info(
                    "standing_by",
                    written_by=there.title,
                    takes_over_after_silent_seconds=there.seconds,
                    **({"as_another_user": other, "we_are": self._connection.username} if other else {}),
                )
            self._other, self._other_since = (there.id, there.title), now
            return False
        return now - self._other_since > there.seconds

    def _title(self) -> str:
        return f"Written by argilla-loop on {self._holder} (sign of life {self._beats})"


def _items(connection: Connection, path: str) -> list[dict[str, Any]]:
    return list(connection.call("GET", path, where="the dataset's lease")["items"])


def _number(text: str) -> float:
    try:
        return max(float(text), 1.0)
    except ValueError:
        return FOREIGN_SECONDS
