"""The embeddings of a whole pool: computed in the background in random order, stored on disk, read as a matrix."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import Encoder, FloatArray, IndexArray, Pool
from argilla_loop.errors import RetryableError
from argilla_loop.learning.embeddings.segments import KeyArray
from argilla_loop.learning.embeddings.store import ABSENT, VectorsLostError, VectorStore, hash_texts
from argilla_loop.observability.progress import LOG_EVERY_SECONDS
from argilla_loop.observability.progress import progress as shown_progress
from argilla_loop.policy.query import shuffled

log = structlog.get_logger(__name__)

# Texts of a pool that ``ready`` waits for: pools up to this size are always complete. Chosen, not measured, as the
# number that a turn compares with one another (``policy.query.cover.SAMPLE``).
AWAITED = 2000
# Texts embedded and stored together: what an interruption can lose, and how long a change of the pool may wait. Chosen,
# not measured.
CHUNK = 128
# Texts hashed at a time, so that a million texts are never a million strings. Chosen, not measured.
HASH_CHUNK = 8192
# Rows converted to float32 at a time: some 12 MB at 384 numbers each. Chosen, not measured.
BLOCK_ROWS = 8192
# Niceness of the background work: beside a thread of niceness 0 it gets a tenth of a core (see sched(7)).
NICENESS = 10
# How long ``close`` waits for the chunk that is being embedded. Chosen, not measured.
CLOSE_SECONDS = 5.0

Progress = Callable[..., AbstractContextManager[Callable[[int], None]]]


@dataclass(slots=True)
class _Work:
    """The state of one pool's embeddings."""

    pool: Pool
    order: IndexArray
    slots: IndexArray  # by position: where its embedding is stored, or ABSENT
    looked_up: bool = False  # whether ``slots`` reflects what was on disk
    failure: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class PoolVectors:
    """Embeds a pool in the background, each text only once, and reads embeddings by pool position.

    Texts are embedded in a random order that depends on ``seed`` and position only (see ``policy.query.shuffled``), so
    the embeddings that exist at any moment are a fair sample of the pool. All pools share the files: where a pool grows
    or changes, only its new texts are embedded.

    Args:
        encoder: one without a cache. A cache of its own would store every vector twice and make this class wait for
            its lock.
        folder: for ``vectors-<fingerprint>.<number>.f16``; may be deleted at any time.
        seed: for the order.
        awaited: the number of texts that are embedded at the process's own priority, as ``ready`` waits for them.
        chunk: texts embedded and stored together.
        hash_chunk: texts hashed at a time.
        block_rows: rows of one block of ``chunks``.
        log_every: seconds between two log lines about progress.
        progress: shows progress to whoever waits in ``ready``.
    """

    def __init__(
        self,
        encoder: Encoder,
        folder: Path,
        *,
        seed: int,
        awaited: int = AWAITED,
        chunk: int = CHUNK,
        hash_chunk: int = HASH_CHUNK,
        block_rows: int = BLOCK_ROWS,
        log_every: float = LOG_EVERY_SECONDS,
        progress: Progress = shown_progress,
    ) -> None:
        self._encoder, self._folder, self._seed = encoder, folder, seed
        self._awaited, self._chunk, self._hash_chunk = awaited, chunk, hash_chunk
        self._block_rows, self._log_every, self._progress = block_rows, log_every, progress
        self._changed = threading.Condition()
        self._work: _Work | None = None
        self._store: VectorStore | None = None
        self._lost: VectorStore | None = None  # a store whose files were changed, not to be used again

    def follow(self, pool: Pool) -> None:
        """Embed ``pool`` in the background, in place of any other pool; return at once."""
        with self._changed:
            before = self._work
            if before is not None:
                if before.failure is None and _same_content(before.pool, pool) and not before.stop.is_set():
                    before.pool = pool
                    return
                before.stop.set()
                self._changed.notify_all()
            count = len(pool)
            order = shuffled(np.arange(count, dtype=np.int64), self._seed)
            work = _Work(pool, order, np.full(count, ABSENT, dtype=np.int64))
            work.thread = threading.Thread(
                target=self._run, args=(work, before), name="pool-vectors", daemon=True
            )
            self._work = work
            work.thread.start()

    def ready(self, pool: Pool, *, at_least: int = AWAITED) -> IndexArray:
        """Return the positions of ``pool`` that have an embedding, ascending; follow ``pool`` if it is not followed.

        Waits, showing progress, until the first ``at_least`` positions of the random order are among them, or all
        positions of a smaller pool.

        Raises:
            ModelError: the encoder cannot be loaded or run. Any other error that ended the background work is raised
                as it is. The next call tries again.
            RetryableError: another pool was followed, or this object was closed, in the meantime.
        """
        self.follow(pool)
        with self._changed:
            work = self._current_work()
            first = work.order[:at_least]

            def missing() -> int:
                return int((work.slots[first] == ABSENT).sum()) if work.looked_up else len(first)

            self._wait(work, lambda: work.looked_up)
            if left := missing():
                with self._progress(
                    "embedding_texts", left, logged=False
                ) as advance:  # _ProgressLog writes the log
                    while left:
                        before = left
                        self._wait(work, lambda before=before: missing() < before)  # type: ignore[misc]  # mypy#1484
                        left = missing()
                        advance(before - left)
            return np.flatnonzero(work.slots != ABSENT)

    def is_complete(self, pool: Pool) -> bool:
        """Return at once whether ``pool`` is the followed one, and each of its texts has an embedding."""
        with self._changed:
            work = self._work
            return (
                work is not None
                and work.looked_up
                and work.failure is None
                and _same_content(work.pool, pool)
                and not (work.slots == ABSENT).any()
            )

    def rows(self, positions: IndexArray) -> NDArray[np.float16]:
        """Return the embeddings at ``positions`` of the followed pool, in that order: float16 of shape (n, d).

        Raises:
            ValueError: a position has no embedding yet; pass positions that ``ready`` returned.
            VectorsLostError: somebody changed the files in the meantime; the next ``ready`` embeds what is lost.
        """
        with self._changed:
            work, store = self._current_work(), self._store
            slots = work.slots[positions]
        if absent := int((slots == ABSENT).sum()):
            raise ValueError(
                f"{absent} of {len(slots)} positions have no embedding yet: take those of ready()"
            )
        if store is None:  # not looked up yet, so positions is empty
            return np.asarray(self._encoder.encode([]), dtype=np.float16)
        try:
            return store.gather(slots)
        except VectorsLostError as error:
            log.warning("pool_vectors_lost", folder=str(self._folder), then="embedding these texts again")
            with self._changed:
                self._lost, work.failure = store, error  # the next follow() starts again
            raise

    def chunks(self, positions: IndexArray) -> Iterator[FloatArray]:
        """Yield the embeddings at ``positions``, in that order, as float32 blocks of at most ``block_rows`` rows.

        Use it for scoring: ``np.concatenate([block @ weights for block in vectors.chunks(positions)])`` never holds
        all of a million embeddings.
        """
        for start in range(0, len(positions), self._block_rows):
            yield self.rows(positions[start : start + self._block_rows]).astype(np.float32)

    def prefix(self, n: int) -> IndexArray:
        """Return the first ``n`` positions of the followed pool in the random order: a fixed sample of it."""
        return self._current_work().order[:n]

    def close(self) -> None:
        """Stop embedding, wait some seconds for the current chunk, and close the files."""
        with self._changed:
            work = self._work
            if work is not None:
                work.stop.set()
                self._changed.notify_all()
        if work is not None and work.thread is not None:
            work.thread.join(CLOSE_SECONDS)
            if work.thread.is_alive():  # a busy machine; the files stay whole whenever the process ends
                return
        if self._store is not None:
            self._store.close()
        self._work = self._store = None

    def _current_work(self) -> _Work:
        if self._work is None:
            raise ValueError("no pool is followed: call follow() first")
        return self._work

    def _wait(self, work: _Work, until: Callable[[], bool]) -> None:
        self._changed.wait_for(lambda: until() or work.failure is not None or work.stop.is_set())
        if until():
            return
        if work.failure is not None:
            raise work.failure
        raise RetryableError("the embedding of the pool was stopped, as the pool changed or the service ends")

    def _run(self, work: _Work, before: _Work | None) -> None:
        """Look up what is on disk and embed the rest: all that the thread does."""
        try:
            if before is not None and before.thread is not None:
                before.thread.join()  # one writer at a time
            if self._store is not None and self._store is self._lost:
                self._store.close()
                self._store = None
            if self._store is None:
                dimension = self._encoder.encode([]).shape[1]
                self._store = VectorStore(self._folder, self._encoder.fingerprint, dimension)
            keys = self._look_up(work, self._store)
            self._embed(work, self._store, keys)
        except Exception as error:  # noqa: BLE001  raised again by ready(), see there
            with self._changed:
                work.failure = error
                self._changed.notify_all()
            log.warning("pool_embedding_failed", error=type(error).__name__, reason=str(error))

    def _look_up(self, work: _Work, store: VectorStore) -> KeyArray:
        started = time.monotonic()
        count = len(work.pool)
        keys: KeyArray = np.empty((count, 2), dtype=np.uint64)
        for start in range(0, count, self._hash_chunk):
            if work.stop.is_set():
                return keys
            part = np.arange(start, min(start + self._hash_chunk, count), dtype=np.int64)
            keys[part] = hash_texts(work.pool.texts(part))
        slots = store.find(keys)
        with self._changed:
            work.slots, work.looked_up = slots, True
            self._changed.notify_all()
        log.info(
            "pool_vectors_looked_up",
            texts=count,
            missing=int((slots == ABSENT).sum()),
            seconds=round(time.monotonic() - started, 3),
        )
        return keys

    def _embed(self, work: _Work, store: VectorStore, keys: KeyArray) -> None:
        missing = work.order[work.slots[work.order] == ABSENT]
        # A turn waits for the first ones; the others must not slow anything down.
        urgent = int((work.slots[work.order[: self._awaited]] == ABSENT).sum())
        progress = _ProgressLog(len(missing), self._log_every)
        for start in range(0, len(missing), self._chunk):
            if work.stop.is_set():
                return
            if start >= urgent:
                _lower_priority()
            part = missing[start : start + self._chunk]
            vectors = self._encoder.encode(work.pool.texts(part)).astype(np.float16)
            slots = store.append(keys[part], vectors)
            with self._changed:
                work.slots[part] = slots
                self._changed.notify_all()
            progress.update(start + len(part))


class _ProgressLog:
    """Logs every few seconds how many texts are embedded.

    It is not ``observability.progress``, which also reports that the service is alive: while texts are embedded in the
    background, the service may hang.
    """

    def __init__(self, total: int, every_seconds: float) -> None:
        self._total, self._every_seconds = total, every_seconds
        self._started = self._last = time.monotonic()

    def update(self, done: int) -> None:
        now = time.monotonic()
        finished = done == self._total
        if not finished and now - self._last < self._every_seconds:
            return
        self._last = now
        left = (now - self._started) / done * (self._total - done)
        log.info(
            "pool_embedded" if finished else "progress",
            task="embedding_pool",
            done=done,
            total=self._total,
            **({"seconds": round(now - self._started, 1)} if finished else {"seconds_left": round(left)}),
        )


def _lower_priority() -> None:
    """Raise the niceness of this thread and of those that it starts: on Linux each thread has its own."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, thread, max(NICENESS, os.getpriority(os.PRIO_PROCESS, thread)))


def _same_content(one: Pool, other: Pool) -> bool:
    return one is other or one.fingerprint == other.fingerprint
