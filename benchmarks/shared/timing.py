"""Time."""

from __future__ import annotations

import time
from collections.abc import Callable


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
