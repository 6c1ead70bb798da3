"""The heartbeat: when Argilla was last looked at, in the process, and as a file for health checks without a port.

The service beats after every look that went well, and long work at every step, so an old heartbeat means that the
service hangs, or that Argilla is away. ``argilla-loop health`` asks for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from argilla_loop.observability import systemd
from argilla_loop.observability.metrics import LAST_LOOK
from argilla_loop.settings import Settings
from argilla_loop.settings.files import make_private_folder, text_digest

log = structlog.get_logger(__name__)

LONGEST_SILENCE = 120.0  # seconds; a turn of a long pool may take so long between two beats


def heartbeat_file(settings: Settings) -> Path:
    """The file of the service that ``settings`` describe; several services may share a cache folder."""
    service = f"{settings.api_url} {settings.workspace} {settings.dataset}"
    return settings.cache_dir / "heartbeat" / text_digest(service)[:12]


def longest_silence(settings: Settings) -> float:
    """Seconds without a beat after which the service is not healthy."""
    return max(LONGEST_SILENCE, 3 * settings.poll_interval)


def age(file: Path) -> float | None:
    """Seconds since the last beat; ``None`` where there was none."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return None


class Heartbeat:
    """Tells systemd, and a file while there is one, that work goes on."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._failed = False
        self._beaten_at = time.monotonic()
        self._sees_argilla = False

    @property
    def sees_argilla(self) -> bool:
        """Whether the latest try to look at Argilla went well."""
        return self._sees_argilla

    @property
    def silent_for(self) -> float:
        """Seconds since the last beat of this process, or since it began."""
        return time.monotonic() - self._beaten_at

    @contextmanager
    def kept_in(self, file: Path) -> Iterator[None]:
        """Touch ``file`` at every beat inside this context; it is removed at the end, whatever ends it."""
        self._file = file
        try:
            yield
        finally:
            self._file = None
            with suppress(OSError):  # it grows old by itself
                file.unlink(missing_ok=True)

    def looked(self) -> None:
        """Argilla was looked at, with success."""
        LAST_LOOK.set_to_current_time()
        self._sees_argilla = True
        self.beat()

    def missed(self) -> None:
        """A try to look at Argilla failed."""
        self._sees_argilla = False

    def beat(self, status: str | None = None) -> None:
        """Say that work goes on; a file that cannot be written is logged once and stops nothing."""
        systemd.alive(status)
        self._beaten_at = time.monotonic()
        file = self._file
        if file is None:
            return
        try:
            make_private_folder(file.parent)
            file.touch()
            self._failed = False
        except OSError as error:
            if not self._failed:
                self._failed = True
                log.warning("heartbeat_failed", file=str(file), error=str(error))


#: The process's own. One process, one watchdog: whatever work goes on keeps it alive.
heartbeat = Heartbeat()
