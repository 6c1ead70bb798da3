"""Keeps the webhook at Argilla registered and received. Whatever fails here is told, and polling does the work."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import structlog
from typing_extensions import Self

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import DatasetInfo
from argilla_loop.argilla.v2.webhooks import (
    Judge,
    Registration,
    Verdict,
    description_of,
    ensure_registered,
    pause,
)
from argilla_loop.errors import FatalError
from argilla_loop.service.http.webhook_receiver import Receiver
from argilla_loop.settings import WebhookSettings

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 3.0  # that a stop waits for the webhook to be disabled; Argilla may be away


class WebhookKeeper:
    """Looks after the webhook of one working dataset; does nothing where no ``public_url`` is set.

    Used by one thread, the service's own: ``look_after`` is cheap until a check is due, which is one request.

    Args:
        settings: where to listen, and what Argilla is told.
        wake: called when somebody has answered, from another thread.
    """

    def __init__(self, settings: WebhookSettings, wake: Callable[[], object]) -> None:
        self._settings, self._wake = settings, wake
        self._followed: tuple[Connection, DatasetInfo] | None = None
        self._ours: Registration | None = None
        self._receiver: Receiver | None = None
        self._due = float("-inf")
        self._told: str | None = None

    def follow(self, connection: Connection, info: DatasetInfo) -> None:
        """From now on look after the webhook of this dataset; the next ``look_after`` checks."""
        self._followed, self._ours, self._due = (connection, info), None, float("-inf")

    def look_after(self) -> None:
        """Every ``check_interval`` seconds: register what is not, take over a new secret. Never raises."""
        if self._settings.public_url is None or self._followed is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._settings.check_interval
        try:
            self._check(str(self._settings.public_url), *self._followed)
        except Exception as error:  # noqa: BLE001  the webhook is a hint: nothing that befalls it may hold up the loop
            self._tell_once("webhook_unavailable", f"{error or type(error).__name__}")
        else:
            self._told = None

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """Requests received so far, by verdict."""
        return self._receiver.counts if self._receiver else {}

    def pause(self, *, writer: bool) -> None:
        """Disable the webhook until the next start, as far as ``PAUSE_SECONDS`` suffice. Never raises.

        Args:
            writer: whether we wrote to the dataset until now, see ``webhooks.pause``.
        """
        ours, followed = self._ours, self._followed
        if ours is None or followed is None:
            return
        connection, info = followed

        def work() -> None:
            try:
                if pause(connection, description_of(info.workspace, info.name), ours, alone=writer):
                    log.info("webhook_paused", webhook=ours.id)
            except Exception as error:  # noqa: BLE001  whatever ends the service, this is not what is wrong
                log.info("webhook_not_paused", why=f"{error or type(error).__name__}")

        thread = threading.Thread(target=work, name="webhook-pause", daemon=True)
        thread.start()
        thread.join(PAUSE_SECONDS)

    def close(self) -> None:
        """Stop listening; the webhook stays registered, for the next start."""
        if self._receiver is not None:
            self._receiver.close()
            self._receiver = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check(self, url: str, connection: Connection, info: DatasetInfo) -> None:
        ours = ensure_registered(connection, url, description_of(info.workspace, info.name))
        judge = Judge(ours.secret, info.id)
        if self._receiver is None:
            self._receiver = self._listen(judge)
        elif ours != self._ours:
            self._receiver.judge = judge
        if ours != self._ours:
            log.info("webhook_ready" if ours.enabled else "webhook_disabled", webhook=ours.id, url=ours.url)
        self._ours = ours

    def _listen(self, judge: Judge) -> Receiver:
        host, port = self._settings.host, self._settings.port
        try:
            return Receiver(host, port, judge, self._wake)
        except OSError as error:
            raise FatalError(
                f"cannot listen on {host} port {port} ({error.strerror or error}): set webhook.host or webhook.port"
            ) from None

    def _tell_once(self, event: str, why: str) -> None:
        if why != self._told:
            log.warning(event, why=why, then="going on by polling")
        self._told = why
