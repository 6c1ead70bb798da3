"""A connection to one server, and what it finds there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from argilla_loop.argilla.protocol.annotators import NoticeBoard, Visibility
from argilla_loop.argilla.protocol.lease import Lease, Writer
from argilla_loop.argilla.protocol.migration import Migration
from argilla_loop.argilla.protocol.records import DatasetInfo, WorkingDataset
from argilla_loop.argilla.protocol.webhooks import Webhooks
from argilla_loop.domain import LoggedRecord
from argilla_loop.policy.migration import LabelChange
from argilla_loop.policy.presentation import Presentation


class FoundDataset(Protocol):
    """A dataset that the settings mean, before anything is known about its schema."""

    @property
    def id(self) -> str:
        """The dataset's id."""

    @property
    def is_draft(self) -> bool:
        """Whether it is half made: annotators cannot see it yet, and it holds no records."""

    @property
    def name(self) -> str:
        """The current name on the server, which may differ from that in the settings."""

    @property
    def note(self) -> str | None:
        """One line about the name, for operators; ``None`` if the dataset is called as the settings say."""

    @property
    def migrated_from(self) -> str | None:
        """Id of the dataset that ``argilla-loop migrate`` made it from; ``None`` if it did not make it."""

    def labels(self) -> tuple[str, ...]:
        """Return the labels of its label question; empty if it has no such question."""

    def differences(self, labels: Sequence[str]) -> list[str]:
        """Return what keeps the service from working on it, as one phrase each; empty if nothing does.

        Args:
            labels: the labels that the settings ask for; empty accepts any.
        """

    def verified(self, labels: Sequence[str]) -> DatasetInfo:
        """Return its properties.

        Raises:
            SchemaError: ``differences`` is not empty.
        """

    def indexed(self) -> int:
        """Return how many records the search index finds.

        Raises:
            RetryableError: the dataset cannot be searched.
        """

    def stored(self) -> int:
        """Return how many records the database holds."""


class PoolRows(Protocol):
    """The records of another dataset, as a pool."""

    def __call__(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield id, text and label (``None``: unlabelled) of each record; discarded records are left out."""

    def revision(self) -> str:
        """Return a value that changes with every answer, and with every record that is added or deleted.

        Raises:
            PoolError: the dataset no longer exists.
        """


class Backend(Protocol):
    """A connection to one server, as one user. ``service.wiring.connect_with`` opens it."""

    @property
    def server_version(self) -> str:
        """The server's version."""

    @property
    def user_id(self) -> str:
        """Id of the user whose key is used."""

    @property
    def username(self) -> str:
        """Name of that user."""

    @property
    def role(self) -> str:
        """Role of that user: ``owner``, ``admin`` or ``annotator``."""

    def close(self) -> None:
        """Close the connection; objects that this backend gave out cannot be used any more."""

    def find(self, workspace: str, name: str, *, remembered: str | None = None) -> FoundDataset | None:
        """Return the dataset that the settings call ``name``, even if it was renamed; ``None`` if there is none.

        Args:
            workspace: name of its workspace.
            name: its name in the settings.
            remembered: id of the dataset that this machine worked on under that name.

        Raises:
            CredentialsError: there is no such workspace, or the user is not in it.
        """

    @staticmethod
    def refuse_labels(labels: Sequence[str]) -> None:
        """Check that a dataset can be created with these labels; no request is sent.

        Raises:
            SettingsError: there are too few or too many labels, or one is too long.
        """

    def ensure(
        self,
        *,
        workspace: str,
        name: str,
        labels: Sequence[str],
        presentation: Presentation | None = None,
        min_submitted: int = 1,
        remembered: str | None = None,
    ) -> DatasetInfo:
        """Find the working dataset as ``find`` does, or create it; complete a draft that a killed process left.

        Nothing is deleted, emptied or renamed. ``presentation`` is for a dataset that is created; ``None`` means the
        defaults.

        Raises:
            SettingsError: the dataset is missing, and the server would not accept these labels or guidelines.
            SchemaError: the dataset exists and cannot be used.
            CredentialsError: there is no such workspace, or the user lacks the permission.
            RetryableError: another service creates the dataset at the same moment.
        """

    def dataset(
        self,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
        render_html: bool = False,
    ) -> WorkingDataset:
        """Return the records of a dataset.

        Args:
            info: the dataset.
            before_write: called right before each request that writes; if it raises, the request is not sent.
            render_html: whether the server's UI may render HTML in texts.
        """

    def lease(self, info: DatasetInfo, *, holder: str, token: str, seconds: float) -> Lease:
        """Return the lease on a dataset, which is not held yet.

        Args:
            info: the dataset.
            holder: describes this service to people.
            token: identifies this service; after a restart with the same token it continues at once.
            seconds: time without a heartbeat after which another service may replace this one.
        """

    def writer(self, dataset_id: str) -> Writer | None:
        """Return the service that holds the lease on a dataset; ``None`` if there is none."""

    def migration(
        self,
        source: DatasetInfo,
        name: str,
        change: LabelChange,
        *,
        before_write: Callable[[], object] = lambda: None,
    ) -> Migration:
        """Return what makes dataset ``name`` from ``source``, with other labels; nothing is written yet."""

    def notice_board(
        self, info: DatasetInfo, *, before_write: Callable[[], object] = lambda: None
    ) -> NoticeBoard:
        """Return the place where annotators of a dataset read notices."""

    def visibility(self, dataset_id: str, *, before_write: Callable[[], object] = lambda: None) -> Visibility:
        """Return what annotators of a dataset can see of its metadata."""

    def webhooks(self, workspace: str, name: str) -> Webhooks:
        """Return the webhooks that wake the service of a dataset.

        A backend without webhooks raises ``FatalError`` in every method of the result; the service then polls.

        Args:
            workspace: name of the dataset's workspace.
            name: the dataset's name in the settings.
        """

    def rows(self, workspace: str, dataset: str, *, text_field: str, question: str) -> PoolRows:
        """Return the records of another dataset, to be used as a pool.

        Args:
            workspace: name of its workspace.
            dataset: its name.
            text_field: the field that holds the text.
            question: the label question; if the dataset has none of that name, all records are unlabelled.

        Raises:
            PoolError: there is no such dataset or field.
        """

    def record_url(self, dataset_id: str, record: LoggedRecord) -> str:
        """Return the address that shows ``record`` to whoever answered it, in the server's UI; no request is sent."""

    def accepted_by_user(self, dataset_id: str) -> dict[str, int]:
        """Return how many records the service of each user has accepted, by user id.

        Records that early versions accepted are left out, because those versions did not store the user.
        """

    def usernames(self, workspace: str) -> Mapping[str, str]:
        """Return names by user id, as far as our user may see them; never raises because of the server."""

    def ensure_annotator(self, workspace: str, username: str, password: str) -> None:
        """Create an annotator if nobody has that name, and add the user to the workspace.

        A user who exists keeps role and password.

        Raises:
            CredentialsError: this user may not create users, or there is no such workspace.
        """
