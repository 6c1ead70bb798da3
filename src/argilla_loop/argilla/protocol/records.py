"""The records of a working dataset: listed, searched, logged and changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from argilla_loop.argilla.query import Query
from argilla_loop.domain import LoggedRecord, NewRecord


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """The properties of a working dataset, without its records.

    Attributes:
        id: identifies the dataset for as long as it exists, whatever its name.
        name: its current name on the server.
        workspace: name of the workspace that it belongs to.
        labels: the labels that annotators choose from, in the order in which they are shown.
        min_submitted: submitted answers that complete a record.
    """

    id: str
    name: str
    workspace: str
    labels: tuple[str, ...]
    min_submitted: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some records in the order in which they were added, and the number of all records."""

    records: Sequence[LoggedRecord]
    total: int


class Listing(Protocol):
    """The records as the server's database holds them, in the order in which they were added."""

    edits: int  # how often this process has changed records that existed before

    def scan(self) -> Iterator[LoggedRecord]:
        """Yield every record once.

        Records come from the database, not from a search index that may lag behind.

        Raises:
            RetryableError: records are added and deleted so fast that no consistent list can be read.
        """

    def page(self, offset: int, limit: int) -> Page:
        """Return at most ``limit`` records (500 or fewer) from position ``offset`` on."""


class Indexed(Protocol):
    """The records as the server's search index finds them, which is what annotators get to see."""

    info: DatasetInfo

    def count(self, query: Query) -> int:
        """Return how many records match ``query``; no record is read."""

    def search(self, query: Query) -> Iterator[LoggedRecord]:
        """Yield the records that match ``query``; they are read as they are taken."""

    def fetch(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Return records as the database holds them now; ids that no longer exist are left out."""

    def reindex(self, ids: Collection[str]) -> None:
        """Update the search index from the database; the records themselves do not change."""


class WorkingDataset(Listing, Indexed, Protocol):
    """The records of one working dataset, read and written as one user.

    The contract suite (``tests/contract``) defines the behaviour; it runs against every implementation.
    """

    service_user_id: str

    def revision(self) -> str:
        """Return a value that changes with every answer that is given, changed or withdrawn.

        It costs one small request, so that you can ask for it every few seconds.
        """

    def log(self, records: Sequence[NewRecord]) -> list[str]:
        """Insert or update a batch of at most 500 records, by id, in one transaction.

        Existing answers of people stay. A record of the accept route gets a submitted answer of the service's user.

        Returns:
            The ids of the records that the server refuses; all other records are logged.

        Raises:
            RejectedError: the server refuses every one of several records, so the records are not the cause.
        """

    def withdraw_own(self, ids: Collection[str]) -> list[LoggedRecord]:
        """Delete the answers that services gave, whichever user they run as; answers of people stay.

        An answer that a person gave with a service's account is an answer of a person. A record stays on the accept
        route, without an answer of a service, until ``return_to_queue`` changes its route.

        Returns:
            The records as they were just before, without those that no longer exist.
        """

    def return_to_queue(self, records: Sequence[NewRecord]) -> None:
        """Replace route, suggestion and our metadata of existing records, so that annotators are asked again.

        Text, answers and the metadata of others stay. A record that was deleted meanwhile is not created again.
        """

    def make_plain(self, ids: Collection[str]) -> None:
        """Turn audits and held-back records into plain questions, whose answers are no longer used as evidence.

        Everything else stays. A record that was deleted meanwhile is not created again.
        """
