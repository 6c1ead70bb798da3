"""The rows of the demo's table, one for each batch, for a terminal and for a log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(slots=True)
class Row:
    """One batch. The fields about its answers are set when it is done."""

    batch: int
    human: int  # human labels when the batch was logged, from which its model was trained
    model: int  # labels by the service, including those of this batch
    asked: int
    accepted: int
    accepted_right: int  # accepted records that have the gold label
    accuracy: float | None  # of this batch's model on the held-back texts; None without a model
    seconds: dict[str, float] = field(default_factory=dict)  # duration of the turn, by phase
    answered: int = 0  # records with a suggestion that people answered
    agreed: int = 0  # of these, those with the suggested label
    reaction: float | None = None  # seconds from the last submitted answer until the batch appeared


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table."""

    title: str
    width: int
    cell: Callable[[Row], str]


def _phase(*names: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        spent = [row.seconds[name] for name in names if name in row.seconds]
        return f"{sum(spent):.2f}" if spent else "-"

    return cell


COLUMNS: tuple[Column, ...] = (
    Column("batch", 5, lambda row: str(row.batch)),
    Column("human", 5, lambda row: str(row.human)),
    Column("model", 5, lambda row: str(row.model)),
    Column("asked", 5, lambda row: str(row.asked)),
    Column("accepted", 8, lambda row: str(row.accepted)),
    Column("agreement", 9, lambda row: share(row.agreed, row.answered)),
    Column("precision", 9, lambda row: share(row.accepted_right, row.accepted)),
    Column("accuracy", 8, lambda row: "-" if row.accuracy is None else f"{row.accuracy:.1%}"),
    Column("train s", 7, _phase("train")),
    Column("score s", 7, _phase("score", "choose")),
    Column("log s", 5, _phase("log")),
    Column("reaction", 8, lambda row: "-" if row.reaction is None else f"{row.reaction:.2f}"),
)

_PHASES = {"train s", "score s", "log s"}
NARROW: tuple[Column, ...] = (  # for 80 columns: one column for the duration of the turn
    *(column for column in COLUMNS[:-1] if column.title not in _PHASES),
    Column("turn s", 6, _phase("train", "score", "choose", "log")),
    COLUMNS[-1],
)

LEGEND = (
    "human, model: labels so far by people and by the service; asked, accepted: records of this batch; agreement: "
    "share of suggestions that people kept; precision: share of accepted records with the gold label; accuracy: of "
    "this batch's model on the held-back texts; reaction: seconds from the last submitted answer until this batch "
    "is queued."
)


def share(part: int, whole: int) -> str:
    """Return ``part`` of ``whole`` in percent, or a dash if ``whole`` is 0."""
    return f"{part / whole:.0%}" if whole else "-"


def header() -> str:
    """Return the titles as one line."""
    return "  ".join(column.title.rjust(column.width) for column in COLUMNS)


def line(row: Row) -> str:
    """Return ``row`` as one line."""
    return "  ".join(column.cell(row).rjust(column.width) for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Summary:
    """The totals of a run."""

    loops: int
    human: int
    model: int
    accuracy: float | None
    first_accuracy: float | None
    held_back: int
    agreed: int
    answered: int
    accepted_right: int
    accepted: int
    reaction: float | None  # median

    def rows(self) -> list[tuple[str, str]]:
        """Return names and values to print."""
        total = self.human + self.model
        by_model = f"{self.model} ({share(self.model, total)})"
        accuracy = "-"
        if self.accuracy is not None and self.first_accuracy is not None:
            accuracy = (
                f"{self.accuracy:.1%} on {self.held_back} texts (first model: {self.first_accuracy:.1%})"
            )
        return [
            ("loops", str(self.loops)),
            ("held-back accuracy", accuracy),
            ("labels by people", str(self.human)),
            ("labels by the service", by_model),
            ("agreement with suggestions", _of(self.agreed, self.answered)),
            ("precision of accepted", _of(self.accepted_right, self.accepted)),
            ("median reaction", "-" if self.reaction is None else f"{self.reaction:.2f} s"),
        ]


def summarise(rows: Sequence[Row], *, human: int, accuracy: float | None, held_back: int) -> Summary:
    """Return the totals of ``rows``.

    Args:
        rows: the finished batches.
        human: number of human labels at the end.
        accuracy: accuracy of the last model, which was trained on all of them.
        held_back: number of texts on which the accuracy is measured.
    """
    reactions = [row.reaction for row in rows if row.reaction is not None]
    return Summary(
        loops=len(rows),
        human=human,
        model=sum(row.accepted for row in rows),
        accuracy=accuracy,
        first_accuracy=next((row.accuracy for row in rows if row.accuracy is not None), accuracy),
        held_back=held_back,
        agreed=sum(row.agreed for row in rows),
        answered=sum(row.answered for row in rows),
        accepted_right=sum(row.accepted_right for row in rows),
        accepted=sum(row.accepted for row in rows),
        reaction=median(reactions) if reactions else None,
    )


def _of(part: int, whole: int) -> str:
    return f"{share(part, whole)} ({part} of {whole})" if whole else "-"
