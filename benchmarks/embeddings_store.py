"""One store of embeddings or two: disk, reopening, and what a turn reads; writes ``embeddings-store.md``.

    python benchmarks/embeddings_store.py [--texts 100000] [--examples 3000] [--repeats 5]

The embeddings are random, so the encoder costs nothing. Every candidate holds the same texts: the pool, of which a
turn reads every row, and the examples, which are texts of the pool that people have answered. ``lmdb`` is measured
only if that package is installed; the service does not depend on it.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from argilla_loop.domain import FloatArray, HalfArray
from argilla_loop.learning.embeddings.cache import CachedEncoder
from argilla_loop.learning.embeddings.store import VectorStore, hash_texts

DIMENSION, LABELS = 384, 5
FINGERPRINT = "b" * 32
ROWS = 8192  # rows turned into scores at a time, as in ``vectors.py``
TURN = 20  # texts that a turn looks up by what they say: new answers and the next batch
APPENDED = 128  # rows stored together, as in ``vectors.py``
MIB = 1 << 20

Texts = Sequence[str]


class TableEncoder:
    """Embeddings from a table; ``domain.Encoder`` for texts that begin with their row's number."""

    fingerprint = FINGERPRINT

    def __init__(self, rows: FloatArray) -> None:
        self.rows = rows

    def encode(self, texts: Texts, *, progress: bool = False) -> FloatArray:
        """Return the rows whose numbers the texts begin with."""
        del progress
        return self.rows[[int(text.partition(" ")[0]) for text in texts]]


class Candidate(ABC):
    """A way to store embeddings: all rows of a pool as a matrix, and single texts as float32."""

    name: str

    def __init__(self, folder: Path, encoder: TableEncoder) -> None:
        self.folder, self.encoder = folder, encoder

    @abstractmethod
    def fill(self, pool: Texts, examples: Texts) -> None:
        """Store both, ``APPENDED`` texts at a time."""

    @abstractmethod
    def open(self, pool: Texts) -> None:
        """Open the store in a process that knows nothing, and find the pool's rows."""

    @abstractmethod
    def block(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop`` of the pool as float32."""

    @abstractmethod
    def texts(self, texts: Texts) -> FloatArray:
        """Return the float32 embeddings of a turn's few texts."""

    @abstractmethod
    def close(self) -> None:
        """Close the store."""


class Segments(Candidate):
    """Rows of one width in files that are only appended to."""

    kept: str

    def pack(self, vectors: FloatArray) -> HalfArray:
        """Return the rows as they are stored."""
        return vectors.astype("<f2") if self.kept == "<f2" else vectors.astype("<f4").view("<f2")

    def unpack(self, rows: HalfArray) -> FloatArray:
        """Return stored rows as float32."""
        return np.asarray(rows.view(self.kept), dtype=np.float32)

    def store(self) -> VectorStore:
        """Open the files."""
        width = DIMENSION * np.dtype(self.kept).itemsize // 2  # VectorStore counts in units of two bytes
        return VectorStore(self.folder / "vectors", FINGERPRINT, width)

    def fill(self, pool: Texts, examples: Texts) -> None:
        """Store both, ``APPENDED`` texts at a time."""
        del examples  # they are texts of the pool
        store = self.store()
        for start in range(0, len(pool), APPENDED):
            part = pool[start : start + APPENDED]
            store.append(hash_texts(part), self.pack(self.encoder.encode(part)))
        store.close()

    def open(self, pool: Texts) -> None:
        """Open the store and find the pool's rows."""
        self._store = self.store()
        self._slots = self._store.find(hash_texts(pool))

    def block(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop`` of the pool as float32."""
        return self.unpack(self._store.gather(self._slots[start:stop]))

    def texts(self, texts: Texts) -> FloatArray:
        """Return the float32 embeddings of a turn's few texts."""
        return self.unpack(self._store.gather(self._store.find(hash_texts(texts))))

    def close(self) -> None:
        """Close the store."""
        self._store.close()


class Float16Segments(Segments):
    """One store, float16."""

    name, kept = "segments, float16", "<f2"


class Float32Segments(Segments):
    """One store, float32."""

    name, kept = "segments, float32", "<f4"


class Today(Float16Segments):
    """float16 segments for the pool and float32 in SQLite for a turn's texts."""

    name = "both (today)"

    def fill(self, pool: Texts, examples: Texts) -> None:
        """Store both, ``APPENDED`` texts at a time."""
        super().fill(pool, examples)
        CachedEncoder(self.encoder, self.folder).encode(examples)

    def open(self, pool: Texts) -> None:
        """Open the store and find the pool's rows."""
        super().open(pool)
        self._cached = CachedEncoder(self.encoder, self.folder)

    def texts(self, texts: Texts) -> FloatArray:
        """Return the float32 embeddings of a turn's few texts."""
        return self._cached.encode(texts)


class Sqlite(Candidate):
    """One SQLite file, float32, found by text."""

    name = "SQLite, float32"

    def fill(self, pool: Texts, examples: Texts) -> None:
        """Store both, ``APPENDED`` texts at a time."""
        del examples
        cached = CachedEncoder(self.encoder, self.folder)
        for start in range(0, len(pool), APPENDED):
            cached.encode(pool[start : start + APPENDED])

    def open(self, pool: Texts) -> None:
        """Open the store and find the pool's rows."""
        self._pool, self._cached = pool, CachedEncoder(self.encoder, self.folder)
        # what a service must know at its start: which texts of the pool are there
        with sqlite3.connect(self._cached.path) as connection:
            known = {key for (key,) in connection.execute("SELECT text_hash FROM embeddings")}
        connection.close()
        assert all(key.tobytes() in known for key in hash_texts(pool))

    def block(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop`` of the pool as float32."""
        return self._cached.encode(self._pool[start:stop])

    def texts(self, texts: Texts) -> FloatArray:
        """Return the float32 embeddings of a turn's few texts."""
        return self._cached.encode(texts)

    def close(self) -> None:
        """Do nothing: the cache holds no file open between two calls."""


class Lmdb(Candidate):
    """One LMDB file, float32, found by text; without a checksum, which the others have."""

    name = "LMDB, float32"

    def _environment(self) -> Any:
        return importlib.import_module("lmdb").open(str(self.folder), map_size=1 << 34)

    def fill(self, pool: Texts, examples: Texts) -> None:
        """Store both, ``APPENDED`` texts at a time."""
        del examples
        with self._environment() as environment:
            for start in range(0, len(pool), APPENDED):
                part = pool[start : start + APPENDED]
                rows = zip(hash_texts(part), self.encoder.encode(part), strict=True)
                with environment.begin(write=True) as transaction:
                    for key, vector in rows:
                        transaction.put(key.tobytes(), vector.tobytes())

    def open(self, pool: Texts) -> None:
        """Open the store and find the pool's rows."""
        self._lmdb = self._environment()
        self._keys = [key.tobytes() for key in hash_texts(pool)]
        with self._lmdb.begin() as transaction:
            known = set(transaction.cursor().iternext(values=False))
        assert all(key in known for key in self._keys)

    def _rows(self, keys: Sequence[bytes]) -> FloatArray:
        with self._lmdb.begin() as transaction:
            joined = b"".join(transaction.get(key) for key in keys)
        return np.frombuffer(joined, dtype="<f4").reshape(-1, DIMENSION)

    def block(self, start: int, stop: int) -> FloatArray:
        """Return rows ``start`` to ``stop`` of the pool as float32."""
        return self._rows(self._keys[start:stop])

    def texts(self, texts: Texts) -> FloatArray:
        """Return the float32 embeddings of a turn's few texts."""
        return self._rows([key.tobytes() for key in hash_texts(texts)])

    def close(self) -> None:
        """Close the store."""
        self._lmdb.close()


def timed(work: Callable[[], object]) -> float:
    """Return the processor seconds that ``work`` takes: other processes keep the cores busy."""
    started = time.process_time()
    work()
    return time.process_time() - started


def score(candidate: Candidate, count: int, weights: FloatArray) -> None:
    """Score the pool as a turn does."""
    for start in range(0, count, ROWS):
        candidate.block(start, min(start + ROWS, count)) @ weights


def measure(candidate: Candidate, pool: Texts, examples: Texts, repeats: int) -> dict[str, float]:
    """Return the candidate's figures: seconds (medians), MiB, and whether a text keeps its float32 bytes."""
    found = {"fill": timed(lambda: candidate.fill(pool, examples))}
    found["disk"] = sum(path.stat().st_blocks * 512 for path in candidate.folder.rglob("*")) / MIB
    weights = np.random.default_rng(1).standard_normal((DIMENSION, LABELS)).astype(np.float32)
    taken: dict[str, list[float]] = {"reopen": [], "pool": [], "examples": [], "turn": []}
    for _ in range(repeats):
        taken["reopen"].append(timed(lambda: candidate.open(pool)))
        taken["pool"].append(timed(lambda: score(candidate, len(pool), weights)))
        taken["examples"].append(timed(lambda: candidate.texts(examples)))
        taken["turn"].append(timed(lambda: candidate.texts(examples[-TURN:])))
        exact = candidate.texts(examples).tobytes() == candidate.encoder.encode(examples).tobytes()
        candidate.close()
    return found | {name: statistics.median(each) for name, each in taken.items()} | {"exact": exact}


def main() -> None:
    """Measure, print, and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, default=100_000)
    parser.add_argument("--examples", type=int, default=3_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    rows = np.random.default_rng(0).standard_normal((options.texts, DIMENSION)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pool = [f"{number} {'a text of some fifty words ' * 8}" for number in range(options.texts)]
    examples = pool[:: max(1, options.texts // options.examples)][: options.examples]
    has_lmdb = importlib.util.find_spec("lmdb") is not None
    kinds: list[type[Candidate]] = [Today, Float32Segments, Float16Segments, Sqlite]
    if has_lmdb:
        kinds.append(Lmdb)
    columns = ("disk", "fill", "reopen", "pool", "examples", "turn")
    results: dict[str, dict[str, float]] = {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            results[kind.name] = measure(
                kind(Path(folder), TableEncoder(rows)), pool, examples, options.repeats
            )
        print(kind.name, results[kind.name], flush=True)
    base = results[Today.name]
    lines = [
        f"| {name} | "
        + " | ".join(f"{found[column] / base[column]:.2f}" for column in columns)
        + f" | {'yes' if found['exact'] else 'no'} |"
        for name, found in results.items()
    ]
    absolute = " | ".join(
        f"{base[column]:.0f} MiB" if column == "disk" else f"{1000 * base[column]:.1f} ms"
        for column in columns
    )
    packages = f"numpy {version('numpy')}, SQLite {sqlite3.sqlite_version}" + (
        f", lmdb {version('lmdb')}" if has_lmdb else ""
    )
    text = f"""# One store of embeddings, or two

{options.texts:,} random embeddings of {DIMENSION} numbers, {options.examples:,} of them examples. All figures are
ratios to *both (today)* in the same run: float16 segments for the pool, float32 in SQLite for a turn's texts. Below
1.00 is better. Times are processor time, medians of {options.repeats}; files are in the page cache.

- *disk*: bytes allocated. *fill*: storing everything, {APPENDED} texts at a time, with an encoder that costs nothing.
- *reopen*: hashing the pool's texts and finding which of them are there, as at the start of the service.
- *pool*: reading every row and scoring {LABELS} labels, once a turn. *examples*: reading all examples by their text,
  once a turn. *turn*: reading {TURN} texts.
- *exact*: an example has the float32 bytes that the encoder gave, on which stored certainties depend.

| store | {" | ".join(columns)} | exact |
|---|{"--:|" * len(columns)}---|
{chr(10).join(lines)}
| *{Today.name}, absolute* | {absolute} | |

Python {platform.python_version()}, {os.cpu_count()} shared cores, {packages}.
Made by `python benchmarks/embeddings_store.py`.
"""
    Path(__file__).with_name("embeddings-store.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
