"""Somebody who answers every record that waits for a human, now and then wrongly."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.policy.answers import AnswerRule, adjudicate

WHOLE = 2**64


class Annotator:
    """Answers what waits, oldest batch first, in the order it was logged.

    Whether an answer is wrong, and how, is drawn from the seed and the record's id alone: it does not depend on when
    the record comes up, so two strategies with the same seed get the same answer for the same text.

    Args:
        dataset: where records wait.
        gold: the right label by record id.
        labels: to choose a wrong one from.
        noise: share of the answers that are wrong.
        seed: of the errors.
    """

    def __init__(
        self,
        dataset: MemoryDataset,
        gold: Mapping[str, str],
        labels: Sequence[str],
        *,
        noise: float,
        seed: int,
    ) -> None:
        self.given = 0  # answers so far
        self._dataset, self._gold, self._labels = dataset, gold, labels
        self._noise, self._seed = noise, seed

    def answer(self, most: int) -> int:
        """Answer at most so many records; returns how many were answered."""
        rule = AnswerRule(self._dataset.service_user_id, min_submitted=self._dataset.info.min_submitted)
        waiting = [record.id for record in self._dataset.scan() if not adjudicate(record, rule).is_done][
            :most
        ]
        for record_id in waiting:
            self._dataset.answer(record_id, self.label(record_id))
        self.given += len(waiting)
        return len(waiting)

    def label(self, record_id: str) -> str:
        """What this annotator takes the record for."""
        gold = self._gold[record_id]
        digest = hashlib.blake2b(f"{self._seed}/{record_id}".encode(), digest_size=16).digest()
        others = [label for label in self._labels if label != gold]
        if others and int.from_bytes(digest[:8], "little") < self._noise * WHOLE:
            return others[int.from_bytes(digest[8:], "little") % len(others)]
        return gold
