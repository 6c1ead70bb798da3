"""Play runs in several processes."""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from argilla_loop.domain import Encoder, Learner
from argilla_loop.simulate.data import LabelledSet
from argilla_loop.simulate.precomputed import PrecomputedEncoder
from argilla_loop.simulate.replay import Run
from argilla_loop.simulate.store import play

MakeLearner = Callable[[Run, Encoder], Learner]

_given: dict[str, Any] = {}  # in a worker: what all its runs share, sent once


def play_in_processes(
    runs: Sequence[Run],
    files: dict[Run, Path],
    data: LabelledSet,
    encoder: PrecomputedEncoder,
    jobs: int,
    make_learner: MakeLearner,
    advance: Callable[[int], None],
) -> None:
    """Play ``runs`` in ``jobs`` processes and raise what a run raises.

    On Ctrl-C all processes end at once; the rows written so far are kept.
    """
    context = multiprocessing.get_context("spawn")  # forking a process that has threads can deadlock
    spent = context.SimpleQueue()
    processes = min(jobs, len(runs))
    with context.Pool(
        processes, _start, (spent, data, encoder, make_learner)
    ) as pool:  # leaving the block terminates the processes
        waiting = [pool.apply_async(_work, (run, files[run])) for run in runs]
        while waiting:
            waiting[0].wait(0.2)
            while not spent.empty():
                advance(spent.get())
            done = [one for one in waiting if one.ready()]
            for one in done:
                one.get()  # raises what the run raised
            waiting = [one for one in waiting if one not in done]
        while not spent.empty():
            advance(spent.get())


def _start(spent: Any, data: LabelledSet, encoder: PrecomputedEncoder, make_learner: MakeLearner) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles Ctrl-C
    _given.update(spent=spent, data=data, encoder=encoder, make_learner=make_learner)


def _work(run: Run, file: Path) -> None:
    for labels in play(run, file, _given["data"], _given["encoder"], _given["make_learner"]):
        _given["spent"].put(labels)
