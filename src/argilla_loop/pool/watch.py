"""The present pool, for a service that runs for weeks while files are added to the source."""

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
    """Loads the pool on first use, and again when its source has changed.

    A pool that cannot be read at the start ends the service. Later it does not, as a file may be incomplete or missing
    for a moment: the pool stays as it was, an error is logged, and the next change is tried again.
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
        """Take the arguments of ``load_pool`` and ``pool_revision``; read nothing yet."""
        self._settings = settings
        self._labels = labels
        self._cache_dir = cache_dir
        self._argilla_rows = argilla_rows
        self._argilla_revision = argilla_revision
        self._loaded: tuple[ArrowPool, PoolReport] | None = None
        self._revision: str | None = None  # to read next
        self._attempted: str | None = None  # of the last attempt to read
        self._last_seen: str | None = None  # of the last call

    def fall_back_on(self, earlier: WatchedPool | None) -> None:
        """Use the pool of ``earlier``, if its labels fit, until this one can be read.

        A missing pool does not end a service that restarts its work, only one that starts for the first time.
        """
        if earlier is None or earlier._loaded is None:  # noqa: SLF001  of the same class
            return
        labels = earlier._loaded[1].labels  # noqa: SLF001  as above
        if not self._labels or set(labels) <= set(self._labels):
            self._loaded, self._revision = earlier._loaded, earlier._revision  # noqa: SLF001  as above

    def revision(self) -> str:
        """Return a value that changes when the pool may have changed, once two calls in a row agree.

        So files that are being written to are not read yet.

        Raises:
            PoolError: the files do not exist, and never did.
        """
        try:
            seen = pool_revision(self._settings, self._argilla_revision)
        except PoolError:
            if self._loaded is None or self._revision is None:
                raise
            return self._revision
        if self._revision is None or seen == self._last_seen:
            self._revision = seen
        self._last_seen = seen
        return self._revision

    def current(self) -> ArrowPool:
        """Return the pool as of the last ``revision()``.

        Raises:
            PoolError: it cannot be read, and never was.
            RetryableError: the source cannot be reached.
        """
        revision = self._revision or self.revision()
        if self._loaded is not None and revision == self._attempted:
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
            log.error("pool_kept_as_it_was", reason=str(error))  # noqa: TRY400  the reason is the whole message
        self._attempted = revision
        return self._loaded[0]

    @property
    def report(self) -> PoolReport | None:
        """The report of the last reading; ``None`` before the first."""
        return self._loaded[1] if self._loaded else None
