"""Work in other processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

Result = TypeVar("Result")


def run_step(script: str, *arguments: str, returncode: int = 0) -> dict[str, Any]:
    """Run ``script`` in a process of its own, and return what its last line of output holds as JSON.

    Args:
        script: path of the script.
        arguments: its command line.
        returncode: the exit code that it must have; negative for a signal.
    """
    command = [sys.executable, script, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def run_in_processes(
    work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], jobs: int
) -> Iterator[Result]:
    """Yield the results of ``work(*task)`` as they come, from ``jobs`` processes with one BLAS thread each."""
    with ProcessPoolExecutor(jobs, initializer=threadpool_limits, initargs=(1,)) as pool:
        for job in as_completed([pool.submit(work, *task) for task in tasks]):
            yield job.result()
