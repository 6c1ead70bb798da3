"""``python -m argilla_loop.learning.tuning``: the tuner as a process. The request is JSON on its standard input.

It has the lowest priority, one thread and a bounded memory, and it ends with the process that started it. What it found
lies in the request's folder, ``outcome.json`` last. It can be killed at any moment.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

# Data of the process at most, in bytes, where the system can bound it (Linux): a trial takes about a gibibyte.
MAX_MEMORY = 3 * 1024**3
# Seconds of processor time at most.
MAX_CPU_SECONDS = 3600
# How often it looks whether its parent still lives.
PARENT_SECONDS = 0.5
# Exit codes; the reason is the last line of the standard error.
OK, FAILED = 0, 1


def main() -> int:
    """Do what the request says, and return the exit code."""
    _stay_behind()
    from argilla_loop.errors import ArgillaLoopError  # noqa: PLC0415 - after the threads are bounded
    from argilla_loop.learning.tuning.request import Request  # noqa: PLC0415 - the same

    request = Request.from_json(sys.stdin.buffer.read())
    try:
        from argilla_loop.learning.tuning.tune import tune  # noqa: PLC0415 - imports torch

        tune(request)
    except (ArgillaLoopError, ImportError, OSError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201 - how it answers
        return FAILED
    return OK


def _stay_behind() -> None:
    """Leave processor, memory and the last word to the service."""
    parent = os.getppid()
    threading.Thread(target=_follow, args=(parent,), name="parent-watch", daemon=True).start()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    with suppress(OSError):
        os.nice(19)
    with suppress(OSError):  # where memory ends, the kernel ends this process and not the service
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    for limit, value in ((resource.RLIMIT_DATA, MAX_MEMORY), (resource.RLIMIT_CPU, MAX_CPU_SECONDS)):
        with suppress(OSError, ValueError):
            _, hard = resource.getrlimit(limit)
            resource.setrlimit(limit, (value if hard < 0 else min(value, hard), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(FAILED)  # the service is gone, and nobody waits for an answer


if __name__ == "__main__":
    sys.exit(main())
