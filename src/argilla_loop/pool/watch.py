"""The pool as it is now, for a service that runs for weeks while files are added to it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from argilla_loop.errors import PoolError
from argilla_loop.pool.arrow import ArrowPool
from argilla_loop.pool.load import load_pool, pool_revision
from argilla_loop.pool.read import ArgillaRows
from argilla_loop.pool.report import PoolReport
from argilla_loop.settings import PoolSettings

log = structlog.get_logger(__name__)


class WatchedPool:
    """Loads the pool when first asked, and again when its source has changed.

    What cannot be read at start ends the service. Later it does not: a file may be half copied or gone for a moment,
    so the pool stays as it was, the log says why, and the next change is tried again.
    """

    def __init__(
        self,
        settings: PoolSettings,
        *,
        labels: Sequence[str] | None,
        cache_dir: Path,
        argilla_rows: ArgillaRows | None = None,
        argilla_revision: Callable[[], str] | None = None,
    ) -> None:
        """Take what ``load_pool`` and ``pool_revision`` take; reads nothing yet."""
        self._settings = settings
        self._labels = labels
        self._cache_dir = cache_dir
        self._argilla_rows = argilla_rows
        self._argilla_revision = argilla_revision
        self._loaded: tuple[ArrowPool, PoolReport] | None = None
        self._revision: str | None = None  # the one to read
        self._tried: str | None = None  # the one last read, or tried to
        self._glimpsed: str | None = None  # the one of the last look

    def fall_back_on(self, earlier: WatchedPool | None) -> None:
        """Keep what ``earlier`` has read, where its labels fit, until this one can be read.

        A service that starts over has had its start, so a pool that is away for a moment does not end it.
        """
        if earlier is None or earlier._loaded is None:  # noqa: SLF001  of the same class
            return
        labels = earlier._loaded[1].labels  # noqa: SLF001  as above
        if not self._labels or set(labels) <= set(self._labels):
            self._loaded, self._revision = earlier._loaded, earlier._revision  # noqa: SLF001  as above

    def revision(self) -> str:
        """Changes when the pool may have, once two looks in a row agree: files being written to are left alone.

        Raises:
            PoolError: the files are not there, and never were.
        """
        try:
            glimpsed = pool_revision(self._settings, self._argilla_revision)
        except PoolError:
            if self._loaded is None or self._revision is None:
                raise
            return self._revision
        if self._revision is None or glimpsed == self._glimpsed:
            self._revision = glimpsed
        self._glimpsed = glimpsed
        return self._revision

    def current(self) -> ArrowPool:
        """The pool as of the last ``revision()``.

        Raises:
            PoolError: it cannot be read, and never could.
            RetryableError: the source is away.
        """
        revision = self._revision or self.revision()
        if self._loaded is not None and revision == self._tried:
            return self._loaded[0]
        try:
            self._loaded = load_pool(
                self._settings,
                labels=self._labels,
                cache_dir=self._cache_dir,
                argilla_rows=self._argilla_rows,
            )
        except PoolError as error:
            if self._loaded is None:
                raise
            log.error("pool_kept_as_it_was", reason=str(error))  # noqa: TRY400  the reason says it all
        self._tried = revision
        return self._loaded[0]

    @property
    def report(self) -> PoolReport | None:
        """What was found when the pool was last read; ``None`` before that."""
        return self._loaded[1] if self._loaded else None
