"""Which audits are put before people a second time, because a single answer may be wrong.

An audit that contradicts the model is asked again, blind, as a record of its own; and a third time if the second answer
agrees with the model. It counts as wrong if most of the answers contradict the model. An audit that agrees with the
model is not asked again, although that answer may be wrong, too. This is why (P stands for the probability over the
audits):

- call the answers to one text *exchangeable* if it does not matter who is asked first: each is given by whoever comes,
  blind, and without knowledge of the others;
- a majority of three people would contradict the model if the answers were wrong-wrong, wrong-right-wrong or
  right-wrong-wrong (for the last, the first answer agrees, so that nobody is asked again). Call the probabilities of
  the first a, and of the second d; by exchangeability that of the third is d as well, so the majority contradicts the
  model with a + 2 d;
- the checks count a + d as wrong. Wrong-right-wrong is as likely as wrong-wrong-right, which is a part of the first, so
  d <= a, and a + 2 d <= 1.5 (a + d).

The checks therefore see at least two thirds of what a majority of three people would call wrong, so the test asks them
for a wrong share that is lower by ``FACTOR`` (see ``promise.AcceptanceCriterion``). Nothing has to be known of how
often people err. If the same person is asked again and repeats a wrong answer, the check counts as wrong, which only
costs.
"""

from __future__ import annotations

from collections.abc import Sequence

from argilla_loop.domain import NewRecord, Route
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.text_keys import own_id

# What a majority of three calls wrong, as a multiple of what the checks see of it, at most; derived above.
FACTOR = 1.5
MOST = 2  # further looks at one record
# Largest share of a slice that looks again: people should also see new texts. Chosen, not measured.
SHARE = 0.5


def unseen(*, second_looks: bool) -> float:
    """Return how many times larger the share that is wrong may be than the share of the checks that is."""
    return FACTOR if second_looks else 1.0


def due(records: Sequence[AdjudicatedRecord], size: int) -> tuple[AdjudicatedRecord, ...]:
    """Return the audits to ask again, those of the earliest batches first: at most ``SHARE`` of a slice of ``size``."""
    waiting = [one for one in records if is_due(one)]
    waiting.sort(key=lambda one: (one.record.batch or 0, one.record.id))
    return tuple(waiting[: int(size * SHARE)])


def is_due(one: AdjudicatedRecord) -> bool:
    """Return whether one more answer could decide that an audit is right after all."""
    if one.record.route is not Route.AUDIT or one.record.second_look_of is not None or not one.is_answered:
        return False
    looks = one.looks
    open_or_spoilt = len(one.second_looks) >= len(looks)  # somebody has yet to answer, or it was not blind
    return not looks[0] and not open_or_spoilt and all(looks[1:]) and len(one.second_looks) < MOST


def second_look(one: AdjudicatedRecord, batch: int) -> NewRecord:
    """Return the record that asks the text of ``one`` again; for annotators it looks like any other audit."""
    record = one.record
    return NewRecord(
        id=f"{own_id(record.id, record.text)}.look{len(one.second_looks) + 2}",
        text=record.text,
        batch=batch,
        route=Route.AUDIT,
        label=record.prediction,
        certainty=record.certainty,
        model=record.model,
        threshold=record.threshold,
        second_look_of=record.id,
    )
