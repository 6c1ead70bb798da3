"""The ``simulate`` command: from its options to a set, an encoder and runs, and to the tables that it prints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from argilla_loop.errors import SettingsError
from argilla_loop.learning.learner import build_learner
from argilla_loop.policy.query import Strategy
from argilla_loop.policy.rules import Rules
from argilla_loop.settings.options import options_named
from argilla_loop.simulate.data import read_labelled
from argilla_loop.simulate.replay import Baseline
from argilla_loop.simulate.run import Options, simulate, strategies_of
from argilla_loop.simulate.show import show_outcome

RANDOM: Strategy = "random"  # always compared, unless --strategies says otherwise
# Errors about the file, the model and the rules name settings. These are the same settings on this command line.
OPTION_OF = {
    "pool.path": "--data",
    "pool.text_column": "--text-column",
    "pool.label_column": "--label-column",
    "cache_dir": "--cache-dir",
    "certainty_threshold": "--threshold",
    "target_precision": "--target-precision",
    "min_examples_per_label": "--min-examples-per-label",
    "min_accept_examples": "--min-accept-examples",
    "audit_rate": "--audit-rate",
    "slice_size": "--slice-size",
    "train_on": "--train-on",
}


@dataclass(frozen=True, slots=True)
class Request:
    """The command line's options, see their help."""

    data: Path
    text_column: str
    label_column: str
    split_column: str | None
    held_back: float
    most_held_back: int
    pool_size: int
    strategies: str | None
    baseline: Baseline | None
    budget: int
    seeds: int
    noise: float
    rules: Rules
    model: str
    cache_dir: Path
    jobs: int
    out: Path

    @property
    def chosen_strategies(self) -> list[Strategy]:
        """The strategies to compare; by default the service's own and ``random``.

        Raises:
            SettingsError: no strategy has one of the names.
        """
        if self.strategies is None:
            return list(dict.fromkeys([Rules().strategy, RANDOM]))
        return strategies_of(self.strategies)


@options_named(OPTION_OF)
def run_simulation(request: Request, console: Console) -> bool:
    """Simulate, print and write the results; return whether all runs are finished.

    Raises:
        FatalError: the file, the model or the options cannot be used.
    """
    options = Options(
        strategies=request.chosen_strategies,
        rules=request.rules,
        baseline=request.baseline,
        budget=request.budget,
        seeds=request.seeds,
        noise=request.noise,
    )
    data = read_labelled(
        request.data,
        text_column=request.text_column,
        label_column=request.label_column,
        split_column=request.split_column,
        held_back=request.held_back,
        most_held_back=request.most_held_back,
        pool_size=request.pool_size,
    )
    encoder = build_learner(request.model, "fp32", request.cache_dir, seed=0).encoder
    try:
        outcome = simulate(data, encoder, options, request.out, jobs=request.jobs)
        show_outcome(console, outcome, request.out)
    except OSError as error:
        raise SettingsError(
            f"cannot write into {request.out} ({error.strerror or error}): make room, or choose another folder by "
            "--out; finished runs are kept"
        ) from None
    return outcome.finished == outcome.planned
