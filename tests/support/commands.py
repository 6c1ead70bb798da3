"""``argilla-loop`` as an operator types it, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from daemon import PATIENCE


def argilla_loop(*arguments: str, key: str) -> subprocess.Popen[str]:
    """Start the command without a terminal."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("ARGILLA_")}
    return subprocess.Popen(
        [sys.executable, "-m", "argilla_loop", *arguments],
        env=env | {"COLUMNS": "160", "ARGILLA_LOOP_API_KEY": key},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(*arguments: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end; standard error is given without the lines of the log."""
    process = argilla_loop(*arguments, key=key)
    with process:
        out, err = process.communicate(timeout=PATIENCE)
    said = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("{"))
    return subprocess.CompletedProcess(process.args, process.returncode, out, said)
