"""What is played: bars, conditions, and how many runs of each; and the result of one run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Chosen, not measured: sizes of a run, and what is demanded.
POOL = 2000
BUDGET = 500
TARGET, CONFIDENCE = 0.95, 0.95
SLICE, LIMIT = 25, 100
START = 50  # records of the first batch where the guard is off
BARS: dict[str, dict[str, Any]] = {
    "target": {"target_precision": TARGET, "confidence": CONFIDENCE},
    "dataset": {"target_precision": TARGET, "confidence": CONFIDENCE, "promise": "dataset"},
    "target, second looks": {"target_precision": TARGET, "confidence": CONFIDENCE, "second_looks": True},
    "dataset, second looks": {
        "target_precision": TARGET, "confidence": CONFIDENCE, "promise": "dataset", "second_looks": True,
    },
    "target, each label": {"target_precision": TARGET, "confidence": CONFIDENCE, "promise": "label"},
    "fixed 0.9": {"certainty_threshold": 0.9},
    "fixed 0.9, self-training": {"certainty_threshold": 0.9, "train_on_model": True},
    "fixed 0.9, self-training as in the tutorial": {
        "certainty_threshold": 0.9, "train_on_model": True, "self_training_ratio": 1000.0,
    },
}  # fmt: skip


CONDITIONS: dict[str, dict[str, Any]] = {
    "right answers": {},
    "5% wrong answers": {"noise": 0.05},
    "10% wrong answers": {"noise": 0.1},
    "topics shift half-way": {"half_way": "shift"},
    "a label appears half-way": {"half_way": "late"},
    "the same, guard off": {"half_way": "late", "guard": False},
}


PLAN = (  # bar, condition, share of the runs
    ("target", "right answers", 1.0),
    ("dataset", "right answers", 1.0),
    ("fixed 0.9", "right answers", 0.5),
    *((bar, condition, 0.5) for condition in list(CONDITIONS)[1:5] for bar in ("target", "dataset")),
    *(
        (f"{bar}, second looks", condition, 0.5)
        for condition in ("right answers", "5% wrong answers", "10% wrong answers")
        for bar in ("target", "dataset")
    ),
    ("target", "the same, guard off", 0.25),
    ("dataset", "the same, guard off", 0.25),
    ("target, each label", "right answers", 0.25),
)


@dataclass(frozen=True, slots=True)
class Result:
    """One run."""

    set: str
    seed: int
    criterion: str
    condition: str
    human: int  # labels given
    checks: int
    accepted: int
    right: int  # of the accepted, by the gold labels
    first: int  # human labels given when the first record was accepted; -1: none was
    accuracy: float  # of the last model on all texts of the pool
    stops: int  # turns at which accepting had been stopped


def todo(paths: Sequence[str], runs: int, known: Iterable[Result]) -> Iterator[tuple[str, int, str, str]]:
    """Yield the runs that are missing, spread evenly over the sets, with ascending seeds."""
    done = {(one.set, one.seed, one.criterion, one.condition) for one in known}
    for number in range(runs):
        path, seed = paths[number % len(paths)], number // len(paths)
        for criterion, condition, share in PLAN:
            if number < round(runs * share) and (Path(path).stem, seed, criterion, condition) not in done:
                yield path, seed, criterion, condition
