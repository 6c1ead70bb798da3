"""What a change of the labels means: for each label, for the records, and for the evidence that they are.

Argilla cannot change the labels of a dataset, so ``argilla-loop migrate`` makes a new one. This module decides what
becomes of a label and of a record. It knows nothing of how Argilla writes them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from argilla_loop.domain import LoggedRecord, Route
from argilla_loop.errors import SettingsError
from argilla_loop.policy.answers import AdjudicatedRecord, AnswerRule, adjudicate, with_second_looks
from argilla_loop.policy.observation import is_blind
from argilla_loop.policy.validation.carried import WITHDRAWN, carried_over

LEAST_LABELS = 2  # a choice needs two


@dataclass(frozen=True, slots=True)
class LabelChange:
    """A change of the labels of a dataset.

    Attributes:
        before: the labels, in their order.
        after: the labels afterwards. A renamed label keeps its place, a merged one has that of its first part, and
            labels that are added come last.
        names: the new name of each label that has another one afterwards.
        added: labels that nobody could choose before.
    """

    before: tuple[str, ...]
    after: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    added: tuple[str, ...] = ()

    def of(self, label: str) -> str:
        """Return what ``label`` is called afterwards."""
        return self.names.get(label, label)

    def is_alone(self, label: str) -> bool:
        """Return whether ``label`` is not merged with others."""
        return sum(self.of(other) == self.of(label) for other in self.before) == 1

    @property
    def merges(self) -> bool:
        """Whether two labels become one."""
        return len(self.after) - len(self.added) < len(self.before)

    @property
    def key(self) -> str:
        """A text that two changes share if, and only if, they are the same."""
        return json.dumps([sorted(self.names.items()), list(self.added)], ensure_ascii=False)


def label_change(
    labels: Sequence[str], *, add: Sequence[str] = (), merge: Sequence[str] = (), rename: Sequence[str] = ()
) -> LabelChange:
    """Return the change that some options ask for.

    Args:
        labels: of the dataset, in their order.
        add: labels to add.
        merge: each ``A,B=C``; labels may contain commas and equals signs.
        rename: each ``A=B``.

    Raises:
        SettingsError: the options are none, contradict each other, or do not fit the labels.
    """
    if not (add or merge or rename):
        raise SettingsError("nothing to change: give --add-label X, --merge A,B=C or --rename A=B")
    names: dict[str, str] = {}
    groups = [
        (parts, into, f"--merge {written}") for written in merge for parts, into in [_merged(labels, written)]
    ]
    groups += [
        ((old,), new, f"--rename {written}") for written in rename for old, new in [_renamed(labels, written)]
    ]
    for parts, into, option in groups:
        for part in parts:
            if part in names:
                raise SettingsError(f"label {part!r} is changed twice, by {option} too: name it once")
            names[part] = into
    _refuse_collisions(labels, names, groups)
    kept = list(dict.fromkeys(names.get(label, label) for label in labels))
    added = [label.strip() for label in add]
    for label in added:
        if not label:
            raise SettingsError("--add-label is blank: give the new label a name")
        if label in kept or added.count(label) > 1:
            raise SettingsError(f"--add-label {label!r}: there is such a label already; leave the option out")
    after = (*kept, *added)
    _refuse_unfit(after)
    return LabelChange(tuple(labels), after, {a: b for a, b in names.items() if a != b}, tuple(added))


def _refuse_collisions(
    labels: Sequence[str], names: Mapping[str, str], groups: Sequence[tuple[tuple[str, ...], str, str]]
) -> None:
    """Refuse a new name that another label has or gets: whether to merge the two must be said."""
    targets = Counter(into for _, into, _ in groups)
    for parts, into, option in groups:
        if targets[into] > 1:
            raise SettingsError(
                f"{option}: another option makes a label {into!r} too; merge all of them with one --merge"
            )
        if into in labels and into not in names:
            together = ",".join([*parts, into])
            raise SettingsError(
                f"{option}: there is a label {into!r} already; to make them one, give --merge {together}={into}"
            )


def _refuse_unfit(labels: Sequence[str]) -> None:
    """Refuse what settings would refuse: fewer than two labels, or two that differ in case or blanks only."""
    if len(labels) < LEAST_LABELS:
        raise SettingsError(f"only label {labels[0]!r} would be left: keep two or more")
    folded: dict[str, str] = {}
    for label in labels:
        if (other := folded.setdefault(label.strip().casefold(), label)) != label:
            raise SettingsError(
                f"labels {other!r} and {label!r} would differ in case or blanks only: keep one"
            )


def _merged(labels: Sequence[str], written: str) -> tuple[tuple[str, ...], str]:
    """Read ``A,B=C``."""
    found = [
        (parts, into)
        for left, into in _sides(written)
        for parts in _pieces(labels, left)
        if len(set(parts)) > 1 and len(set(parts)) == len(parts)
    ]
    if len(found) == 1:
        return found[0]
    if found:
        raise SettingsError(
            f"--merge {written!r} can be read in several ways: rename one of the labels first"
        )
    for left, _ in _sides(written):
        parts = [part.strip() for part in left.split(",")]
        if unknown := [part for part in parts if part not in labels]:
            raise SettingsError(_no_such(unknown[0], labels))
        if len(set(parts)) == 1:
            raise SettingsError(f"--merge {written!r} names one label: name two or more, or give --rename")
        raise SettingsError(f"--merge {written!r} names a label twice: name each once")
    raise SettingsError(f"--merge {written!r} cannot be read: write it as A,B=C")


def _renamed(labels: Sequence[str], written: str) -> tuple[str, str]:
    """Read ``A=B``."""
    sides = list(_sides(written))
    found = [(left, into) for left, into in sides if left in labels]
    if len(found) > 1:
        raise SettingsError(
            f"--rename {written!r} can be read in several ways: rename the label with an equals sign first"
        )
    if not sides:
        raise SettingsError(f"--rename {written!r} cannot be read: write it as A=B")
    if not found:
        raise SettingsError(_no_such(sides[0][0], labels))
    old, new = found[0]
    if old == new:
        raise SettingsError(f"--rename {written!r} changes nothing: give the label another name")
    return old, new


def _sides(written: str) -> Iterator[tuple[str, str]]:
    """Yield what is left and right of each equals sign, if neither is blank."""
    for position, character in enumerate(written):
        left, right = written[:position].strip(), written[position + 1 :].strip()
        if character == "=" and left and right:
            yield left, right


def _pieces(labels: Sequence[str], written: str) -> Iterator[tuple[str, ...]]:
    """Yield each way in which a text is a list of ``labels``, separated by commas."""
    if written.strip() in labels:
        yield (written.strip(),)
    for position, character in enumerate(written):
        if character == "," and (first := written[:position].strip()) in labels:
            yield from ((first, *rest) for rest in _pieces(labels, written[position + 1 :]))


def _no_such(label: str, labels: Sequence[str]) -> str:
    return f"no such label: {label} (there are: {', '.join(labels)})"


def relabelled(change: LabelChange, before: Mapping[str, str]) -> dict[str, str]:
    """Return the setting ``pool.relabel`` after a change: what the labels in the pool's column are called now.

    Args:
        change: of the labels.
        before: the setting so far.
    """
    return {old: change.of(new) for old, new in before.items()} | {
        old: new for old, new in change.names.items() if old not in before
    }


@dataclass(frozen=True, slots=True)
class Migrated:
    """What a change does with the records of a dataset.

    Attributes:
        change: of the labels.
        anew: whether evidence starts anew: audits and held-back records become plain questions.
        turned: number of records whose check the change would turn from wrong to right, or the other way.
        blind: number of audits and held-back records.
        accepted: number of labels that services gave and that still stand.
        answers: number of answers of people by status.
        by_label: number of submitted answers of people by their label, and of accepted labels.
        doubtful: number of submitted answers of people that were given when an added label could not be chosen.
    """

    change: LabelChange
    anew: bool
    turned: int
    blind: int
    accepted: int
    answers: Mapping[str, int]
    by_label: Mapping[str, tuple[int, int]]

    @property
    def doubtful(self) -> int:
        """Number of submitted answers of people from when an added label could not be chosen."""
        return self.answers.get("submitted", 0) if self.change.added else 0


def migrated(records: Sequence[LoggedRecord], change: LabelChange, rule: AnswerRule) -> Migrated:
    """Return what ``change`` does with ``records``.

    Evidence starts anew in two cases. If a label is added, each check compared a prediction with an answer that could
    not be the new label. If a merge turns a wrong check into a right one, the checks may have been the reason for the
    merge, and evidence that chose a question cannot answer it. In all other cases each check says the same as before:
    the theorem (docs/trust-why.md) holds for the sequence that goes on.

    Args:
        records: all records of the dataset.
        change: of the labels.
        rule: how their answers are read.
    """
    before = [adjudicate(record, rule) for record in records]
    then = _looks(with_second_looks(before))
    now = _looks(with_second_looks([adjudicate(migrated_record(r, change), rule) for r in records]))
    turned = sum(now[id_] != looks for id_, looks in then.items())
    people: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for one in before:
        kept = [answer for answer in one.record.answers if not answer.is_final or answer in one.answers]
        statuses.update(answer.status for answer in kept)
        people.update(a.label for a in kept if a.status == "submitted" and a.label is not None)
    accepted = Counter(one.record.prediction for one in before if one.is_accepted)
    return Migrated(
        change,
        bool(change.added) or turned > 0,
        turned,
        sum(is_blind(record) for record in records),
        accepted.total(),
        statuses,
        {label: (people[label], accepted[label]) for label in change.before},
    )


def _looks(records: Iterable[AdjudicatedRecord]) -> dict[str, tuple[bool, ...]]:
    """Return what each answered record that may be a check says of the model's label."""
    return {
        one.record.id: tuple(one.looks)
        for one in records
        if one.is_answered and (is_blind(one.record) or one.record.route is Route.ACCEPT)
    }


def migrated_record(record: LoggedRecord, change: LabelChange) -> LoggedRecord:
    """Return a record under the new labels."""

    def of(label: str | None) -> str | None:
        return None if label is None else change.of(label)

    answers = tuple(replace(answer, label=of(answer.label)) for answer in record.answers)
    return replace(
        record, suggestion=of(record.suggestion), prediction=of(record.prediction), answers=answers
    )


def migrated_promise(written: str | None, change: LabelChange) -> str | None:
    """Return what an accepted record says of its promise under the new labels.

    A wrong label stays wrong or becomes right if labels are merged, so a promise still holds. It is not derived again
    in the new dataset, where the answers have new times. If a label is added, an accepted label may be wrong because
    the right one could not be given, so nothing is promised of it any more.
    """
    return WITHDRAWN if change.added else carried_over(written)
