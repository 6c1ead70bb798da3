"""A simulated annotator: answers every record that waits for a human, with a given error rate."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from argilla_loop.argilla.memory import MemoryDataset
from argilla_loop.policy.answers import AnswerRule, adjudicate

HASH_RANGE = 2**64  # eight bytes of a digest as a number are below this


class Annotator:
    """Answers the waiting records, oldest batch first, in the order in which they were logged.

    Whether an answer is wrong, and which wrong label it has, depends on the seed and the record's id only. It does not
    depend on when the record is asked, so two strategies with the same seed get the same answer for the same text.

    Args:
        dataset: the dataset whose records are answered.
        gold: the right label by record id.
        labels: the labels to choose a wrong one from.
        noise: share of the answers that are wrong.
        seed: seed of the errors.
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
        """Answer at most ``most`` records; return how many were answered."""
        rule = AnswerRule(self._dataset.service_user_id, min_submitted=self._dataset.info.min_submitted)
        waiting = [record for record in self._dataset.scan() if not adjudicate(record, rule).is_done][:most]
        for record in waiting:
            self._dataset.answer(record.id, self.label(record.id, of=record.second_look_of))
        self.given += len(waiting)
        return len(waiting)

    def label(self, record_id: str, *, of: str | None = None) -> str:
        """Return the label that this annotator gives to a record, which may ask the text of the record ``of`` again."""
        gold = self._gold[of or record_id]
        digest = hashlib.blake2b(f"{self._seed}/{record_id}".encode(), digest_size=16).digest()
        others = [label for label in self._labels if label != gold]
        if others and int.from_bytes(digest[:8], "little") < self._noise * HASH_RANGE:
            return others[int.from_bytes(digest[8:], "little") % len(others)]
        return gold
