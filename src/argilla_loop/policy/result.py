"""The data set that an operator takes home: one row for each text of the pool, and for each other record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray, Pool
from argilla_loop.errors import collapse_whitespace
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.matching import NOWHERE, Matcher
from argilla_loop.policy.text_keys import keys_of, own_id

# Rows made at a time: so few that a block of texts of 100,000 characters fits into memory. Chosen, not measured.
BLOCK = 2048
DECIMALS = 6  # of a predicted certainty, as in Argilla


class Source(str, Enum):
    """Where a row's label comes from."""

    PERSON = "person"  # people answered, or the label came with the pool
    SERVICE = "service"  # the service accepted it, and nobody has answered since
    PREDICTION = "prediction"  # the model's label now, which nobody has accepted
    NONE = "none"  # no label: discarded, people tie, or there is no model


@dataclass(frozen=True, slots=True)
class Row:
    """One text of the data set.

    ``certainty``, ``threshold``, ``promise`` and ``model`` describe a label of the model. They are ``None`` where
    people gave the label.

    Attributes:
        id: in the pool; of a text that is not in the pool, in Argilla.
        text: as Argilla holds it, or as the pool does.
        label: ``None`` where ``source`` is ``NONE``, and only there.
        source: where the label comes from.
        certainty: probability of the label according to the model, 0 to 1.
        threshold: certainty threshold in force when the service accepted the label; of a prediction, the one above
            which its label would be accepted now, ``None`` if it would not.
        promise: under which the service accepted the label, see ``policy.validation.granted``.
        model: version of the model.
        batch: in which the text was logged; ``None`` if it was not, or not by the service.
        people: number of people who answered.
        disagreed: whether they gave different answers.
        discarded: whether they discarded it.
        comments: what people wrote beside their answers, one line for each comment; ``None`` if nobody did.
    """

    id: str
    text: str
    label: str | None = None
    source: Source = Source.NONE
    certainty: float | None = None
    threshold: float | None = None
    promise: str | None = None
    model: str | None = None
    batch: int | None = None
    people: int = 0
    disagreed: bool = False
    discarded: bool = False
    comments: str | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows to take.

    Attributes:
        sources: where labels may come from; ``None`` takes every row.
        min_certainty: leaves out labels of the model (source service or prediction) with a lower certainty.
    """

    sources: frozenset[Source] | None = None
    min_certainty: float = 0.0

    def takes(self, row: Row) -> bool:
        """Return whether to take ``row``."""
        if self.sources is not None and row.source not in self.sources:
            return False
        return row.certainty is None or row.certainty >= self.min_certainty

    @property
    def predictions(self) -> bool:
        """Whether predictions are wanted at all."""
        return self.sources is None or Source.PREDICTION in self.sources


class Predictor(Protocol):
    """Predicts labels with one model."""

    version: str

    def at(self, positions: IndexArray) -> tuple[list[str], NDArray[np.float64]]:
        """Return labels and certainties of the pool's texts at ``positions``."""

    def of(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
        """Return labels and certainties of ``texts``."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Which record stands for which text.

    Attributes:
        at: shape (n,), for each position of the pool the index of its record, or ``NOWHERE``.
        outside: indices of the records whose text is not in the pool, in the order in which they were added.
        repeated: indices of the records that are left out because another one stands for the same text.
    """

    at: IndexArray
    outside: Sequence[int]
    repeated: Sequence[int]


def lay_out(pool: Pool, records: Sequence[AdjudicatedRecord]) -> Layout:
    """Find the record of each text.

    If several records have the same text, the one that people answered stands for it, then the one that the service
    accepted, then the one that the service logged, then the one that was added first.
    """
    logged = [one.record for one in records]
    matcher = Matcher()
    matcher.match(pool, logged)
    at = np.full(len(pool), NOWHERE, np.int64)
    outside: dict[int, int] = {}
    repeated = []
    keys = keys_of([record.text for record in logged]).tolist()
    for n, position in enumerate(matcher.positions(logged).tolist()):
        before = int(at[position]) if position != NOWHERE else outside.get(keys[n], NOWHERE)
        chosen = n
        if before != NOWHERE:
            chosen = n if _weight(records[n]) > _weight(records[before]) else before
            repeated.append(before if chosen == n else n)
        if position != NOWHERE:
            at[position] = chosen
        else:
            outside[keys[n]] = chosen
    return Layout(at, sorted(outside.values()), sorted(repeated))


def rows(
    pool: Pool,
    records: Sequence[AdjudicatedRecord],
    layout: Layout,
    *,
    predictor: Predictor | None = None,
    thresholds: Mapping[str, float] | None = None,
    block: int = BLOCK,
) -> Iterator[list[Row]]:
    """Yield all rows in blocks: the pool's texts in pool order, then the other records as they were added.

    Args:
        pool: the pool.
        records: all records of the working dataset.
        layout: of both, see ``lay_out``.
        predictor: labels what nobody has labelled; ``None`` leaves it without a label.
        thresholds: certainty above which a predicted label would be accepted now, by label.
        block: number of rows of a block.
    """
    given = {example.id: example.label for example in pool.examples()}
    names = {records[n].record.id for n in layout.outside}
    taken: set[str] = set()  # ids of the pool that a record with another text has, too
    above = thresholds or {}
    for start in range(0, len(pool), block):
        positions = np.arange(start, min(start + block, len(pool)), dtype=np.int64)
        ids, texts = pool.ids_at(positions), pool.texts(positions)
        taken.update(names.intersection(ids))
        made, open_ = [], []
        for n, (id_, text, which) in enumerate(zip(ids, texts, layout.at[positions].tolist(), strict=True)):
            one = records[which] if which != NOWHERE else None
            row, is_open = _row(id_, text, one, given.get(id_))
            made.append(row)
            if is_open:
                open_.append(n)
        if predictor is not None and open_:
            _fill(made, open_, predictor.at(positions[open_]), predictor.version, above)
        yield made
    for start in range(0, len(layout.outside), block):
        made, open_ = [], []
        for n, which in enumerate(layout.outside[start : start + block]):
            record = records[which].record
            id_ = own_id(record.id, record.text) if record.id in taken else record.id
            row, is_open = _row(id_, record.text, records[which], None)
            made.append(row)
            if is_open and record.text.strip():
                open_.append(n)
        if predictor is not None and open_:
            predicted = predictor.of([made[n].text for n in open_])
            _fill(made, open_, predicted, predictor.version, above)
        yield made


def _weight(one: AdjudicatedRecord) -> tuple[bool, bool, bool]:
    return bool(one.answers), one.is_accepted, one.record.batch is not None


def _row(id_: str, text: str, one: AdjudicatedRecord | None, given: str | None) -> tuple[Row, bool]:
    """Return the row of a text, and whether a model may label it."""
    row = Row(id_, text)
    if one is not None:
        record = one.record
        row = Row(
            id_,
            record.text,
            batch=record.batch,
            people=len(one.answers),
            disagreed=one.is_disputed,
            comments=_comments(one),
        )
        if one.is_discarded or one.label is not None or one.answers:  # without a label, they tie
            source = Source.PERSON if one.label is not None else Source.NONE
            return replace(row, label=one.label, source=source, discarded=one.is_discarded), False
    if given is not None:
        return replace(row, label=given, source=Source.PERSON), False
    if one is None or not one.is_accepted:
        return row, True
    accepted = replace(
        row,
        label=one.record.prediction,
        source=Source.SERVICE,
        certainty=one.record.certainty,
        threshold=one.record.threshold,
        promise=one.record.promise,
        model=one.record.model,
    )
    return accepted, False


def _comments(one: AdjudicatedRecord) -> str | None:
    lines = (collapse_whitespace(answer.comment or "") for answer in one.answers)
    return "\n".join(filter(None, lines)) or None


def _fill(
    made: list[Row],
    open_: Sequence[int],
    predicted: tuple[list[str], NDArray[np.float64]],
    version: str,
    above: Mapping[str, float],
) -> None:
    """Give the rows ``open_`` of ``made`` their predictions."""
    labels, certainties = predicted
    exact = np.minimum(certainties.round(DECIMALS), 1.0).tolist()
    for n, label, certainty in zip(open_, labels, exact, strict=True):
        made[n] = replace(
            made[n],
            label=label,
            source=Source.PREDICTION,
            certainty=certainty,
            threshold=above.get(label),
            model=version,
        )
