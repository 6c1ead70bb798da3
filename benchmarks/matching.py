"""Processor time of matching a pool's texts with Argilla's records; prints the table of ``matching.md``.

python benchmarks/matching.py [--rows 1000000] [--logged 50000]
"""

from __future__ import annotations

import argparse
import logging
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import structlog
from adjudicated import read_all

from argilla_loop.domain import Answer, Example, LoggedRecord, Pool, Route
from argilla_loop.policy.answers import examples_from
from argilla_loop.policy.matching import Matcher, all_examples
from argilla_loop.policy.text_keys import kept_of, own_id
from argilla_loop.pool import load_pool
from argilla_loop.settings import PoolSettings
from shared.machine import versions

ARGILLA = PoolSettings.model_validate({"source": "argilla", "dataset": "synthetic"})
TURNS = 5


def text(number: int, version: str = "") -> str:
    """Some 100 characters."""
    return f"A text of the usual length, which says that it is number {number:07} of a great many others{version}."


def pool(rows: int, *, prefix: str = "", version: str = "") -> Pool:
    """A pool of ``rows`` texts."""

    def read() -> Iterator[tuple[str, str, str | None]]:
        return ((f"{prefix}{n}", text(n, version), None) for n in range(rows))

    with tempfile.TemporaryDirectory() as folder:
        return load_pool(ARGILLA, labels=None, cache_dir=Path(folder), argilla_rows=read)[0]


def seconds(matcher: Matcher, of: Pool, records: Sequence[LoggedRecord]) -> float:
    """Of one match."""
    started = time.process_time()
    matcher.match(of, records)
    return time.process_time() - started


def main() -> None:
    """Match, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--logged", type=int, default=50_000)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))

    step = options.rows // options.logged
    answers = (Answer("person", "submitted", "A", "2026-01-01"),)
    records = [
        LoggedRecord(str(n), text(n), n // 10, Route.ASK, answers=answers, text_key=kept_of(text(n)))
        for n in range(0, options.rows, step)
    ]
    print(
        f"{options.rows:,} texts, {len(records):,} records; Python {platform.python_version()}, "
        f"{versions(['numpy'])}, {platform.machine()}\n"
    )
    print("| pool | first turn, ms | nothing changed, ms | 20 records more, ms |")
    print("|---|--:|--:|--:|")
    for name, version_, prefix in (
        ("as it was", "", ""),
        ("new texts, same ids", " as of now", ""),
        ("same texts, new ids", "", "new-"),
    ):
        there, matcher, logged = (
            pool(options.rows, version=version_, prefix=prefix),
            Matcher(),
            list(records),
        )
        first = seconds(matcher, there, logged)
        idle = min(seconds(matcher, there, logged) for _ in range(TURNS))
        grown = []
        for turn in range(TURNS):
            new = matcher.match(there, logged).left[turn * 20 : turn * 20 + 20]
            logged += [
                LoggedRecord(own_id(id_, one) if version_ else id_, one, 1, Route.ASK)
                for id_, one in zip(there.ids_at(new), there.texts(new), strict=True)
            ]
            grown.append(seconds(matcher, there, logged))
        print(f"| {name} | {first * 1000:.0f} | {idle * 1000:.0f} | {min(grown) * 1000:.0f} |")
    answered = examples_from(read_all(records, "service"), with_model=False)
    seeds = [Example(f"s{n}", f"a seed {n}", "A") for n in range(1000)]
    started = time.process_time()
    all_examples(seeds, answered)
    took = (time.process_time() - started) * 1000
    print(f"\n{len(answered):,} answered examples beside 1,000 of the pool, merged: {took:.0f} ms")


if __name__ == "__main__":
    main()
