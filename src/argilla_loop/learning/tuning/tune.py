"""Tune an encoder on people's answers, judge it, and write it if it is clearly better than the frozen one."""

from __future__ import annotations

import resource
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from argilla_loop.domain import Encoder, Example
from argilla_loop.errors import TrainingError
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.encoders.weights import locate_model, resolve_model
from argilla_loop.learning.learner import ClassyLearner
from argilla_loop.learning.tuning.bert import Bert
from argilla_loop.learning.tuning.contrast import Recipe, train
from argilla_loop.learning.tuning.folder import write_folder
from argilla_loop.learning.tuning.judge import Labelled, judge
from argilla_loop.learning.tuning.request import MAX_EXAMPLES, OUTCOME, Outcome, Request
from argilla_loop.learning.tuning.trunk import Trunk
from argilla_loop.policy.tuning import MIN_EXAMPLES
from argilla_loop.settings.files import atomic_write

# Layers that are tuned: all six are no better and cost twice as much.
TOP = 3
# Tokens of a text that the tuner looks at: longer texts would take memory, and say what they are about before that.
MAX_TOKENS = 128
# How the layers are trained; benchmarks/adaptive.md says what it gains.
RECIPE = Recipe()


def tune(request: Request) -> Outcome:
    """Tune and judge as ``request`` says; write the tuned encoder if it is better, and in any case the outcome.

    Raises:
        ModelError: the encoder cannot be tuned.
        TrainingError: there are too few examples.
        OSError: the folder cannot be written.
    """
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    folder, cache_dir = Path(request.folder), Path(request.cache_dir)
    base, transformer = locate_model(request.model)
    encoder = OnnxEncoder(
        resolve_model(request.model, precision=request.precision, cache_dir=cache_dir), threads=1
    )
    bert = Bert.read(transformer)
    trunk = Trunk(bert, encoder, top=min(TOP, bert.layers), max_tokens=MAX_TOKENS)
    recipe = RECIPE if request.steps is None else replace(RECIPE, steps=request.steps)
    data = labelled(request)

    def make_learner(encoder: Encoder) -> ClassyLearner:
        return ClassyLearner(encoder, seed=request.seed, config={"head": request.head})

    verdict, folds = judge(trunk, data, make_learner, recipe, folds=request.folds, seed=request.seed)
    fingerprint = ""
    if verdict.is_better:
        rows = np.arange(len(data.labels))
        top = train(trunk, data.texts(rows), data.labels, recipe, request.seed)
        write_folder(base, transformer, bert, top, folder)
        tuned = resolve_model(str(folder), precision=request.precision, cache_dir=cache_dir)
        fingerprint = OnnxEncoder(tuned).fingerprint
    usage = resource.getrusage(resource.RUSAGE_SELF)
    outcome = Outcome(
        base=encoder.fingerprint,
        is_better=verdict.is_better,
        frozen=verdict.frozen,
        tuned=verdict.tuned,
        certainty=verdict.certainty,
        folds=folds,
        examples=len(data.labels),
        labels=len(data.names),
        cpu_seconds=round(usage.ru_utime + usage.ru_stime, 1),
        peak_mib=usage.ru_maxrss // (1024 if sys.platform == "linux" else 1024**2),
        fingerprint=fingerprint,
        exponent=verdict.exponent,
        evidence=verdict.evidence,
    )
    with atomic_write(folder / OUTCOME) as unfinished:  # the last thing: what lacks it is not finished
        unfinished.write_text(outcome.to_json(), encoding="utf-8")
    return outcome


def labelled(request: Request) -> Labelled:
    """Return the examples that a trial uses: each text once, labels with company, at most ``MAX_EXAMPLES``.

    Raises:
        TrainingError: fewer than two labels are left.
    """
    labels_of: dict[str, set[str]] = {}
    for _, text, label in request.examples:
        labels_of.setdefault(text, set()).add(label)
    once = {
        text: (number, label)
        for number, text, label in sorted(request.examples)
        if len(labels_of[text]) == 1 and text.strip()
    }
    by_label: dict[str, list[Example]] = {}
    for text in sorted(once):
        number, label = once[text]
        by_label.setdefault(label, []).append(Example(number, text, label))
    kept = {label: found for label, found in sorted(by_label.items()) if len(found) >= MIN_EXAMPLES}
    if len(kept) < 2:  # noqa: PLR2004  nothing to tell apart
        raise TrainingError("tuning needs two labels with two examples each")
    examples = [one for found in _thinned(list(kept.values()), request.seed) for one in found]
    names = tuple(kept)
    numbers = np.array([names.index(one.label) for one in examples], dtype=np.int64)
    return Labelled(examples, names, numbers, [text for text in request.pool if text.strip()])


def _thinned(groups: Sequence[Sequence[Example]], seed: int) -> list[list[Example]]:
    """Return at most ``MAX_EXAMPLES`` examples, drawn from each label but never below its fair share."""
    chance = np.random.default_rng(seed)
    shuffled = [[group[row] for row in chance.permutation(len(group))] for group in groups]
    most = max(map(len, shuffled))
    while sum(min(len(group), most) for group in shuffled) > max(MAX_EXAMPLES, 2 * len(groups)):
        most -= 1
    return [group[:most] for group in shuffled]


def discard(folder: Path) -> None:
    """Remove what a tuner wrote."""
    shutil.rmtree(folder, ignore_errors=True)
