"""One part of the stack as a process: started, stopped, killed, found again by whoever comes later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from team_stack.errors import StackError

START_SECONDS = 180.0  # a busy machine; a part that ends before that is told at once
STOP_SECONDS = 60.0
PAUSE = 0.1


@dataclass
class Part:
    """A process that outlives the one that started it; only a process that this file names is ever ended.

    Attributes:
        name: for people, and for its files.
        command: what to run.
        environment: all that it gets from us; PATH and HOME come on top.
        folder: where it runs.
        log: where its output goes, appended.
        memory: file that remembers its process.
        answers: whether it does its work by now.
        stop_signal: what asks it to end.
        user: whose process it is; ours unless told.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: Path
    log: Path
    memory: Path
    answers: Callable[[], bool]
    stop_signal: signal.Signals = signal.SIGTERM
    user: str | None = None
    _child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it unless it runs, and wait until it answers.

        Raises:
            StackError: it ended, or does not answer; with the last line of its log.
        """
        if self.process() is None:
            self._launch()
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process() is None:
                raise StackError(f"{self.name} ended: {self._last_line()} (all of it: {self.log})")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} does not answer after {START_SECONDS:.0f} s: see {self.log}")
            time.sleep(PAUSE)

    def _launch(self) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(
                list(self.command),
                cwd=self.folder,
                env={**inherited, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is ours to handle
                user=self.user,
                group=self.user,
                extra_groups=[] if self.user else None,
            )
        started = psutil.Process(self._child.pid).create_time()
        self.memory.write_text(json.dumps({"pid": self._child.pid, "started": started}), encoding="utf-8")

    def process(self) -> psutil.Process | None:
        """Its process while it lives: the very one that was started, not another that got its number."""
        if self._child is not None:
            self._child.poll()  # buries it
        try:
            known = json.loads(self.memory.read_text(encoding="utf-8"))
            process = psutil.Process(known["pid"])
            if process.create_time() == known["started"] and process.status() != psutil.STATUS_ZOMBIE:
                return process
        except (FileNotFoundError, psutil.NoSuchProcess):
            pass
        return None

    def stop(self) -> None:
        """Ask it to end, and wait; what does not is killed."""
        process = self.process()
        if process is None:
            return
        process.send_signal(self.stop_signal)
        if not self._gone(STOP_SECONDS):
            self.kill()
        if self._child is not None:
            self._child.wait(STOP_SECONDS)  # buries it
        self.memory.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL to it and to all that it started: nothing can be tidied up."""
        process = self.process()
        if process is None:
            return
        family = [process, *process.children(recursive=True)]
        for one in family:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        if self._child is not None:
            self._child.wait(STOP_SECONDS)
        psutil.wait_procs(family, timeout=STOP_SECONDS)
        self.memory.unlink(missing_ok=True)

    def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.process() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(PAUSE)
        return True

    def _last_line(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"
