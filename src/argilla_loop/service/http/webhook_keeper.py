"""Keeps the webhook registered and received. A failure is logged once, and the service goes on by polling."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType

import structlog
from typing_extensions import Self

from argilla_loop.argilla.protocol import Judge, Registration, Verdict, Webhooks
from argilla_loop.errors import FatalError
from argilla_loop.service.http.webhook_receiver import Receiver
from argilla_loop.settings import WebhookSettings

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 3.0  # that a stop waits for the webhook to be disabled, at most; chosen, not measured


class WebhookKeeper:
    """Maintains the webhook of one working dataset; does nothing if no ``public_url`` is set.

    Only the service's own thread may use it. ``look_after`` does nothing until a check is due, which is one request.

    Args:
        settings: where to listen, and the address that Argilla sends events to.
        wake: called from another thread when somebody has answered.
    """

    def __init__(self, settings: WebhookSettings, wake: Callable[[], object]) -> None:
        self._settings, self._wake = settings, wake
        self._followed: tuple[Webhooks, str] | None = None
        self._ours: Registration | None = None
        self._receiver: Receiver | None = None
        self._due = float("-inf")
        self._reported: str | None = None

    def follow(self, webhooks: Webhooks, dataset_id: str) -> None:
        """Maintain the webhook of this dataset from now on; the next ``look_after`` checks it."""
        self._followed, self._ours, self._due = (webhooks, dataset_id), None, float("-inf")

    def look_after(self) -> None:
        """Check every ``check_interval`` seconds: register a missing webhook, take over a new secret. Never raises."""
        if self._settings.public_url is None or self._followed is None or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + self._settings.check_interval
        try:
            self._check(str(self._settings.public_url), *self._followed)
        except Exception as error:  # noqa: BLE001  polling works without it: no failure may stop the loop
            self._report_once("webhook_unavailable", f"{error or type(error).__name__}")
        else:
            self._reported = None

    @property
    def counts(self) -> Mapping[Verdict, int]:
        """Requests received so far, by verdict."""
        return self._receiver.counts if self._receiver else {}

    def pause(self, *, writer: bool) -> None:
        """Disable the webhook until the next start, waiting ``PAUSE_SECONDS`` at most. Never raises.

        Args:
            writer: whether we held the lease until now, see ``Webhooks.pause``.
        """
        ours, followed = self._ours, self._followed
        if ours is None or followed is None:
            return
        webhooks, _ = followed

        def work() -> None:
            try:
                if webhooks.pause(ours, alone=writer):
                    log.info("webhook_paused", webhook=ours.id)
            except Exception as error:  # noqa: BLE001  it must not hide the error that ended the service
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

    def _check(self, url: str, webhooks: Webhooks, dataset_id: str) -> None:
        ours = webhooks.ensure(url)
        judge = webhooks.judge(ours, dataset_id)
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

    def _report_once(self, event: str, why: str) -> None:
        if why != self._reported:
            log.warning(event, why=why, then="going on by polling")
        self._reported = why
