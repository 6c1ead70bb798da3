"""The notice for annotators: our section of the label question's description, which belongs to people.

Argilla's UI shows the description at the (i) beside the labels' title. A change of it is one row in the database: no
job, no search index, no event. A change of the dataset itself (its guidelines, for example) makes the server go through
all answered records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from argilla_loop.argilla.protocol import DatasetInfo
from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.schema import QUESTION
from argilla_loop.errors import GoneError, RetryableError
from argilla_loop.policy.section import put, without

MAX_LENGTH = 1_000  # Argilla's own limit, in characters (QUESTION_CREATE_DESCRIPTION_MAX_LENGTH)
GAP = "\n"  # the UI shows line breaks as they are, and no Markdown


class NoRoomError(RetryableError):
    """The description that people wrote leaves no room for our section."""


class ArgillaNoticeBoard:
    """``protocol.NoticeBoard`` in the description of the label question; earlier versions used the guidelines.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        before_write: called right before each write; if it raises, nothing is written.
    """

    def __init__(
        self,
        connection: Connection,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
    ) -> None:
        self._connection, self._name, self._before_write = connection, info.name, before_write
        self._path = f"/datasets/{info.id}"

    def show(self, body: str) -> bool:
        """Make ``body`` our section, without its last paragraphs if there is little room; return whether it wrote.

        Argilla has no conditional write, so a change that somebody saves between our read and our write, which are two
        requests, is lost. A change that is saved later is safe, and is found by reading again.

        Raises:
            NoRoomError: the description would become longer than Argilla allows; nothing was written.
            RetryableError: somebody else wrote at the same moment, or Argilla is away.
        """
        question = self._question()
        before = _description_of(question)
        candidates = [put(before, shorter, gap=GAP) for shorter in _shorter(body)]
        after = next((text for text in candidates if len(text) <= MAX_LENGTH), None)
        if after is None:
            raise NoRoomError(
                f"the description of the question {QUESTION!r} leaves no room for a notice "
                f"({len(candidates[-1])} characters, {MAX_LENGTH} at most): shorten it, or set notices = false"
            )
        if after == before:
            return False
        self._before_write()
        self._connection.call(
            "PATCH",
            f"/questions/{question['id']}",
            where="the label question's description",
            json={"description": after},
        )
        if _description_of(self._question()) != after:
            raise RetryableError("the description was changed by somebody else at the same moment")
        return True

    def remove_former(self) -> bool:
        """Remove the section that earlier versions kept in the guidelines; return whether that needed a write.

        The write is expensive, because after any change of a dataset the server goes through all of its answered
        records. So it happens once, and only if there is a section of ours.

        Raises:
            RetryableError: Argilla is away.
        """
        before = self._connection.call("GET", self._path, where=f"dataset {self._name!r}")["guidelines"] or ""
        after = without(before)
        if after == before:
            return False
        self._before_write()
        body = {"guidelines": after or None}  # Argilla refuses an empty text; null means that there is none
        self._connection.call("PATCH", self._path, where="the guidelines", json=body)
        return True

    def _question(self) -> dict[str, Any]:
        path = f"{self._path}/questions"
        for question in self._connection.call("GET", path, where="the dataset's questions")["items"]:
            if question["name"] == QUESTION:
                return dict(question)
        raise GoneError("Argilla knows nothing of the label question")


def _description_of(question: dict[str, Any]) -> str:
    return question["description"] or ""


def _shorter(body: str) -> Iterator[str]:
    """Yield ``body``, then ``body`` without its last paragraph, and so on; the first paragraph is always kept."""
    paragraphs = body.split("\n\n")
    for length in range(len(paragraphs), 0, -1):
        yield "\n\n".join(paragraphs[:length])
