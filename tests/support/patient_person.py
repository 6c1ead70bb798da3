"""A person who goes on working while something is away, as people do: by trying again."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import httpx
from daemon import ArgillaServer, Person
from typing_extensions import Self


class PatientPerson(Person):
    """Answers with the request that Argilla's UI sends, and tries again what failed.

    Whether an answer was stored whose request failed, nobody can know at that moment: :meth:`settle` asks what Argilla
    holds in the end.
    """

    def __init__(self, server: ArgillaServer, dataset: str) -> None:
        super().__init__(server, dataset)
        self.username = server.credentials.annotator.username
        self.unsure: dict[str, tuple[str, str | None]] = {}  # answers whose request failed, by external id

    def waiting(self) -> list[dict[str, Any]]:
        """What the queue shows; nothing where it can't be had."""
        try:
            return super().waiting()
        except httpx.HTTPError:
            return []

    def answer(self, record: dict[str, Any], label: str | None) -> None:
        """Submit ``label``, or discard the record where there is none; no error where it fails."""
        status = "submitted" if label else "discarded"
        # `values` is there without a label, too, as the UI sends it: without it Argilla fails to index the answer
        values = {"label": {"value": label}} if label else {}
        item = {"record_id": record["id"], "status": status, "values": values}
        self.unsure[record["external_id"]] = (status, label)
        try:
            response = self._http.post("/me/responses/bulk", json={"items": [item]})
            if response.raise_for_status().json()["items"][0]["error"] is not None:
                return
        except httpx.HTTPError:
            return
        self.answers[record["external_id"]] = self.unsure.pop(record["external_id"])

    def settle(self, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Count an answer whose request failed as given where Argilla holds it."""
        for record_id, answer in self.unsure.items():
            if self.username in [user for user, _, _ in records[record_id]["responses"]]:
                self.answers[record_id] = answer


class Labelling:
    """A person at work in a thread of its own: one answer after the other, until the end of the block.

    Args:
        person: who.
        gold: labels by external id.
        pause: seconds between two answers.
    """

    def __init__(self, person: Person, gold: Mapping[str, str | None], *, pause: float = 0.05) -> None:
        self._person = person
        self._gold = gold
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        while not self._over.is_set():
            for record in self._person.waiting():
                if self._over.wait(self._pause):
                    return
                self._person.answer(record, self._gold[record["external_id"]])
            self._over.wait(self._pause)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
