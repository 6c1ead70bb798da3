"""``argilla-loop simulate``: its options."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from argilla_loop.cli.common import INTERRUPTED, out
from argilla_loop.observability.logs import configure_logs
from argilla_loop.settings import Settings

# The defaults of the service, so that a simulation without options shows what the service would do.
DEFAULTS: dict[str, Any] = {name: field.default for name, field in Settings.model_fields.items()}
EXAMPLE = (
    "**Example:** `argilla-loop simulate --data tickets.csv --text-column body --label-column topic "
    "--strategies mixed,random --baseline tutorial` prints the accuracy by number of labels and the number of labels "
    "that reach the tutorial's accuracy. It writes one row for each turn and the learning curves to simulate-out. You "
    "can stop with Ctrl-C and continue later with the same command."
)


class Baseline(str, Enum):
    """What `simulate` compares the service with."""

    TUTORIAL = "tutorial"
    BY_HAND = "tutorial-by-hand"


class TrainOn(str, Enum):
    """Whose labels `simulate` trains on."""

    HUMAN = "human"
    HUMAN_AND_MODEL = "human+model"


TRAIN_ON_DEFAULT = TrainOn(DEFAULTS["train_on"])


def simulate(
    data: Annotated[
        Path, typer.Option("--data", help="Labelled file: parquet, CSV, TSV, JSON or JSON lines.")
    ],
    text_column: Annotated[str, typer.Option(help="Column with the texts.")] = "text",
    label_column: Annotated[str, typer.Option(help="Column with the correct labels.")] = "label",
    split_column: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(
            help="Column with the values `train` (texts to label) and `test` (texts that measure the accuracy); "
            "default: `split` if the file has it."
        ),
    ] = None,
    held_back: Annotated[
        float,
        typer.Option(
            min=0.01, max=0.9, help="Without a split column: share of texts that measure the accuracy."
        ),
    ] = 0.3,
    most_held_back: Annotated[
        int, typer.Option(min=1, help="Maximum number of texts that measure the accuracy.")
    ] = 2000,
    pool_size: Annotated[int, typer.Option(min=10, help="Maximum number of texts to label.")] = 5000,
    budget: Annotated[int, typer.Option(min=1, help="Number of human labels in each run.")] = 200,
    seeds: Annotated[
        int, typer.Option(min=1, help="Number of runs for each strategy, each in a different order.")
    ] = 5,
    strategies: Annotated[
        Optional[str],  # noqa: UP045  see common.Config
        typer.Option(
            help="Strategies to compare, separated by commas; default: the service's strategy and random."
        ),
    ] = None,
    baseline: Annotated[
        Optional[Baseline],  # noqa: UP045  see common.Config
        typer.Option(
            help="Also run the tutorial's loop with the stock classifier; `tutorial-by-hand` starts it with five "
            "texts of each label."
        ),
    ] = None,
    noise: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of wrong answers of the annotators.")
    ] = 0.0,
    slice_size: Annotated[int, typer.Option(min=1, max=500, help="Records in a batch.")] = DEFAULTS[
        "slice_size"
    ],
    min_examples_per_label: Annotated[
        int, typer.Option(min=2, help="Examples of each label that are needed to train a classifier.")
    ] = DEFAULTS["min_examples_per_label"],
    threshold: Annotated[
        float,
        typer.Option(min=0.5, max=1.0, help="Certainty threshold; with 1, annotators see every record."),
    ] = DEFAULTS["certainty_threshold"],
    target_precision: Annotated[
        Optional[float],  # noqa: UP045  see common.Config
        typer.Option(
            min=0.5, max=0.999, help="Required precision of accepted records, instead of a fixed threshold."
        ),
    ] = None,
    confidence: Annotated[
        float, typer.Option(min=0.5, max=0.999, help="Probability with which the required precision is met.")
    ] = DEFAULTS["confidence"],
    audit_rate: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Share of acceptable records that annotators audit blindly."),
    ] = DEFAULTS["audit_rate"],
    min_accept_examples: Annotated[
        int,
        typer.Option(
            min=0, help="Human examples of a label that are needed to accept records as that label."
        ),
    ] = DEFAULTS["min_accept_examples"],
    train_on: Annotated[TrainOn, typer.Option(help="Whose labels to train on.")] = TRAIN_ON_DEFAULT,
    model: Annotated[
        str, typer.Option(help="Sentence-embedding model: a folder, a hub name or package:NAME.")
    ] = DEFAULTS["model"],
    cache_dir: Annotated[
        Optional[Path],  # noqa: UP045  see common.Config
        typer.Option(
            help="Folder for embeddings and models, which may be deleted at any time; default: the service's."
        ),
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Number of processes; use about one for each core.")] = 1,
    folder: Annotated[
        Path, typer.Option("--out", help="Folder for the results and the finished runs.")
    ] = Path("simulate-out"),
) -> None:
    """Measure the loop on your own data: replay a labelled file with a simulated annotator who answers by its labels.

    For example: which accuracy does the service reach with 200 labels, and with another strategy or threshold?
    """
    from argilla_loop.policy.rules import Rules  # noqa: PLC0415  slow to import
    from argilla_loop.simulate.command import Request, run_simulation  # noqa: PLC0415  slow to import

    configure_logs()
    finished = run_simulation(
        Request(
            data=data,
            text_column=text_column,
            label_column=label_column,
            split_column=split_column,
            held_back=held_back,
            most_held_back=most_held_back,
            pool_size=pool_size,
            strategies=strategies,
            baseline=baseline.value if baseline is not None else None,
            budget=budget,
            seeds=seeds,
            noise=noise,
            rules=Rules(
                slice_size=slice_size,
                min_examples_per_label=min_examples_per_label,
                min_accept_examples=min_accept_examples,
                certainty_threshold=threshold if threshold < 1.0 else None,
                target_precision=target_precision,
                confidence=confidence,
                audit_rate=audit_rate,
                train_on_model=train_on is TrainOn.HUMAN_AND_MODEL,
            ),
            model=model,
            cache_dir=cache_dir or Settings.model_fields["cache_dir"].get_default(call_default_factory=True),
            jobs=jobs,
            out=folder,
        ),
        out,
    )
    raise typer.Exit(0 if finished else INTERRUPTED)
