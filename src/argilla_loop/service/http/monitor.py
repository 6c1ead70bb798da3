"""The service over HTTP: its page at ``/``, and ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import structlog
from typing_extensions import Self

from argilla_loop import __version__
from argilla_loop.observability.heartbeat import heartbeat, longest_silence
from argilla_loop.observability.metrics import describe_service, exposition
from argilla_loop.service.http.page.live import LivePage, Page, State
from argilla_loop.service.http.server import BoundedServer, Handler
from argilla_loop.settings import Settings

log = structlog.get_logger(__name__)

TRY_AGAIN = 60.0  # seconds until a taken port is tried again; chosen, not measured
OK, NOT_MODIFIED, NOT_FOUND, UNAVAILABLE = 200, 304, 404, 503


class Monitor:
    """Serves requests while its context is entered; a taken port is logged once, and stops nothing.

    Args:
        settings: where to listen, and the dataset that the health is about.
        page: makes the page at ``/``.
    """

    def __init__(self, settings: Settings, page: LivePage | None = None) -> None:
        self._settings = settings
        self._page = page or LivePage(settings.dataset)
        self._server: _Server | None = None
        self._due = float("-inf")
        self._told = False
        self.status = "starting"  # one line for people, without any text
        self.trouble: str | None = None  # one line about a problem outside the loop
        self.is_standby = False

    @property
    def port(self) -> int | None:
        """The port that it listens on; ``None`` if it does not listen."""
        return self._server.port if self._server else None

    def health(self) -> dict[str, Any]:
        """Return the reply of ``/healthz`` and ``/readyz``: whether it works, reaches Argilla, and how far it is."""
        silence = heartbeat.silent_for
        return {
            "healthy": silence <= longest_silence(self._settings),
            "ready": heartbeat.sees_argilla,
            "dataset": f"{self._settings.workspace}/{self._settings.dataset}",
            "silent_for_seconds": round(silence, 1),
            "status": "; ".join(filter(None, (self.status, self.trouble))),
            "version": __version__,
        }

    def page(self) -> Page:
        """Return the page at ``/``."""
        health = self.health()
        note = self.status if self.is_standby else self.trouble or ""
        return self._page.make(State(self.status, note, health["healthy"] and health["ready"]))

    def look_after(self) -> None:
        """Try again to listen if the port was taken; it is cheap enough for every look. Never raises."""
        http = self._settings.http
        if self._server is not None or http.port == 0 or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + TRY_AGAIN
        try:
            self._server = _Server(http.host, http.port, self.health, self.page)
            self._server.start()
        except (OSError, UnicodeError) as error:  # taken, of another machine, or not a valid name
            if not self._told:
                why = f"cannot listen on {http.host} port {http.port} ({getattr(error, 'strerror', None) or error})"
                log.warning(
                    "monitor_unavailable", why=why, then="going on without; set http.host or http.port"
                )
            self._told = True
        else:
            log.info("monitor_ready", host=http.host, port=self._server.port)

    def __enter__(self) -> Self:
        describe_service(__version__, self._settings.workspace, self._settings.dataset)
        self.look_after()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None


class _Server(BoundedServer):
    def __init__(
        self, host: str, port: int, health: Callable[[], dict[str, Any]], page: Callable[[], Page]
    ) -> None:
        self.health, self.page = health, page
        super().__init__(host, port, _Handler, name="monitor")


class _Handler(Handler):
    server: _Server

    def do_GET(self) -> None:  # noqa: N802  http.server's name
        path = self.path.partition("?")[0]
        if path == "/":
            self._send_page()
        elif path == "/metrics":
            self.reply(OK, *exposition())
        elif path in ("/healthz", "/readyz"):
            health = self.server.health()
            good = health["healthy"] and (path == "/healthz" or health["ready"])
            body = json.dumps(health, ensure_ascii=False).encode(errors="replace")
            self.reply(OK if good else UNAVAILABLE, body + b"\n")
        else:
            self.reply(NOT_FOUND)

    def _send_page(self) -> None:
        page = self.server.page()
        headers = {
            "ETag": page.tag,
            "Cache-Control": "no-cache",
            "Content-Security-Policy": page.policy,
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
        }
        if self.headers.get("If-None-Match") == page.tag:
            self.reply(NOT_MODIFIED, headers=headers)
        else:
            self.reply(OK, page.body, "text/html; charset=utf-8", headers)

    do_HEAD = do_GET  # noqa: N815  http.server's name
