"""The page ``trust.md``."""

from __future__ import annotations

import platform
from collections.abc import Sequence

import numpy as np

from argilla_loop.policy.validation.bound import upper_bound
from promise.plan import BARS, BUDGET, CONFIDENCE, LIMIT, POOL, SLICE, TARGET, Result
from shared.machine import versions

BEFORE = ("target, before",)  # played by an earlier commit


def is_broken(one: Result) -> bool:
    """Return whether the promise is broken: of what is accepted, or of all labels, people's included."""
    wrong, promised = one.accepted - one.right, one.accepted
    if one.criterion.startswith("dataset"):
        promised += one.human
    return wrong > (1 - TARGET) * promised


def self_training(found: Sequence[Result]) -> str:
    """Return a cell with accuracy and precision of some runs."""
    if not found:
        return "-"
    right, accepted = sum(one.right for one in found), sum(one.accepted for one in found)
    return f"{np.mean([one.accuracy for one in found]):.1%}, {right / max(accepted, 1):.1%}"


def report(results: Sequence[Result]) -> str:
    """Return the page as Markdown."""

    def group(criterion: str, condition: str, name: str | None = None) -> list[Result]:
        return [
            one
            for one in results
            if (one.criterion, one.condition) == (criterion, condition) and name in (None, one.set)
        ]

    def row(found: Sequence[Result], *, head: str) -> str:
        accepting = [one for one in found if one.accepted]
        right, accepted = sum(one.right for one in found), sum(one.accepted for one in found)
        bad = sum(map(is_broken, found))
        return (
            f"| {head} | {len(found)} | {len(accepting)} | {bad} ({bad / len(found):.1%}; at most "
            f"{upper_bound(bad, len(found), 0.05):.1%}) | {right / accepted if accepted else 0:.1%} "
            f"| {min((one.right / one.accepted for one in accepting), default=0):.1%} "
            f"| {accepted / len(found):.0f} | {np.mean([one.checks for one in found]):.0f} "
            f"| {np.median([one.first for one in accepting]) if accepting else 0:.0f} "
            f"| {max((one.first for one in accepting), default=0)} "
            f"| {np.mean([one.accuracy for one in found]):.1%} | {np.mean([one.stops for one in found]):.1f} |"
        )

    head = (
        "| {} | runs | accepting | promise broken | precision | worst run | accepted a run | checks a run "
        "| first after | latest | accuracy | turns stopped |\n|---|" + "--:|" * 11
    )
    names = sorted({one.set for one in results})
    lines = [head.format("bar, condition")]
    for criterion, condition in dict.fromkeys((one.criterion, one.condition) for one in results):
        if found := group(criterion, condition):
            lines.append(row(found, head=f"{criterion}; {condition}"))
    for criterion in (*BEFORE, "target", "dataset", "fixed 0.9"):
        lines += ["", f"`{criterion}` with right answers, by set:", "", head.format("set")]
        lines += [
            row(found, head=name) for name in names if (found := group(criterion, "right answers", name))
        ]
    of_fixed = [criterion for criterion in BARS if criterion.startswith("fixed")]
    seeds = {(one.set, one.seed) for one in group(of_fixed[-1], "right answers")}
    lines += ["", "Self-training, the same sets and seeds: accuracy, and precision of what was accepted.", ""]
    lines += ["| set | " + " | ".join(of_fixed) + " |", "|---|" + "--:|" * len(of_fixed)]
    for name in [*sorted({name for name, _ in seeds}), "all"]:
        lines.append(
            f"| {name} | "
            + " | ".join(
                self_training(
                    [
                        one
                        for one in group(criterion, "right answers", None if name == "all" else name)
                        if (one.set, one.seed) in seeds
                    ]
                )
                for criterion in of_fixed
            )
            + " |"
        )
    packages = versions(("scikit-learn", "numpy", "onnxruntime"))
    return f"""# Is a demanded precision kept?

Each run is the whole loop with its default strategy on up to {POOL:,} texts of a set, drawn and ordered by the run's
seed, until {BUDGET} human labels are spent. A slice has {SLICE} records, and a turn accepts at most {LIMIT} beyond it.
*target*: {TARGET:.0%} of what is accepted must be right, at {CONFIDENCE:.0%} confidence; the service finds the
threshold. *target, before*: the same, on the same texts and seeds, by the group-sequential test of earlier versions
(commit ce2f560). *dataset*: {TARGET:.0%} of all labels, people's included. *target, each label*: of each label.
*second looks*: with `second_looks = true`, each answer of which is one of the human labels.
*fixed 0.9*: the tutorial's threshold, with a tenth audited; nothing is promised, and *promise broken* says in how many
runs {TARGET:.0%} would be. *Promise broken*: runs in which less is right by the gold labels, and the upper 95% bound of
their share; a run that accepts nothing keeps its promise. *Checks*: audits answered; they count as human labels, and
the model learns from them. *First after*: median number of human labels given before the first record was accepted, of
the runs that accept; *latest*: the highest. *Accuracy*: of the last model, on all texts of the pool.

*Wrong answers* are wrong both for the model and for the audits. *Topics shift*: each label's texts are split where they
differ most (first principal component). The first part is the pool until half of the budget is spent, the second part
afterwards. *A label appears half-way*: the label exists from the start, but its texts come into the pool later. The
*guard* accepts nothing while any label has fewer examples than its minimum.

{chr(10).join(lines)}

Sets: {", ".join(names)}. {len(results):,} runs. Python {platform.python_version()}, {packages}.
Made by `python benchmarks/trust.py FILE...`.
"""
