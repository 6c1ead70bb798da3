"""A small saved model for tests."""

from __future__ import annotations

from pathlib import Path

from argilla_loop.domain import Example
from argilla_loop.learning.encoders.encoder import OnnxEncoder
from argilla_loop.learning.learner import TrainedModel
from argilla_loop.learning.saved.card import Audited, Facts
from argilla_loop.learning.saved.write import describe, write_model

WORDS = {"sport": ["goal", "match"], "money": ["bank", "money"], "culture": ["film", "actor"]}


def examples() -> list[Example]:
    return [
        Example(f"{label}{n}", " ".join([words[n % 2]] * (n // 2 + 1)), label)
        for label, words in WORDS.items()
        for n in range(8)
    ]


def saved(
    folder: Path, model: TrainedModel, encoder: OnnxEncoder, *, force: bool = False, name: str = "news"
) -> Path:
    labels = model.labels
    description = describe(
        encoder,
        model_version=model.version,
        head=model.head,
        labels=labels,
        thresholds=dict.fromkeys(labels[1:], 0.5),
        argilla_loop="1.2.3",
    )
    facts = Facts(name, 2, dict.fromkeys(labels, 8), {}, {labels[0]: Audited(5, 4)}, "mixed")
    write_model(folder, model.classifier, encoder, description, facts, force=force)
    return folder
