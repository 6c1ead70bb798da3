"""Random inputs, many more than in the tests: each must be taken or refused with one clear line.

    python benchmarks/fuzz.py [--examples 10000] [--out benchmarks/fuzz.md]

The same strategies and the same judges as in the tests: settings from any values, any environment, any TOML; pools from
damaged files, odd rows and noise. One failure ends the run with the smallest input that fails.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from odd_inputs import columns, pool_files, read, values, variables

from argilla_loop.errors import SettingsError
from argilla_loop.settings import load_settings
from shared.machine import versions

COMPLETE: dict[str, Any] = {"api_key": "k", "pool": {"path": "x.csv"}}


def loaded(**given: Any) -> str:
    """Whether settings of these values load."""
    try:
        load_settings(**given)
    except SettingsError as error:
        told = str(error)
    else:
        return "taken"
    assert len(told.splitlines()) == 1, told
    return "refused"


def from_environment(given: dict[str, str]) -> str:
    """Whether complete settings load beside this environment."""
    with patch.dict(os.environ, given):
        return loaded(**COMPLETE)


def from_toml(content: bytes) -> str:
    """Whether a file of this content loads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.toml"
        path.write_bytes(content)
        return loaded(config=path)


def from_pool(given: tuple[Any, dict[str, str]]) -> str:
    """Whether this file, with these columns named, is a pool."""
    told = read(*given)
    assert len(told.splitlines()) == 1, told
    return "taken" if told == "read" else "refused"


KINDS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], str]]] = {
    "settings, any values": (values, lambda one: loaded(**one)),
    "settings, any values over a complete set": (values, lambda one: loaded(**{**COMPLETE, **one})),
    "settings, any environment": (variables, from_environment),
    "settings, any file": (st.binary(max_size=60) | st.text(max_size=60).map(str.encode), from_toml),
    "pool files, damaged, odd or noise": (st.tuples(pool_files, columns), from_pool),
}


def count(strategy: st.SearchStrategy[Any], judge: Callable[[Any], str], examples: int) -> Counter[str]:
    """Try ``examples`` inputs; by what became of them."""
    outcomes: Counter[str] = Counter()

    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(strategy)
    def run(one: Any) -> None:
        outcomes[judge(one)] += 1

    run()
    return outcomes


def main() -> None:
    """Run and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # nothing is critical
    for name in [name for name in os.environ if name.startswith("ARGILLA_LOOP_")]:
        del os.environ[name]
    made = (
        f"Made by `benchmarks/fuzz.py` on {datetime.now():%Y-%m-%d}: {platform.system()}, {os.cpu_count()} cores, "  # noqa: DTZ005  a day is enough
        f"Python {platform.python_version()}, {versions(('hypothesis', 'datasets', 'pydantic'))}. "
        "Taken: loaded, and every row is counted. Refused: with one line that gives the reason."
    )
    lines = [
        "# Fuzz",
        "",
        made,
        "",
        "| input | tried | taken | refused | anything else | minutes |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, (strategy, judge) in KINDS.items():
        started = time.monotonic()
        found = count(strategy, judge, options.examples)
        minutes = (time.monotonic() - started) / 60
        tried = sum(found.values())
        lines.append(
            f"| {name} | {tried:,} | {found['taken']:,} | {found['refused']:,} | 0 | {minutes:.1f} |"
        )
        print(lines[-1], flush=True)
    if options.out:
        options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
