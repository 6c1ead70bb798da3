"""Time and memory of loading a pool of a million synthetic rows; prints the table of ``pool.md``.

    python benchmarks/pool.py [--rows 1000000]

Each case runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from argilla_loop.pool import load_pool
from argilla_loop.settings import PoolSettings
from shared.logs import silence_logs
from shared.machine import versions
from shared.processes import run_step

CASES = ("baseline", "parquet", "parquet with ids and labels", "csv", "jsonl")
WORDS = ["the", "market", "team", "goal", "share", "chip", "match", "vote", "game", "price", "court", "film"]
MB = 1 << 20


def write(folder: Path, rows: int) -> None:
    """Texts of about 30 words; every tenth is a duplicate, every hundredth empty, every fifth has a label."""
    rng = np.random.default_rng(0)
    writer = None
    csv, lines = (folder / "csv.csv").open("w"), (folder / "jsonl.jsonl").open("w")
    csv.write("id,text,label\n")
    for start in range(0, rows, 10_000):
        numbers = np.arange(start, min(start + 10_000, rows))
        words = rng.choice(WORDS, (len(numbers), 30))
        texts = [
            f"{n - n % 10 if n % 10 == 1 else n} " + " ".join(w) for n, w in zip(numbers, words, strict=True)
        ]
        texts = [
            texts[i - 1] if n % 10 == 1 and i else text
            for i, (n, text) in enumerate(zip(numbers, texts, strict=True))
        ]
        texts = ["" if n % 100 == 99 else text for n, text in zip(numbers, texts, strict=True)]
        labels = [("World", "Sports", "Business")[n % 3] if n % 5 == 0 else None for n in numbers]
        table = pa.table(
            {"id": [f"id-{n}" for n in numbers], "text": texts, "label": pa.array(labels, pa.string())}
        )
        writer = writer or pq.ParquetWriter(folder / "parquet.parquet", table.schema)
        writer.write_table(table)
        for row in table.to_pylist():
            csv.write(f"{row['id']},{row['text']},{row['label'] or ''}\n")
            lines.write(json.dumps(row) + "\n")
    assert writer is not None
    writer.close()
    csv.close()
    lines.close()


def measure(case: str, folder: Path) -> dict[str, float]:
    """One case, in this process."""
    silence_logs()
    # A pool of one row brings in all that is imported late; the baseline is what the process weighs then.
    pq.write_table(pa.table({"text": ["one"]}), folder / f"one-{case}.parquet")
    one = PoolSettings.model_validate({"source": "files", "path": folder / f"one-{case}.parquet"})
    load_pool(one, labels=None, cache_dir=folder)
    if case == "baseline":
        return {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}
    kind = case.partition(" ")[0]
    columns = {"id_column": "id", "label_column": "label"} if "labels" in case else {}
    settings = PoolSettings.model_validate({"source": "files", "path": folder / f"{kind}.{kind}"} | columns)
    blocks = sys.getallocatedblocks()
    started = time.monotonic()
    pool, report = load_pool(settings, labels=None, cache_dir=folder)
    loaded = time.monotonic()
    blocks = sys.getallocatedblocks() - blocks
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    logged = pool.ids()[:10_000]
    started_free = time.monotonic()
    pool.unlabelled(excluding=logged)
    free = time.monotonic() - started_free
    started_texts = time.monotonic()
    pool.texts(range(0, len(pool), max(1, len(pool) // 1000)))
    texts = time.monotonic() - started_texts
    return {
        "rows": report.rows,
        "taken": report.taken,
        "seconds": loaded - started,
        "rss": peak,
        "blocks": blocks,
        "free_ms": free * 1000,
        "texts_ms": texts * 1000,
    }


def main() -> None:
    """Write the files, run each case, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(measure(options.case, options.folder)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder, options.rows)
        sizes = {path.suffix[1:]: path.stat().st_size / MB for path in folder.iterdir()}
        results = {case: run_step(__file__, "--case", case, "--folder", name) for case in CASES}
    packages = versions(("pyarrow", "datasets", "numpy"))
    print(f"{options.rows:,} rows; Python {platform.python_version()}, {packages}, {platform.machine()}\n")
    print(
        "| source | file, MB | texts taken | load, s | peak RSS, MB | above a pool of one row, MB | new Python objects "
        "| free of 10,000 logged, ms | 1,000 texts, ms |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    )
    base = results.pop("baseline")["rss"]
    for case, found in results.items():
        size = sizes[case.partition(" ")[0]]
        print(
            f"| {case} | {size:.0f} | {found['taken']:,} | {found['seconds']:.1f} | {found['rss']:.0f} "
            f"| {found['rss'] - base:.0f} | {found['blocks']:,} | {found['free_ms']:.0f} | {found['texts_ms']:.1f} |"
        )


if __name__ == "__main__":
    main()
