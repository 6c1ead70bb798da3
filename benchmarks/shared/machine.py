"""What a benchmark ran on: versions, processor, commit."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]


def versions(packages: Iterable[str]) -> str:
    """Return the packages with their versions, separated by commas."""
    return ", ".join(f"{name} {version(name)}" for name in packages)


def processor() -> str:
    """Return the processor's name where the system knows it, otherwise its architecture."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def commit(folder: str = "src") -> str:
    """Return the short hash of the current commit, with a ``+`` where ``folder`` differs from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run(
            [*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True
        )
        changed = subprocess.run([*git, "diff", "--quiet", "HEAD", "--", folder], check=False).returncode
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+" if changed else "")
