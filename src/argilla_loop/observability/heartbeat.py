"""The heartbeat: the time of the last progress, in the process and as a file for health checks without a port.

The service beats after every successful poll of Argilla, and at every step of long work. An old heartbeat therefore
means that the service hangs or that Argilla is unavailable. ``argilla-loop health`` reads it.
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

# Seconds; a turn with a large pool may take that long between two beats. Chosen, not measured.
LONGEST_SILENCE = 120.0


def heartbeat_file(settings: Settings) -> Path:
    """Return the heartbeat file of the service with these settings. Several services may share a cache folder."""
    service = f"{settings.api_url} {settings.workspace} {settings.dataset}"
    return settings.cache_dir / "heartbeat" / text_digest(service)[:12]


def longest_silence(settings: Settings) -> float:
    """Return the number of seconds without a beat after which the service is unhealthy."""
    return max(LONGEST_SILENCE, 3 * settings.poll_interval)


def age(file: Path) -> float | None:
    """Return the seconds since the last beat, or ``None`` if there was none."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return None


class Heartbeat:
    """Reports progress to systemd and, while one is set, to a file."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._failed = False
        self._beaten_at = time.monotonic()
        self._sees_argilla = False

    @property
    def sees_argilla(self) -> bool:
        """Whether the latest poll of Argilla succeeded."""
        return self._sees_argilla

    @property
    def silent_for(self) -> float:
        """Seconds since the last beat of this process, or since its start."""
        return time.monotonic() - self._beaten_at

    @contextmanager
    def kept_in(self, file: Path) -> Iterator[None]:
        """Touch ``file`` at every beat inside this context, and remove it at the end, even after an error."""
        self._file = file
        try:
            yield
        finally:
            self._file = None
            with suppress(OSError):  # a remaining file expires by its age
                file.unlink(missing_ok=True)

    def looked(self) -> None:
        """Record a successful poll of Argilla."""
        LAST_LOOK.set_to_current_time()
        self._sees_argilla = True
        self.beat()

    def missed(self) -> None:
        """Record a failed poll of Argilla."""
        self._sees_argilla = False

    def beat(self, status: str | None = None) -> None:
        """Report progress. A file that cannot be written is logged once and is not an error."""
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


#: The heartbeat of this process. Any work in the process keeps it alive.
heartbeat = Heartbeat()
