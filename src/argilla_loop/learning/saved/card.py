"""The card of a saved model: ``README.md`` with the front matter that model hubs read. Every figure is computed."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from argilla_loop.domain import HeadEvidence
from argilla_loop.errors import collapse_whitespace
from argilla_loop.learning.encoders.weights import PACKAGE_PREFIX, PACKAGED
from argilla_loop.learning.saved.layout import GRAPH, HEAD, LABELS, TOKENIZER, Description
from argilla_loop.policy.estimate.outlook import Outlook

# What runs the model without argilla-loop; the tests take it from the card that is written, and run it.
PROGRAM = f"""\
import json
import numpy as np
import onnxruntime
from tokenizers import Tokenizer

labels = json.load(open("{LABELS}", encoding="utf-8"))
tokenizer = Tokenizer.from_file("{TOKENIZER}")  # cuts long texts and pads short ones
session = onnxruntime.InferenceSession("{GRAPH}", providers=["CPUExecutionProvider"])
inputs = [one.name for one in session.get_inputs()]

def predict(texts, size=SIZE):  # probabilities of all labels
    rows = []
    for start in range(0, len(texts), size):
        tokens = tokenizer.encode_batch(texts[start : start + size])
        ids = np.array([one.ids for one in tokens], dtype=np.int64)
        mask = np.array([one.attention_mask for one in tokens], dtype=np.int64)
        feed = {{"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}}
        rows.append(session.run(None, {{name: feed[name] for name in inputs}})[0])
    return np.concatenate(rows)

for row in predict(["Write a text here.", "Write another one here."]):
    print(labels[row.argmax()], row.max())
"""
BATCH, BATCH_INT8 = 32, 1


@dataclass(frozen=True, slots=True)
class Audited:
    """What people said, blindly, of predictions of one label."""

    checked: int = 0
    right: int = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the card says, as it was when the model was saved.

    Attributes:
        dataset: name of the working dataset.
        people: number of people who answered.
        human: label -> examples of people that the model was trained on.
        accepted: label -> records that the service accepted that it was trained on.
        audited: predicted label -> answers to audits, of all model versions.
        strategy: by which most texts of people were chosen.
        evidence: of the head that was chosen, from cross-validation; None if there were too few examples.
        outlook: how right the labels are; None if no text is left to estimate that for.
        promise: precision and confidence that a promise is made for; None if none is asked for.
    """

    dataset: str
    people: int
    human: Mapping[str, int]
    accepted: Mapping[str, int]
    audited: Mapping[str, Audited]
    strategy: str
    evidence: HeadEvidence | None = None
    outlook: Outlook | None = None
    promise: tuple[float, float] | None = None


def model_card(description: Description, facts: Facts) -> str:
    """Return the card's Markdown."""
    int8 = description.encoder.precision == "int8"
    program = PROGRAM.replace("SIZE", str(BATCH_INT8 if int8 else BATCH))
    alone = (
        " Each text is a batch of its own, because int8 takes its ranges from the whole batch."
        if int8
        else ""
    )
    parts = [
        _front_matter(description, facts),
        f"# Text classifier from the dataset {_inline(facts.dataset)}",
        (
            f"It gives a text one of {len(description.labels)} labels. It is a sentence encoder "
            f"({_inline(description.encoder.name)}, {description.encoder.precision}) with a classifier "
            f"({_inline(description.head)}) in one ONNX graph, `{GRAPH}`, from token ids to probabilities. "
            f"argilla-loop {description.argilla_loop} trained it; its version is `{description.model_version}`."
        ),
        "## Training data",
        _training(facts),
        _table(description, facts),
        "## How right it is",
        _accuracy(facts),
        "## Intended use and limits",
        _limits(description, facts),
        "## Run it",
        f"With onnxruntime, tokenizers and numpy, in this folder:{alone}",
        f"```python\n{program}```",
        "With argilla-loop, which also abstains below the thresholds of the table above:",
        (
            "```python\nimport argilla_loop\n\n"
            'for text in argilla_loop.load_model(".").predict(["Write a text here."]):\n'
            "    print(text.label, text.certainty, text.abstains)\n```"
        ),
        f"`{HEAD}` holds the classifier's arrays, and `config.json` the thresholds and the SHA-256 of each file.",
    ]
    return "\n\n".join(parts) + "\n"


def _training(facts: Facts) -> str:
    human, accepted = sum(facts.human.values()), sum(facts.accepted.values())
    made = f" and {accepted:,} labels that the service accepted" if accepted else ""
    people = "1 person" if facts.people == 1 else f"{facts.people:,} people"
    return f"It was trained on {human:,} labels of people{made}. {people} answered in the dataset."


def _table(description: Description, facts: Facts) -> str:
    lines = [
        "| label | examples by people | examples by the service | answers certain above | audits | right |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for label in description.labels:
        threshold, audited = description.thresholds[label], facts.audited.get(label, Audited())
        above = "never" if threshold is None else f"{threshold:g}"
        lines.append(
            f"| {_inline(label)} | {facts.human.get(label, 0):,} | {facts.accepted.get(label, 0):,} | {above} "
            f"| {audited.checked:,} | {audited.right:,} |"
        )
    return "\n".join(lines)


def _accuracy(facts: Facts) -> str:
    sentences = []
    checked = sum(one.checked for one in facts.audited.values())
    right = sum(one.right for one in facts.audited.values())
    if facts.outlook is not None and facts.outlook.model.results:
        model = facts.outlook.model
        sentences.append(
            f"It is right on an estimated {_percent(model.value)} of the {facts.outlook.left:,} texts of the pool that "
            f"had no label when it was saved ({_percent(model.low)} to {_percent(model.high, up=True)}), from "
            f"{model.results:,} answers to texts that were drawn at random and shown without a suggestion."
        )
    else:
        sentences.append("There is no estimate of its accuracy on the whole pool.")
    if checked:
        sentences.append(
            f"People answered {checked:,} blind checks of this model and the ones before it (audits and held-back "
            f"texts) and agreed with {right:,} of them. The table counts them by predicted label."
        )
    else:
        sentences.append("No prediction was checked blindly.")
    if facts.promise is not None:
        precision, confidence = facts.promise
        sentences.append(
            f"A threshold stands in the table only if the audits show a precision of {precision:.1%} above it with "
            f"{confidence:.0%} confidence."
        )
    else:
        sentences.append("The thresholds are a setting; no precision was promised for them.")
    if facts.evidence is not None:
        one = facts.evidence
        bias = "" if facts.strategy == "random" else ", so this is no estimate for other texts"
        sentences.append(
            f"In cross-validation it is right on {one.accuracy:.1%} of {one.examples:,} labels of people. "
            f"The strategy `{facts.strategy}` chose their texts{bias}."
        )
    return " ".join(sentences)


def _limits(description: Description, facts: Facts) -> str:
    silent = [label for label in description.labels if description.thresholds[label] is None]
    lines = [
        (
            f"- It is meant for texts like those of the pool behind {_inline(facts.dataset)}. The figures above say "
            "nothing about other texts."
        ),
        "- It knows only its own labels and always gives one of them a probability, also to a text of none of them.",
        f"- It reads the first {description.encoder.max_length:,} tokens of a text.",
        "- It repeats what the people who labelled the texts agree on, including their mistakes.",
    ]
    if silent:
        lines.append(
            "- No threshold was in force for "
            + ", ".join(map(_inline, silent))
            + ": argilla-loop abstains from "
            "these labels unless it is told otherwise."
        )
    return "\n".join(lines)


def _front_matter(description: Description, facts: Facts) -> str:
    lines = [
        "---",
        "library_name: onnxruntime",
        "pipeline_tag: text-classification",
        "tags:",
        "- text-classification",
        "- onnx",
        "- argilla",
        "- argilla-loop",
    ]
    if (base := _base_model(description.encoder.name)) is not None:
        lines.append(f"base_model: {_quoted(base)}")
    if facts.outlook is not None and facts.outlook.model.results:
        model = facts.outlook.model
        metric = (
            f"accuracy on the unlabelled rest of the pool, estimated from {model.results} random answers "
            f"({_percent(model.low)} to {_percent(model.high, up=True)})"
        )
        lines += [
            "model-index:",
            f"- name: {_quoted(description.model_version)}",
            "  results:",
            "  - task:",
            "      type: text-classification",
            "    dataset:",
            f"      name: {_quoted(facts.dataset)}",
            "      type: argilla",
            "    metrics:",
            "    - type: accuracy",
            f"      value: {model.value:.4f}",
            f"      name: {_quoted(metric)}",
        ]
    return "\n".join([*lines, "---"])


def _base_model(name: str) -> str | None:
    """Return the encoder's name on the hub, if it can be one."""
    if name.startswith(PACKAGE_PREFIX):
        return {package: hub for hub, package in PACKAGED.items()}.get(name.removeprefix(PACKAGE_PREFIX))
    return name if re.fullmatch(r"[\w.-]+/[\w.-]+", name) else None


def _percent(share: float, *, up: bool = False) -> str:
    """Return a share in percent with one decimal, rounded down, or ``up``."""
    tenths = 1000 * share
    return f"{(math.ceil(tenths - 1e-9) if up else math.floor(tenths + 1e-9)) / 10:g}%"


def _inline(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is, on one line and in a table's cell."""
    return re.sub(r"([\\`*_\[\]<>|#~&])", r"\\\1", collapse_whitespace(text))


def _quoted(text: str) -> str:
    """Return ``text`` as a double-quoted YAML string."""
    return json.dumps("".join(c for c in collapse_whitespace(text) if c.isprintable()), ensure_ascii=False)


def confirmed(checks: Sequence[tuple[str, bool]]) -> dict[str, Audited]:
    """Count checks, each a predicted label and whether people agreed, by label."""
    counts: dict[str, tuple[int, int]] = {}
    for label, right in checks:
        checked, good = counts.get(label, (0, 0))
        counts[label] = checked + 1, good + right
    return {label: Audited(*count) for label, count in counts.items()}
