"""All runs of a simulation: planned, played, kept on disk as they go, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import structlog

from argilla_loop.domain import Encoder, Learner
from argilla_loop.errors import SettingsError
from argilla_loop.observability.progress import progress
from argilla_loop.policy.query import Strategy
from argilla_loop.policy.rules import Rules
from argilla_loop.settings import Settings
from argilla_loop.simulate.data import LabelledSet, rare_labels
from argilla_loop.simulate.known import PrecomputedEncoder
from argilla_loop.simulate.replay import Baseline, Row, Run, learner_of, tutorial_rules
from argilla_loop.simulate.store import about, play, read_run, run_file, to_oneself

log = structlog.get_logger(__name__)


def default(name: str) -> object:
    """The service's default of a setting, so that a simulation shows what the service would do."""
    return Settings.model_fields[name].get_default()


@dataclass(frozen=True, slots=True)
class Options:
    """What to simulate. The names and defaults of the loop's settings are those of ``Settings``."""

    strategies: Sequence[Strategy]
    baseline: Baseline | None = None
    budget: int = 200  # human labels, each run
    seeds: int = 5  # runs of each strategy: seeds 0, 1, ...
    noise: float = 0.0
    slice_size: int = 10
    min_examples_per_label: int = 5
    min_accept_examples: int = 10
    certainty_threshold: float | None = 0.9
    target_precision: float | None = None
    confidence: float = 0.95
    audit_rate: float = 0.1
    train_on_model: bool = False
    look_every: int | None = (
        None  # human labels between two looks at a long batch; None: a twentieth of the budget
    )

    def runs(self) -> list[Run]:
        """Every run, seed by seed, so that an interruption leaves as many of each strategy."""
        look_every = self.look_every or max(self.slice_size, self.budget // 20)
        runs = []
        for seed in range(self.seeds):
            rules: dict[str, Rules] = {name: self._rules(name, seed) for name in self.strategies}
            if self.baseline is not None:
                rules[self.baseline] = tutorial_rules(seed)
            runs += [Run(name, seed, of, self.budget, self.noise, look_every) for name, of in rules.items()]
        return runs

    def _rules(self, strategy: Strategy, seed: int) -> Rules:
        return Rules(
            slice_size=self.slice_size,
            min_examples_per_label=self.min_examples_per_label,
            strategy=strategy,
            min_accept_examples=self.min_accept_examples,
            certainty_threshold=self.certainty_threshold,
            target_precision=self.target_precision,
            confidence=self.confidence,
            audit_rate=self.audit_rate,
            train_on_model=self.train_on_model,
            seed=seed,
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is: all rows of finished and unfinished runs, and whether all that was planned is done."""

    rows: Sequence[Row]
    finished: int
    planned: int


def strategies_of(text: str) -> list[Strategy]:
    """The strategies that a list with commas names.

    Raises:
        SettingsError: there is none of such a name.
    """
    known = get_args(Strategy)
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if unknown := [name for name in names if name not in known]:
        raise SettingsError(f"there is no strategy {unknown[0]!r}: choose among {', '.join(known)}")
    return [name for name in known if name in names]


def embed(data: LabelledSet, encoder: Encoder) -> PrecomputedEncoder:
    """Embed once, with progress, all that a run can ask for: every text, and the labels' names, which heads learn from.

    A ``CachedEncoder`` keeps what is done when interrupted.
    """
    from argilla_loop.learning.classy.classifier import label_words  # noqa: PLC0415 - costs seconds, which help need not pay

    names = [words for label in data.labels if (words := label_words(label))]
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
    make_learner: Callable[[Run, Encoder], Learner] = learner_of,
) -> Outcome:
    """Play all runs that ``options`` ask for, but for those that ``folder`` has already.

    Every row is written as soon as there is one. Ctrl-C (``KeyboardInterrupt``) ends the simulation and is not raised:
    the outcome then has fewer runs finished than planned, and the same call goes on with those that lack.

    Args:
        data: texts and labels.
        encoder: embeds them, once.
        options: which runs.
        folder: keeps a file a run, in ``runs``; made if missing.
        jobs: processes; 1 plays the runs in this one.
        make_learner: the learner of a run; the service's unless given. Part of no key: give it another ``folder``.

    Raises:
        SettingsError: there is nothing to simulate, ``folder`` cannot be written, or another simulation works in it.
    """
    if not (runs := options.runs()):
        raise SettingsError("there is nothing to simulate: give --strategies or --baseline, and --seeds")
    if rare := rare_labels(data.pool, options.min_examples_per_label):
        log.warning("labels_too_rare", labels=len(rare), minimum=options.min_examples_per_label,
                    then="the cold start never ends")  # fmt: skip
    files = {run: run_file(folder / "runs", run, data, encoder) for run in runs}
    try:
        (folder / "runs").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot make the folder {folder} ({error.strerror}): choose another by --out"
        ) from None
    try:
        if any(not file.exists() for file in files.values()):
            with to_oneself(folder):
                missing = [run for run in runs if not files[run].exists()]
                if missing:  # another simulation may have just finished them
                    _play_all(missing, files, data, embed(data, encoder), jobs, make_learner)
    except KeyboardInterrupt:
        log.warning(
            "simulation_interrupted", finished=sum(file.exists() for file in files.values()), of=len(runs)
        )
    rows = [row for run in runs for row in read_run(files[run], about(run, data, encoder))]
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
            from argilla_loop.simulate.workers import play_in_processes  # noqa: PLC0415 - only where asked for

            play_in_processes(runs, files, data, encoder, jobs, make_learner, advance)
            return
        for run in runs:
            for labels in play(run, files[run], data, encoder, make_learner):
                advance(labels)
