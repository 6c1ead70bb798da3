"""The card of a data set: a README with the hub's front matter, in which every figure is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from argilla_loop.policy.estimate.accuracy import Estimate
from argilla_loop.policy.figures import Figures, Measured
from argilla_loop.policy.result import Source, Wanted
from argilla_loop.policy.validation.carried import is_withdrawn
from argilla_loop.service.results.writers import COLUMNS, features_of

SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
)  # the hub's words
FORMATS = {"parquet": "parquet", "csv": "csv", "jsonl": "json"}  # names of the builders of ``datasets``
RULES = {
    "majority": "The label is the majority's. A discard counts as a vote, and a tie gives no label",
    "latest": "The label is that of the latest answer",
}


def card_of(name: str, file: str, form: str, labels: Sequence[str], figures: Figures, wanted: Wanted) -> str:
    """Return the card as Markdown.

    Args:
        name: of the dataset.
        file: name of the data's file or folder.
        form: its format.
        labels: all labels.
        figures: what it says.
        wanted: which rows were taken.
    """
    parts = [
        f"---\n{_front_matter(name, file, form, labels, figures)}---",
        f"# {_plain(name)}",
        _summary(figures, wanted),
        f"## How it was labelled\n\n{_labelling(figures)}",
        f"## What is promised\n\n{_promises(figures)}",
        f"## What was measured\n\n{_measured(figures)}",
        f"## Labels\n\n{_labels(labels, figures)}",
        f"## Columns\n\n{_columns()}",
        f"## Load it\n\n{_loading(file, form)}",
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(name: str, file: str, form: str, labels: Sequence[str], figures: Figures) -> str:
    from huggingface_hub import DatasetCardData  # noqa: PLC0415  slow to import

    size = next((word for most, word in SIZES if figures.tally.rows < most), "n>1M")
    more: dict[str, Any] = {"dataset_info": {"features": features_of(labels)._to_yaml_list()}}  # noqa: SLF001  the hub's form, which has no public function
    if form != "datasets":
        more["configs"] = [{"config_name": "default", "data_files": [{"split": "train", "path": file}]}]
    data = DatasetCardData(
        pretty_name=name,
        task_categories=["text-classification"],
        size_categories=[size],
        tags=["argilla", "argilla-loop", "active-learning"],
        **more,
    )
    return data.to_yaml() + "\n"


def _summary(figures: Figures, wanted: Wanted) -> str:
    tally = figures.tally
    counts = ", ".join(f"{tally.of(source):,} {words}" for source, words in WORDS.items())
    lines = [f"{tally.rows:,} texts: {counts}."]
    if wanted.sources is not None:
        lines.append(f"Only rows of these sources were taken: {', '.join(sorted(wanted.sources))}.")
    if wanted.min_certainty:
        lines.append(f"Labels of the model with a certainty below {wanted.min_certainty:g} were left out.")
    if figures.repeated:
        lines.append(f"{figures.repeated:,} records were left out, as another record has the same text.")
    return " ".join(lines)


WORDS = {
    Source.PERSON: "labelled by people",
    Source.SERVICE: "by the service",
    Source.PREDICTION: "by the model, unchecked",
    Source.NONE: "without a label",
}


def _labelling(figures: Figures) -> str:
    tally, seen, rules = figures.tally, figures.progress, figures.acceptance.rules
    people = "1 person" if figures.people == 1 else f"{figures.people:,} people"
    least = figures.acceptance.min_submitted
    lines = [
        f"{people} labelled texts in Argilla, with the help of argilla-loop, which learns from their answers.",
        f"At least {least} of them had to answer a text."
        if least > 1
        else "One answer was enough for a text.",
        f"{RULES[rules.label_rule]} (`label_rule = {rules.label_rule}`).",
        f"People discarded {tally.discarded:,} texts.",
        f"Several people answered {tally.several:,} texts, and gave different answers to {tally.disagreed:,} of them.",
    ]
    if tally.given:
        lines.append(f"{tally.given:,} labels came with the texts; `people` is 0 in these rows.")
    if tally.incomplete:
        lines.append(f"{tally.incomplete:,} texts have fewer answers than required so far.")
    if seen.answered:
        lines.append(
            f"People saw a suggestion on {seen.answered:,} of the texts that they labelled, and kept {seen.agreed:,} "
            f"({seen.agreed / seen.answered:.1%})."
        )
    if tally.versions:
        lines.append(f"{len(tally.versions):,} versions of the model gave labels.")
    return "\n".join(f"- {line}" for line in lines)


def _promises(figures: Figures) -> str:
    promises = figures.tally.promises
    if not promises:
        return "Nothing: no label of the service is in these rows. Predictions are never promised."
    lines = []
    for written, count in sorted(promises.items(), key=lambda one: (one[0] is None, one[0])):
        if written is None:
            lines.append(f"{count:,} labels of the service: nothing is promised of them.")
        elif is_withdrawn(written):
            lines.append(
                f"{count:,} labels of the service: nothing is promised of them any more, as a label was added since."
            )
        else:
            lines.append(f"{count:,} labels of the service were accepted under: {written}.")
    if any("promise dataset" in (written or "") for written in promises):
        lines.append(
            "A promise for the dataset: of all labels, people's and the service's together, at least the share that it "
            "names is right with its confidence. It takes people's labels as right."
        )
    lines.append("Predictions are never promised.")
    return "\n".join(f"- {line}" for line in lines)


def _measured(figures: Figures) -> str:
    seen, level = figures.progress, figures.acceptance.rules.confidence
    lines = [
        f"Blind audits (people labelled without seeing the model's label): {_share(figures.measured, level)}.",
        (
            f"Of {seen.validated.all:,} labels that the service accepted, people later corrected "
            f"{seen.validated.corrected:,} and confirmed {seen.validated.confirmed:,}."
        ),
    ]
    for what, estimate in (("the predictions", figures.predictions), ("all labels", figures.whole)):
        if estimate is not None:
            lines.append(f"Estimated share of {what} that are right: {_interval(estimate, level)}.")
    if figures.whole is not None:
        lines.append("The estimates take people's labels for right.")
    return "\n".join(f"- {line}" for line in lines)


def _share(found: Measured, level: float) -> str:
    if not found.checked:
        return "none yet"
    return (
        f"{found.right:,} of {found.checked:,} agree with the model ({found.right / found.checked:.1%}; at least "
        f"{found.lower:.1%} at {level:.0%} confidence)"
    )


def _interval(found: Estimate, level: float) -> str:
    return (
        f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%} at {level:.0%} confidence, from {found.results:,} "
        "blind answers)"
    )


def _labels(labels: Sequence[str], figures: Figures) -> str:
    level = figures.acceptance.rules.confidence
    rows = [
        f"| label | people | service | prediction | audits right | precision at least ({level:.0%}) |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for label in labels:
        counts = [
            f"{figures.tally.labels[source, label]:,}"
            for source in (Source.PERSON, Source.SERVICE, Source.PREDICTION)
        ]
        found = figures.by_label.get(label) or Measured(0, 0, 0.0)
        audits = (
            [f"{found.right:,} of {found.checked:,}", f"{found.lower:.1%}"] if found.checked else ["-", "-"]
        )
        rows.append(f"| {' | '.join([_cell(label), *counts, *audits])} |")
    return "\n".join(rows)


MEANING = {
    "id": "the text's id in the pool; in Argilla, if the pool does not hold the text",
    "text": "the text",
    "label": "the label; empty where `source` is `none`",
    "source": "`person`; `service`: accepted by the service; `prediction`: the model's label, which nobody accepted; "
    "`none`",
    "certainty": "probability of a label of the model, according to the model",
    "threshold": "`service`: certainty threshold in force when the label was accepted; `prediction`: threshold above "
    "which the label would be accepted, empty if it would not be",
    "promise": "`service`: the promise in force when the label was accepted",
    "model": "version of the model that gave the label",
    "batch": "number of the batch that the text was logged in",
    "people": "number of people who answered",
    "disagreed": "whether they gave different answers",
    "discarded": "whether they discarded the text",
    "comments": "what people wrote beside their answers, one line for each comment",
}


def _columns() -> str:
    lines = [f"| `{name}` | {MEANING[name]} |" for name in COLUMNS]
    return "\n".join(["| column | what it is |", "|---|---|", *lines])


def _loading(file: str, form: str) -> str:
    if form == "datasets":
        line = f"from datasets import load_from_disk\n\ndata = load_from_disk({file!r})"
    else:
        line = f"from datasets import load_dataset\n\ndata = load_dataset({FORMATS[form]!r}, data_files={file!r})"
    return f"```python\n{line}\n```"


def _plain(text: str) -> str:
    """Return ``text`` on one line, without what Markdown or HTML would take for markup."""
    words = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_[]<>#|" else c for c in words)


def _cell(label: str) -> str:
    return _plain(label) or "-"
