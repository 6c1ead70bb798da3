"""The command: file to set, model to encoder, options to runs, and what is told of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from rich.console import Console

from argilla_loop.errors import FatalError, SettingsError
from argilla_loop.learning.learner import build_learner
from argilla_loop.policy.query import Strategy
from argilla_loop.simulate.data import read_labelled
from argilla_loop.simulate.replay import Baseline
from argilla_loop.simulate.run import Options, default, simulate, strategies_of
from argilla_loop.simulate.show import conclude

RANDOM: Strategy = "random"
# What reads the file, the model and the rules speaks of settings; on this command line they have these names.
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
SETTING = re.compile(rf"(?<![\w./-])({'|'.join(map(re.escape, OPTION_OF))})(?![\w/])")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for on the command line; see the options' help."""

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
    slice_size: int
    min_examples_per_label: int
    min_accept_examples: int
    threshold: float
    target_precision: float | None
    confidence: float
    audit_rate: float
    train_on_model: bool
    model: str
    cache_dir: Path
    jobs: int
    out: Path


@contextmanager
def options_named() -> Iterator[None]:
    """Inside, an error names the command's options in place of settings.

    Raises:
        FatalError: of the same class as the error it comes from.
    """
    try:
        yield
    except FatalError as error:
        error.args = (SETTING.sub(lambda found: OPTION_OF[found[0]], str(error)), *error.args[1:])
        raise


@options_named()
def run_simulation(request: Request, console: Console) -> bool:
    """Simulate and tell; returns whether all runs are finished.

    Raises:
        FatalError: file, model or options are not to be used.
    """
    if request.strategies is None:
        names = list(dict.fromkeys([cast("Strategy", default("strategy")), RANDOM]))
    else:
        names = strategies_of(request.strategies)
    options = Options(
        strategies=names,
        baseline=request.baseline,
        budget=request.budget,
        seeds=request.seeds,
        noise=request.noise,
        slice_size=request.slice_size,
        min_examples_per_label=request.min_examples_per_label,
        certainty_threshold=request.threshold if request.threshold < 1.0 else None,
        min_accept_examples=request.min_accept_examples,
        target_precision=request.target_precision,
        confidence=request.confidence,
        audit_rate=request.audit_rate,
        train_on_model=request.train_on_model,
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
        conclude(console, outcome, request.out)
    except OSError as error:
        raise SettingsError(
            f"cannot write into {request.out} ({error.strerror or error}): make room, or choose another folder by "
            "--out; what is done is kept"
        ) from None
    return outcome.finished == outcome.planned
