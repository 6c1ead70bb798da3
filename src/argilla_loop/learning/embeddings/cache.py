"""A cache of embeddings on disk, by text and encoder, so that a retrain embeds only what is new.

There is one SQLite file for each encoder. A kill at any moment loses at most one chunk, and several processes may share
the file. Whatever is wrong with it costs time and never stops the service; it may be deleted at any moment.
``benchmarks/embeddings-store.md`` compares it with one store for everything.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import structlog

from argilla_loop.domain import Encoder, FloatArray
from argilla_loop.observability.progress import progress as shown_progress
from argilla_loop.policy.text_keys import digest
from argilla_loop.settings.files import make_private_folder

log = structlog.get_logger(__name__)

# Texts looked up, embedded and stored together: what an interruption can lose, and how often progress is reported.
# Chosen, not measured.
CHUNK = 256
# How long to wait for another process that writes to the file. Chosen, not measured.
LOCK_TIMEOUT_SECONDS = 30.0
CHECKSUM_BYTES = 4
# Embeddings kept in memory if the disk takes none: some 150 MB at 384 numbers each. Chosen, not measured.
MAX_MEMORY_ROWS = 100_000
SCHEMA = (
    "CREATE TABLE IF NOT EXISTS embeddings (text_hash BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"
)


class CachedEncoder:
    """An encoder with a cache on disk; implements ``domain.Encoder``.

    Safe to call from several threads. If ``folder`` cannot be written, the cache stays in memory, with a warning.

    Args:
        encoder: embeds what is not in the cache.
        folder: made if missing; holds ``embeddings-<fingerprint>.sqlite3``.
        chunk: texts looked up, embedded and stored together.
        lock_timeout: seconds to wait for another process that writes to the file.
    """

    def __init__(
        self,
        encoder: Encoder,
        folder: Path,
        *,
        chunk: int = CHUNK,
        lock_timeout: float = LOCK_TIMEOUT_SECONDS,
    ) -> None:
        self.encoder = encoder
        self.folder = folder
        self._chunk, self._lock_timeout = chunk, lock_timeout
        self._lock = threading.Lock()
        self._memory: dict[bytes, FloatArray] = {}  # what the disk did not take
        self._warned = False

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the wrapped encoder."""
        return self.encoder.fingerprint

    @property
    def path(self) -> Path:
        """The cache file; there is one for each fingerprint, so embeddings of two encoders never mix."""
        return self.folder / f"embeddings-{self.fingerprint}.sqlite3"

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Embed ``texts``, as far as they are not in the cache: float32 of shape (n, d), in the given order.

        Each chunk is stored as soon as it is embedded, so an interruption keeps what is done.
        """
        if not texts:
            return self.encoder.encode([])
        vectors: FloatArray | None = None
        with self._lock, _progress(progress, len(texts)) as advance:
            for start in range(0, len(texts), self._chunk):
                chunk = self._encode_chunk(texts[start : start + self._chunk])
                if vectors is None:
                    vectors = np.empty((len(texts), chunk.shape[1]), dtype=np.float32)
                vectors[start : start + len(chunk)] = chunk
                advance(len(chunk))
        assert vectors is not None  # noqa: S101 - texts is not empty here, which the type checker cannot see
        return vectors

    def _encode_chunk(self, texts: Sequence[str]) -> FloatArray:
        keys = [digest(text) for text in texts]
        known = self._read(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            fresh = dict(zip(missing, self.encoder.encode(list(missing.values())), strict=True))
            self._write(fresh)
            known |= fresh
        return np.stack([known[key] for key in keys])

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, FloatArray]:
        found = {key: self._memory[key] for key in keys if key in self._memory}
        with self._disk_errors_logged(), self._connection() as connection:
            marks = ",".join("?" * len(keys))
            rows = connection.execute(
                f"SELECT text_hash, vector FROM embeddings WHERE text_hash IN ({marks})",  # noqa: S608 - only ?s
                keys,
            ).fetchall()
            vectors = ((key, _unpack(blob)) for key, blob in rows)
            found |= {key: vector for key, vector in vectors if vector is not None}
        return found

    def _write(self, vectors: dict[bytes, FloatArray]) -> None:
        stored = False
        with self._disk_errors_logged(), self._connection() as connection:
            with connection:  # one transaction
                connection.executemany(
                    "INSERT OR REPLACE INTO embeddings VALUES (?, ?)",
                    [(key, _pack(vector)) for key, vector in vectors.items()],
                )
            stored = True
        if stored:
            self._warned = False
        elif len(self._memory) < MAX_MEMORY_ROWS:
            self._memory |= vectors

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for one use: the file is not held open while people annotate, so it may be deleted."""
        make_private_folder(self.folder)
        with closing(sqlite3.connect(self.path, timeout=self._lock_timeout)) as connection:
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(SCHEMA)
            yield connection

    @contextmanager
    def _disk_errors_logged(self) -> Iterator[None]:
        """Log an error of the disk or the database, and go on without the disk."""
        try:
            yield
        except (OSError, sqlite3.OperationalError) as error:  # read-only, full, or locked for too long
            self._warn(error)
        except sqlite3.DatabaseError as error:  # not a database, or a malformed one
            log.warning("embedding_cache_discarded", path=str(self.path), reason=str(error))
            try:
                self.path.unlink(missing_ok=True)
                self.path.with_name(f"{self.path.name}-journal").unlink(missing_ok=True)
            except OSError as refused:
                self._warn(refused)

    def _warn(self, error: Exception) -> None:
        """Log, once until the disk takes rows again, that embeddings stay in memory."""
        if not self._warned:
            self._warned = True
            log.warning("embedding_cache_in_memory", path=str(self.path), reason=str(error))


@contextmanager
def _progress(shown: bool, total: int) -> Iterator[Callable[[int], None]]:  # noqa: FBT001 - private, one caller
    if not shown:
        yield lambda _: None
        return
    with shown_progress("embedding_texts", total) as advance:
        yield advance


def _pack(vector: FloatArray) -> bytes:
    content = np.ascontiguousarray(vector, dtype="<f4").tobytes()
    return content + zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little")


def _unpack(blob: bytes) -> FloatArray | None:
    """Return the vector, or None if its checksum is wrong: SQLite itself does not notice a flipped bit."""
    content, checksum = blob[:-CHECKSUM_BYTES], blob[-CHECKSUM_BYTES:]
    if zlib.crc32(content).to_bytes(CHECKSUM_BYTES, "little") != checksum:
        return None
    return np.frombuffer(content, dtype="<f4").astype(np.float32)
