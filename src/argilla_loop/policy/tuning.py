"""When the encoder is tuned, and what a trial comes to in words. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

# A label with a single example can neither be held out nor be moved towards another text of its own.
MIN_EXAMPLES = 2
# Trials that may fail (a crash, a kill, no memory) before a level is left alone. Chosen, not measured.
MAX_ATTEMPTS = 3

Result = Literal["better", "not better", "failed", "unfinished"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One tuning of the encoder and its judgement.

    Attributes:
        base: fingerprint of the frozen encoder.
        level: labels a class that made it due.
        examples: of people that it learnt from.
        labels: number of labels among them.
        result: ``better`` than the frozen encoder, ``not better``, ``failed``, or ``unfinished``: it runs,
            or the service ended before it did.
        frozen: share of held-out examples that a head on the frozen encoder gets right.
        tuned: the same on encoders that were tuned without these examples.
        certainty: of the judgement: mean gain in log-likelihood over its standard error.
        cpu_seconds: what it cost.
        encoder: fingerprint of the tuned encoder; empty if it was not better.
        attempts: trials of this level, this one included.
    """

    base: str
    level: int
    examples: int
    labels: int
    result: Result
    frozen: float = 0.0
    tuned: float = 0.0
    certainty: float = 0.0
    cpu_seconds: float = 0.0
    encoder: str = ""
    attempts: int = 1

    @property
    def is_judged(self) -> bool:
        """Whether it came to a judgement."""
        return self.result in ("better", "not better")


def level_reached(counts: Mapping[str, int], first: int) -> int:
    """Return the highest of ``first``, twice as many, and so on, that the mean label has; 0 if none.

    Args:
        counts: people's examples by label.
        first: labels a class of the first level.
    """
    usable = [count for count in counts.values() if count >= MIN_EXAMPLES]
    if len(usable) < 2:  # noqa: PLR2004  nothing to tell apart
        return 0
    mean = sum(usable) / len(usable)
    level = 0
    while mean >= (level * 2 or first):
        level = level * 2 or first
    return level


def level_due(counts: Mapping[str, int], first: int, trials: Sequence[Trial]) -> int:
    """Return the level that is to be tried now; 0 if none.

    A level is tried once, and a lower one never after it. A trial that failed is repeated, ``MAX_ATTEMPTS`` in all.
    """
    level = level_reached(counts, first)
    settled = [one for one in trials if one.is_judged or one.attempts >= MAX_ATTEMPTS]
    return level if level > max((one.level for one in settled), default=0) else 0


def attempts_at(level: int, trials: Collection[Trial]) -> int:
    """Return how often ``level`` was tried."""
    return max((one.attempts for one in trials if one.level == level), default=0)


def encoder_to_use(trials: Sequence[Trial]) -> str:
    """Return the fingerprint of the encoder that the latest judgement is for; empty for the frozen one."""
    judged = [one for one in trials if one.is_judged]
    return judged[-1].encoder if judged else ""


def has_lost_examples(counts: Mapping[str, int], trial: Trial) -> bool:
    """Return whether half of the examples of ``trial`` are gone, as in a dataset that was emptied."""
    return sum(counts.values()) < trial.examples / 2


def tuning_in_words(trials: Sequence[Trial], in_use: str, first: int) -> str:
    """Return what was tried, and what is in use.

    Args:
        trials: the latest last.
        in_use: fingerprint of the tuned encoder in use; empty for the frozen one.
        first: labels a class of the first level.
    """
    if not trials:
        return f"frozen; it is tuned for the first time at {first} answers a label"
    latest = trials[-1]
    now = "tuned" if in_use else "frozen"
    if latest.encoder and latest.encoder != in_use:
        now += ", and the pool is being embedded with the tuned one"
    return f"{now}; {trial_in_words(latest)}"


def trial_in_words(trial: Trial) -> str:
    """Return what ``trial`` came to, in one sentence without a full stop."""
    what = f"tuning the encoder on {trial.examples:,} answers"
    if trial.result == "unfinished":
        return f"{what} has not finished yet"
    if trial.result == "failed":
        return f"{what} failed; the frozen encoder stays"
    shares = f"{trial.tuned:.0%} of held-out answers right, {trial.frozen:.0%} with the frozen one"
    took = f"{trial.cpu_seconds:,.0f} CPU seconds"
    if trial.result == "better":
        return f"{what} helped: {shares} ({took})"
    return f"{what} did not clearly help: {shares} ({took})"
