"""Our section of the label question's description, which belongs to people.

Argilla's UI shows it at the (i) beside the labels' title. A change of it is one row in the database: no job, no search
index, no event. A change of the dataset (its guidelines, say) makes the server go through all answered records.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from argilla_loop.argilla.v2.connection import Connection, GoneError
from argilla_loop.argilla.v2.schema import QUESTION, DatasetInfo
from argilla_loop.errors import RetryableError
from argilla_loop.policy.section import put

MAX_LENGTH = 1_000  # characters that Argilla takes (QUESTION_CREATE_DESCRIPTION_MAX_LENGTH)
GAP = "\n"  # the UI shows line breaks as they are, and no Markdown


class NoRoomError(RetryableError):
    """People's description leaves no room for ours."""


class Description:
    """The description of the label question of one dataset.

    Args:
        connection: of an admin or owner.
        info: the dataset.
        before_write: called before the one write; may raise to prevent it.
    """

    def __init__(
        self,
        connection: Connection,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
    ) -> None:
        self._connection, self._info, self._before_write = connection, info, before_write

    def read(self) -> str:
        """All of it; empty where there is none.

        Raises:
            GoneError: the dataset or its question is gone.
        """
        path = f"/datasets/{self._info.id}/questions"
        for question in self._connection.call("GET", path, where="the dataset's questions")["items"]:
            if str(question["id"]) == self._info.question_id:
                return question["description"] or ""
        raise GoneError("Argilla knows nothing of the label question")

    def show(self, body: str) -> bool:
        """Make ``body`` our section, without its last paragraphs where there is little room; whether that took a write.

        Argilla has no conditional write: what somebody saves between our read and our write, two requests apart, is
        lost. What is saved later is safe, and found by reading again.

        Raises:
            NoRoomError: it would become longer than Argilla takes; nothing was written.
            RetryableError: somebody else has written meanwhile, or Argilla is away.
        """
        before = self.read()
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
            f"/questions/{self._info.question_id}",
            where="the label question's description",
            json={"description": after},
        )
        if self.read() != after:
            raise RetryableError("the description was changed by somebody else at the same moment")
        return True


def _shorter(body: str) -> Iterator[str]:
    """``body``, then without its last paragraph, and so on; the first paragraph is always in."""
    paragraphs = body.split("\n\n")
    for length in range(len(paragraphs), 0, -1):
        yield "\n\n".join(paragraphs[:length])
