"""What annotators see: notices beside the labels, metadata, and their queue."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol


class NoticeBoard(Protocol):
    """The place beside the labels where annotators read how things stand. It belongs to people; we own a section."""

    def show(self, body: str) -> bool:
        """Make ``body`` our section; return whether that needed a write.

        The last paragraphs are left out if there is no room for them.

        Raises:
            RetryableError: there is no room for the first paragraph either, or somebody wrote at the same moment.
        """

    def remove_former(self) -> bool:
        """Remove the section from where earlier versions kept it; return whether that needed a write."""


@dataclass(frozen=True, slots=True)
class Exposed:
    """A metadata property of ours that annotators can see although they should not.

    Attributes:
        id: the property's id.
        name: its name.
        since: ISO 8601, by the server's clock: annotators have seen it since then at the latest.
        reveals: whether it gives away what an audit must not, so that audits are not blind.
    """

    id: str
    name: str
    since: str
    reveals: bool


class Visibility(Protocol):
    """Which metadata annotators can see."""

    def exposed(self) -> list[Exposed]:
        """Return our properties that somebody has made visible to annotators."""

    def hide(self, exposed: Collection[Exposed]) -> None:
        """Hide properties from annotators again. If it raises, some may be hidden already."""


@dataclass(frozen=True, slots=True)
class Pending:
    """A record that waits for the annotator.

    Attributes:
        id: its id in the pool.
        batch: its batch number.
        server_id: its id on the server.
    """

    id: str
    batch: int
    server_id: str


class AnnotatorQueue(Protocol):
    """The queue of one user in one dataset, which need not exist yet; used by the demo's simulated annotator."""

    def pending(self) -> list[Pending]:
        """Return the next records that are not complete and not answered by this user; empty without a dataset."""

    def submit(self, record: Pending, label: str) -> None:
        """Submit ``label`` as this user's answer."""
