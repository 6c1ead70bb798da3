"""One writer: the lease on a working dataset, which lies in Argilla itself.

It is a metadata property that no record carries. Argilla lets only one of a name exist in a dataset, so making it is a
compare-and-swap, and its id, which never comes back, tells one holding from the next. Its title says who holds it, and
changes with every sign of life. No clock of another machine is ever read: whoever waits for the lease measures with its
own how long that title has stood still (as in Gray & Cheriton, "Leases", SOSP 1989, with the clocks taken out).
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NoReturn

import structlog

from argilla_loop.argilla.v2.connection import Connection, GoneError
from argilla_loop.argilla.v2.schema import DatasetInfo
from argilla_loop.errors import ArgillaLoopError, RetryableError

log = structlog.get_logger(__name__)

NAME = "argilla_loop_writer"
SIGNS = 4  # of life, per time after which the lease is given up for lost


class LeaseLostError(RetryableError):
    """Another service writes to this dataset by now: nothing was written."""

    cause = "lease_lost"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who holds the lease, as Argilla shows it."""

    id: str
    title: str
    token: str
    seconds: float  # without a sign of life, after which somebody else may take its place
    seen_at: str  # the server's time of the last sign of life
    user_id: str | None = None  # whose key the service has; None: an earlier version did not say
    username: str | None = None

    @property
    def told(self) -> str:
        """For people."""
        return f"{self.title}, at {self.seen_at[:19].replace('T', ' ')} UTC; given up for lost after {self.seconds:g} s"

    def other_user(self, user_id: str) -> str | None:
        """Name of the user as whom it runs where that is not ``user_id``; ``None`` where it is, or is not known."""
        return self.username if self.user_id not in (None, user_id) else None


def monotonic() -> float:
    """Seconds that go on while the process, or the machine, is suspended, and that nobody can set."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # the first is Linux's
    return time.clock_gettime(clock)


def writer_of(connection: Connection, dataset_id: str) -> Writer | None:
    """Who writes to a dataset; ``None`` where nobody does.

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


class Lease:
    """The right to write to a dataset, while this process holds it.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        holder: who we are, for people who read it.
        token: of this service; one that starts again with its old token goes on at once.
        seconds: without a sign of life from the holder, after which another takes its place.
        clock: seconds; for tests.
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
        self._sign_at = 0.0  # when we began to write that
        self._signs = 0
        self._other: tuple[str, str] | None = (
            None  # id and title of another's, and since when they stand still
        )
        self._other_since = 0.0
        self._lock = threading.RLock()  # a thread that gives signs of life, and the loop

    @property
    def is_held(self) -> bool:
        """Whether we held it when last we looked."""
        return self._held is not None

    def hold(self) -> bool:
        """Keep the lease or try to get it; cheap enough for every look. Returns whether we hold it.

        Raises:
            GoneError: the dataset is gone.
            RetryableError, FatalError: see ``connection.translated``.
        """
        with self._lock:
            if self._held is not None:
                if self._clock() - self._sign_at < self._seconds / SIGNS:
                    return True
                try:
                    self._verify()
                except LeaseLostError:
                    return False
                return True
            return self._acquire()

    def confirm(self) -> None:
        """Make sure that we may write, just before we do.

        After it, the holder has most of its time left for the write: what was read before a pause is not believed.

        Raises:
            LeaseLostError: we may not: another has taken over, or somebody has removed the lease.
            RetryableError, FatalError: see ``connection.translated``.
        """
        with self._lock:
            while True:
                if self._held is None:
                    raise LeaseLostError(f"another service writes to dataset {self._info.name!r}")
                asked = self._clock()
                self._verify()
                if self._clock() - asked < self._seconds / SIGNS:
                    return

    def release(self) -> None:
        """Give it up, so that another need not wait; a lease that is not ours stays. Never raises."""
        with self._lock:
            held, self._held = self._held, None
            if held is not None:
                try:
                    self._connection.call("DELETE", f"/metadata-properties/{held[0]}", where="the lease")
                except Exception as error:  # noqa: BLE001  called on the way out, where it must not hide what ended us
                    why = str(error) if isinstance(error, ArgillaLoopError) else type(error).__name__
                    log.info("lease_not_released", why=why, free_in_seconds=self._seconds)

    def _verify(self) -> None:
        """Still ours? Then give a sign of life if the last is old.

        Raises:
            LeaseLostError: it is not.
        """
        there = writer_of(self._connection, self._info.id)
        if there is None or (there.id, there.title) != self._held:
            # a sign of life whose answer got lost reads as our next one
            if there is None or there.id != (self._held or ("",))[0] or there.title != self._title():
                self._lose(there)
            self._held = (there.id, there.title)
        if self._clock() - self._sign_at >= self._seconds / SIGNS:
            self._sign(there)

    def _sign(self, there: Writer) -> None:
        begun = self._clock()
        title = self._title()
        try:
            self._connection.call(
                "PATCH", f"/metadata-properties/{there.id}", where="the lease", json={"title": title}
            )
        except GoneError:
            self._lose(None)
        self._held, self._sign_at = (there.id, title), begun
        self._signs += 1

    def _lose(self, to: Writer | None) -> NoReturn:
        self._held = None
        if to is not None and to.token == self._token:  # a copy of us: from now on we are two
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
            # of several that find it dead, or that share a token, only one can make it anew: that is what decides
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
        except RetryableError:  # somebody was first, or it was made and the answer got lost
            there = writer_of(self._connection, self._info.id)
            if there is None or there.token != self._token or there.title != title:
                return False
            made = {"id": there.id}
        self._held, self._sign_at, self._other = (str(made["id"]), title), begun, None
        self._signs += 1
        log.info("lease_held", writer=self._holder, seconds=self._seconds)
        return True

    def _is_dead(self, there: Writer) -> bool:
        """Whether another's lease has stood still for as long as it says, by our own clock."""
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
        return f"Written by argilla-loop on {self._holder} (sign of life {self._signs})"


def _items(connection: Connection, path: str) -> list[dict[str, Any]]:
    return list(connection.call("GET", path, where="the dataset's lease")["items"])


def _number(text: str) -> float:
    try:
        return max(float(text), 1.0)
    except ValueError:
        return 60.0  # somebody else's property of our name
