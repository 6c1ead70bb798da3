"""All runs of a simulation: plan them, play those that are missing, and collect their rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import structlog

from argilla_loop.domain import Encoder, Learner
from argilla_loop.errors import SettingsError
from argilla_loop.learning.label_names import name_sentences
from argilla_loop.observability.progress import progress
from argilla_loop.policy.query import Strategy
from argilla_loop.policy.rules import Rules
from argilla_loop.simulate.data import LabelledSet, rare_labels
from argilla_loop.simulate.precomputed import PrecomputedEncoder
from argilla_loop.simulate.replay import Baseline, Row, Run, default_learner, tutorial_rules
from argilla_loop.simulate.store import exclusive, play, read_run, run_columns, run_file

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate.

    Attributes:
        strategies: the strategies to compare.
        rules: the loop's rules in all runs but the baseline's; each run has its own ``strategy`` and ``seed``.
        baseline: the baseline to compare with, if any.
        budget: human labels in each run.
        seeds: number of runs of each strategy, with the seeds 0, 1, ...
        noise: share of wrong answers.
        measure_every: the most human labels between two measurements, where a batch is long; ``None``: a slice or a
            twentieth of the budget, whichever is more.
    """

    strategies: Sequence[Strategy]
    rules: Rules = field(default_factory=Rules)
    baseline: Baseline | None = None
    budget: int = 200
    seeds: int = 5
    noise: float = 0.0
    measure_every: int | None = None

    def runs(self) -> list[Run]:
        """Return every run, seed by seed, so that after an interruption all strategies have as many runs."""
        measure_every = self.measure_every or max(self.rules.slice_size, self.budget // 20)
        runs = []
        for seed in range(self.seeds):
            rules: dict[str, Rules] = {
                name: replace(self.rules, strategy=name, seed=seed) for name in self.strategies
            }
            if self.baseline is not None:
                rules[self.baseline] = tutorial_rules(seed)
            runs += [
                Run(name, seed, of, self.budget, self.noise, measure_every) for name, of in rules.items()
            ]
        return runs


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of all runs, finished or not, and how many of the planned runs are finished."""

    rows: Sequence[Row]
    finished: int
    planned: int


def strategies_of(text: str) -> list[Strategy]:
    """Return the strategies that a comma-separated list names, each once.

    Raises:
        SettingsError: no strategy has one of the names.
    """
    known = get_args(Strategy)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"there is no strategy {unknown[0]!r}: choose among {', '.join(known)}")
    return [name for name in known if name in names]


def precompute(data: LabelledSet, encoder: Encoder) -> PrecomputedEncoder:
    """Embed everything that a run can ask for: every text, and the labels' names, which heads learn from.

    It shows its progress. A ``CachedEncoder`` keeps the embeddings made before an interruption.
    """
    names = name_sentences(data.labels)
    texts = list(dict.fromkeys([*names, *(row.text for row in (*data.pool, *data.held_back))]))
    started = time.monotonic()
    vectors = encoder.encode(texts, progress=True)
    log.info("texts_embedded", texts=len(texts), seconds=round(time.monotonic() - started, 1))
    return PrecomputedEncoder(encoder.fingerprint, texts, vectors)


def simulate(
    data: LabelledSet,
    encoder: Encoder,
    options: Options,
    folder: Path,
    *,
    jobs: int = 1,
    make_learner: Callable[[Run, Encoder], Learner] = default_learner,
) -> Outcome:
    """Play the runs that ``options`` ask for, except those that ``folder`` already has.

    Every row is written as soon as it is measured. Ctrl-C (``KeyboardInterrupt``) ends the simulation and is not
    raised: the outcome then has fewer finished runs than planned, and the same call plays the missing ones.

    Args:
        data: texts and labels.
        encoder: embeds the texts, once for all runs.
        options: the runs to play.
        folder: keeps one file for each run, in ``runs``; created if missing.
        jobs: number of processes; with 1 the runs are played in this process.
        make_learner: makes the learner of a run; by default the service's. It is not part of the name of a run's file,
            so use a ``folder`` of its own for another one.

    Raises:
        SettingsError: there is nothing to simulate, ``folder`` cannot be written, or another simulation uses it.
    """
    if not (runs := options.runs()):
        raise SettingsError("there is nothing to simulate: give --strategies or --baseline, and --seeds")
    if rare := rare_labels(data.pool, options.rules.min_examples_per_label):
        log.warning("labels_too_rare", labels=len(rare), minimum=options.rules.min_examples_per_label,
                    then="the cold start never ends")  # fmt: skip
    files = {run: run_file(folder / "runs", run, data, encoder) for run in runs}
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot make the folder {folder} ({error.strerror}): choose another with --out"
        ) from None
    try:
        if any(not file.exists() for file in files.values()):
            with exclusive(folder):
                missing = [run for run in runs if not files[run].exists()]
                if missing:  # empty where another simulation has just finished them
                    _play_all(missing, files, data, precompute(data, encoder), jobs, make_learner)
    except KeyboardInterrupt:
        log.warning(
            "simulation_interrupted", finished=sum(file.exists() for file in files.values()), of=len(runs)
        )
    rows = [row for run in runs for row in read_run(files[run], run_columns(run, data, encoder))]
    return Outcome(rows, sum(file.exists() for file in files.values()), len(runs))


def _play_all(
    runs: Sequence[Run],
    files: dict[Run, Path],
    data: LabelledSet,
    encoder: PrecomputedEncoder,
    jobs: int,
    make_learner: Callable[[Run, Encoder], Learner],
) -> None:
    with progress("simulating", sum(run.budget for run in runs)) as advance:
        if jobs > 1 and len(runs) > 1:
            from argilla_loop.simulate.workers import play_in_processes  # noqa: PLC0415 - only needed with several jobs

            play_in_processes(runs, files, data, encoder, jobs, make_learner, advance)
            return
        for run in runs:
            for labels in play(run, files[run], data, encoder, make_learner):
                advance(labels)
