"""How the labelling goes, from the records alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from argilla_loop.domain import LoggedRecord, Route
from argilla_loop.policy.answers import accepted_by_model, human_label, is_discarded, is_done


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """One batch: how far it is, and how often people kept what was suggested."""

    number: int
    size: int
    done: int
    accepted: int  # validated by the service
    answered: int  # labelled by people where something was suggested
    agreed: int  # of those, how many have the suggested label
    models: tuple[str, ...]

    @property
    def agreement(self) -> float | None:
        """Share of suggestions that people kept; ``None`` where there was nothing to compare."""
        return self.agreed / self.answered if self.answered else None


@dataclass(frozen=True, slots=True)
class Progress:
    """All batches, and the examples by label and origin."""

    batches: Sequence[BatchProgress]
    human: Counter[str]  # label -> records that people labelled
    model: Counter[str]  # label -> records that the service validated and nobody relabelled
    discarded: int
    unnumbered: int  # records that somebody else logged

    @property
    def agreement(self) -> float | None:
        """Agreement over all batches."""
        answered = sum(batch.answered for batch in self.batches)
        return sum(batch.agreed for batch in self.batches) / answered if answered else None


def progress(records: Iterable[LoggedRecord], *, min_submitted: int, daemon_id: str) -> Progress:
    """Summarise ``records``; an accepted record that a person relabelled counts as the person's."""
    members: dict[int, list[LoggedRecord]] = {}
    human: Counter[str] = Counter()
    model: Counter[str] = Counter()
    discarded = unnumbered = 0
    for record in records:
        label = human_label(record, daemon_id)
        if label is not None:
            human[label] += 1
        elif is_discarded(record, daemon_id):
            discarded += 1
        elif accepted_by_model(record, daemon_id) and record.suggestion is not None:
            model[record.suggestion] += 1
        if record.batch is None:
            unnumbered += 1
        else:
            members.setdefault(record.batch, []).append(record)
    batches = [_batch(number, members[number], min_submitted, daemon_id) for number in sorted(members)]
    return Progress(batches, human, model, discarded, unnumbered)


def _batch(number: int, records: list[LoggedRecord], min_submitted: int, daemon_id: str) -> BatchProgress:
    pairs = [(r.suggestion, human_label(r, daemon_id)) for r in records if r.suggestion is not None]
    compared = [(suggested, given) for suggested, given in pairs if given is not None]
    return BatchProgress(
        number=number,
        size=len(records),
        done=sum(is_done(r, min_submitted=min_submitted, daemon_id=daemon_id) for r in records),
        accepted=sum(r.route is Route.ACCEPT for r in records),
        answered=len(compared),
        agreed=sum(suggested == given for suggested, given in compared),
        models=tuple(sorted({r.model for r in records if r.model})),
    )
