"""A pool's embeddings at scale: kill and resume, start with a complete cache, scoring all; writes ``pool_scale.md``.

    python benchmarks/pool_scale.py [--texts 100000 1000000]

Texts and embeddings are synthetic (the encoder takes no time), so that the rest is measured: hashing texts,
looking them up, mapping, multiplying. Each step is a process of its own, with a real pool read from parquet.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from argilla_loop.domain import FloatArray, Pool
from argilla_loop.learning.embeddings.vectors import PoolVectors
from argilla_loop.pool import load_pool
from argilla_loop.settings import PoolSettings
from shared.logs import silence_logs
from shared.machine import versions
from shared.processes import run_step

DIMENSION = 384
LABELS = (5, 150)
WORDS = ["the", "market", "team", "goal", "share", "chip", "match", "vote", "game", "price", "court", "film"]
STATUS = Path("/proc/self/status")


class Costless:
    """Embeddings made of two rows of a table each, chosen by the number that a text begins with."""

    fingerprint = "c" * 32

    def __init__(self) -> None:
        self._table = np.random.default_rng(0).standard_normal((2048, DIMENSION)).astype(np.float32)
        self.encoded = 0

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> FloatArray:
        """Unit rows, different for each number below four million."""
        del progress
        numbers = np.array([int(text.partition(" ")[0]) for text in texts], dtype=np.int64)
        vectors = self._table[numbers % 2048] + 0.5 * self._table[numbers // 2048]
        self.encoded += len(texts)
        return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def write(path: Path, count: int) -> None:
    """``count`` texts of about 50 words."""
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        for start in range(0, count, 20_000):
            numbers = range(start, min(start + 20_000, count))
            words = rng.choice(WORDS, (len(numbers), 50))
            texts = [f"{n} " + " ".join(line) for n, line in zip(numbers, words, strict=True)]
            writer.write_table(pa.table({"text": texts}))


def memory() -> dict[str, float]:
    """MiB of this process: its peak, and what is its own and what is mapped from files right now."""
    found = {}
    for line in STATUS.read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmHWM", "RssAnon", "RssFile"):
            found[name] = int(value.split()[0]) / 1024
    return found


def pool_at(folder: Path) -> Pool:
    """The pool, read as the service reads it."""
    settings = PoolSettings.model_validate({"source": "files", "path": folder / "pool.parquet"})
    return load_pool(settings, labels=None, cache_dir=folder)[0]


def step(name: str, folder: Path) -> dict[str, float]:
    """One step, in this process."""
    silence_logs()
    pool, encoder = pool_at(folder), Costless()
    result: dict[str, float] = {"pool_peak": memory()["VmHWM"]}
    vectors = PoolVectors(encoder, folder / "embeddings", seed=42)
    started = time.perf_counter()
    if name == "killed":
        found = vectors.ready(pool, at_least=len(pool) // 2)
        print(json.dumps({"had": len(found)}), flush=True)
        os.kill(os.getpid(), 9)
    everything = vectors.ready(pool, at_least=len(pool))
    result |= {"ready": time.perf_counter() - started, "embedded": encoder.encoded}
    if name == "score":
        for labels in LABELS:
            weights = np.random.default_rng(1).standard_normal((DIMENSION, labels)).astype(np.float32)
            taken = []
            for _ in range(3):
                started = time.perf_counter()
                scores = np.empty((len(everything), labels), dtype=np.float32)
                row = 0
                for block in vectors.chunks(everything):
                    np.matmul(block, weights, out=scores[row : row + len(block)])
                    row += len(block)
                taken.append(time.perf_counter() - started)
            result[f"first_{labels}"], result[f"then_{labels}"] = taken[0], min(taken[1:])
        some = everything[:: max(1, len(everything) // 1000)]
        wanted = encoder.encode(pool.texts(some)).astype(np.float16)
        assert np.array_equal(vectors.rows(some), wanted), "these are not the embeddings of these texts"
    vectors.close()
    return result | memory()


def measure(count: int) -> str:
    """All steps for a pool of ``count``, each in a process of its own, as a row of the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "pool.parquet", count)
        results = {}
        for each in ("killed", "resumed", "score"):
            code = -9 if each == "killed" else 0
            results[each] = run_step(__file__, "--step", each, "--folder", name, returncode=code)
        disk = sum(path.stat().st_size for path in (folder / "embeddings").iterdir()) / (1 << 20)
    killed, resumed, score = results["killed"], results["resumed"], results["score"]
    assert score["embedded"] == 0
    kept = count - resumed["embedded"]
    assert kept >= killed["had"]
    few, many = LABELS
    return (
        f"| {count:,} | {disk:,.0f} | {killed['had']:,} | {kept:,} | {score['ready']:.2f} "
        f"| {score[f'first_{few}']:.2f} | {score[f'then_{few}']:.2f} | {score[f'then_{many}']:.2f} "
        f"| {score['VmHWM']:,.0f} | {score['pool_peak']:,.0f} | {score['RssAnon']:,.0f} | {resumed['VmHWM']:,.0f} |"
    )


def main() -> None:
    """Measure, print, and write the table beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--step", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        print(json.dumps(step(options.step, options.folder)))
        return
    rows = []
    for count in options.texts:
        rows.append(measure(count))
        print(rows[-1], flush=True)
    packages = versions(("numpy", "pyarrow"))
    few, many = LABELS
    columns = (
        "texts", "on disk, MiB", "had", "kept", "start, s", f"score {few} labels, s", "again", f"{many} labels",
        "peak RSS, MiB", "of that, before", "own", "peak while embedding",
    )  # fmt: skip
    table = f"""# A pool's embeddings at scale

Synthetic texts of 50 words in a real pool (parquet), with synthetic embeddings of {DIMENSION} numbers. Each step is a
process of its own. *Kept*: texts found after `kill -9` of a process that had reported so many (*had*). *Start*: seconds
until all positions of a completely embedded pool are ready, that is hashing the texts, checking the files and
looking up the embeddings (the files are in the page cache here). *Score*: seconds for multiplying the embeddings of
all texts by a ({DIMENSION}, labels) matrix, for the first time (pages are mapped) and again. Peaks are those of the
whole process with mapped pages, without torch and onnxruntime. *Of that, before*: Python, numpy, pyarrow and reading
the pool. *Own*: memory that the kernel cannot reclaim.

| {" | ".join(columns)} |
|{"--:|" * len(columns)}
{chr(10).join(rows)}

Python {platform.python_version()}, {os.cpu_count()} shared cores, {packages}.
Made by `python benchmarks/pool_scale.py`.
"""
    Path(__file__).with_suffix(".md").write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
