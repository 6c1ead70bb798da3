"""The embeddings of a whole pool: made in the background in random order, kept on disk, read as a matrix."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import Encoder, FloatArray, IndexArray, Pool
from argilla_loop.errors import RetryableError
from argilla_loop.learning.embeddings.segments import ABSENT, KeyArray, VectorsLostError, VectorStore, keys_of
from argilla_loop.observability.progress import LOG_EVERY_SECONDS
from argilla_loop.observability.progress import progress as shown_progress
from argilla_loop.policy.query import shuffled

log = structlog.get_logger(__name__)

# So many texts of a pool are waited for, others come as they come: small pools are always complete.
FIRST = 2000
# Embedded and stored together: what an interruption can lose, and how long a change of pool can wait.
CHUNK = 128
# Texts hashed at a time, so that a million texts are never a million strings.
HASHED = 8192
# Rows turned into float32 at a time: some 12 MB of 384 numbers each, which stay in the processor's cache.
ROWS = 8192
# Beside a turn's own embedding, the rest of the pool gets a tenth of a core (see setpriority(2)).
NICENESS = 10
CLOSE_SECONDS = 5.0


@dataclass(slots=True)
class _Work:
    """What is known of one pool's embeddings."""

    pool: Pool
    order: IndexArray
    slots: IndexArray  # by position: where its embedding lies, or ABSENT
    looked_up: bool = False  # whether ``slots`` says what was on disk
    failure: Exception | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class PoolVectors:
    """Embeds a pool in the background, each text once ever, and reads embeddings by pool position.

    Texts are embedded in a random order that depends on ``seed`` and position only (as ``policy.query.shuffled``
    has it), so what is there at any moment is a fair sample of the pool. Files are shared by all pools and outlive
    them: where a pool grows or changes, only its new texts are embedded.

    Args:
        encoder: the plain one: behind a cache of its own every vector would be kept twice, and its lock be waited for.
        folder: for ``vectors-<fingerprint>.<number>.f16``; may be deleted at any time.
        seed: for the order.
    """

    def __init__(self, encoder: Encoder, folder: Path, *, seed: int) -> None:
        self._encoder, self._folder, self._seed = encoder, folder, seed
        self._changed = threading.Condition()
        self._work: _Work | None = None
        self._store: VectorStore | None = None
        self._lost: VectorStore | None = None  # one whose files were changed, not to be used again

    def follow(self, pool: Pool) -> None:
        """Start (or go on) embedding ``pool`` in the background; returns at once; stops following another."""
        with self._changed:
            before = self._work
            if before is not None:
                if before.failure is None and _same(before.pool, pool) and not before.stop.is_set():
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

    def ready(self, pool: Pool, *, at_least: int = FIRST) -> IndexArray:
        """Positions of ``pool`` whose embeddings are there, ascending; follows ``pool`` where it is not followed yet.

        Waits, showing progress, until the first ``at_least`` of the random order are among them: all of a pool that
        is not larger.

        Raises:
            ModelError: the encoder cannot be loaded or run; or whatever else ended the background work. The
                next call tries again.
            RetryableError: another pool was followed, or this object closed, meanwhile.
        """
        self.follow(pool)
        with self._changed:
            work = self._following()
            first = work.order[:at_least]

            def missing() -> int:
                return int((work.slots[first] == ABSENT).sum()) if work.looked_up else len(first)

            self._wait(work, lambda: work.looked_up)
            if left := missing():
                with shown_progress("embedding_texts", left, logged=False) as advance:  # _Told tells the log
                    while left:
                        before = left
                        self._wait(work, lambda before=before: missing() < before)  # type: ignore[misc]  # mypy#1484
                        left = missing()
                        advance(before - left)
            return np.flatnonzero(work.slots != ABSENT)

    def rows(self, positions: IndexArray) -> NDArray[np.float16]:
        """Embeddings at ``positions`` of the followed pool, in that order: float16 of shape (n, d).

        Raises:
            ValueError: one of them is not there yet; take positions that ``ready`` gave.
            VectorsLostError: somebody changed the files meanwhile; the next ``ready`` embeds what is lost.
        """
        with self._changed:
            work, store = self._following(), self._store
            slots = work.slots[positions]
        if absent := int((slots == ABSENT).sum()):
            raise ValueError(
                f"{absent} of {len(slots)} positions have no embedding yet: take those of ready()"
            )
        if store is None:  # nothing was looked up yet, so positions is empty
            return np.asarray(self._encoder.encode([]), dtype=np.float16)
        try:
            return store.gather(slots)
        except VectorsLostError as error:
            log.warning("pool_vectors_lost", folder=str(self._folder), then="embedding these texts again")
            with self._changed:
                self._lost, work.failure = store, error  # so that the next follow() begins anew
            raise

    def chunks(self, positions: IndexArray) -> Iterator[FloatArray]:
        """Embeddings at ``positions``, in that order, as float32 blocks of at most ``ROWS`` rows.

        For scoring: ``np.concatenate([block @ weights for block in vectors.chunks(positions)])`` never holds all
        of a million embeddings.
        """
        for start in range(0, len(positions), ROWS):
            yield self.rows(positions[start : start + ROWS]).astype(np.float32)

    def prefix(self, n: int) -> IndexArray:
        """The first ``n`` positions of the followed pool in the random order: a fixed sample of it."""
        return self._following().order[:n]

    def close(self) -> None:
        """Stop embedding, wait some seconds for the chunk in hand, let go of the files."""
        with self._changed:
            work = self._work
            if work is not None:
                work.stop.set()
                self._changed.notify_all()
        if work is not None and work.thread is not None:
            work.thread.join(CLOSE_SECONDS)
            if work.thread.is_alive():  # on a busy machine; the files are whole whenever the process ends
                return
        if self._store is not None:
            self._store.close()
        self._work = self._store = None

    def _following(self) -> _Work:
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
        """Look up what is on disk, embed the rest; the thread's whole life."""
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
        except Exception as error:  # noqa: BLE001  handed to whoever waits, see ready()
            with self._changed:
                work.failure = error
                self._changed.notify_all()
            log.warning("pool_embedding_failed", error=type(error).__name__, reason=str(error))

    def _look_up(self, work: _Work, store: VectorStore) -> KeyArray:
        started = time.monotonic()
        count = len(work.pool)
        keys: KeyArray = np.empty((count, 2), dtype=np.uint64)
        for start in range(0, count, HASHED):
            if work.stop.is_set():
                return keys
            part = np.arange(start, min(start + HASHED, count), dtype=np.int64)
            keys[part] = keys_of(work.pool.texts(part))
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
        # Somebody waits for the first ones; the others are to be in nobody's way.
        waited_for = int((work.slots[work.order[:FIRST]] == ABSENT).sum())
        told = _Told(len(missing))
        for start in range(0, len(missing), CHUNK):
            if work.stop.is_set():
                return
            if start >= waited_for:
                _be_nice()
            part = missing[start : start + CHUNK]
            vectors = self._encoder.encode(work.pool.texts(part)).astype(np.float16)
            slots = store.append(keys[part], vectors)
            with self._changed:
                work.slots[part] = slots
                self._changed.notify_all()
            told.tell(start + len(part))


class _Told:
    """Tells the log every few seconds how far it is.

    Not ``progress``, which beats the heart: while texts are embedded in the background a service may still hang.
    """

    def __init__(self, total: int) -> None:
        self._total = total
        self._started = self._last = time.monotonic()

    def tell(self, done: int) -> None:
        now = time.monotonic()
        finished = done == self._total
        if not finished and now - self._last < LOG_EVERY_SECONDS:
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


def _be_nice() -> None:
    """Let this thread, and those it starts, give way to all others: on Linux niceness is a thread's own."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, me, max(NICENESS, os.getpriority(os.PRIO_PROCESS, me)))


def _same(one: Pool, other: Pool) -> bool:
    return one is other or one.fingerprint == other.fingerprint
