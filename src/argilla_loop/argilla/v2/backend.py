"""Argilla 2.8 as a backend: the only part of this package that the rest of argilla-loop may use."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from argilla_loop.argilla.protocol import DatasetInfo, Writer
from argilla_loop.argilla.v2 import users
from argilla_loop.argilla.v2.connection import Connection, connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.lease import ArgillaLease, writer_of
from argilla_loop.argilla.v2.limits import refuse_labels
from argilla_loop.argilla.v2.links import record_url
from argilla_loop.argilla.v2.migration import ArgillaMigration
from argilla_loop.argilla.v2.notice import ArgillaNoticeBoard
from argilla_loop.argilla.v2.rows import ArgillaRows
from argilla_loop.argilla.v2.schema import (
    differences,
    ensure_dataset,
    find_workspace,
    labels_of,
    verify_dataset,
)
from argilla_loop.argilla.v2.visibility import ArgillaVisibility
from argilla_loop.argilla.v2.webhooks import ArgillaWebhooks
from argilla_loop.argilla.v2.working import find_working, migration_of
from argilla_loop.domain import LoggedRecord
from argilla_loop.policy.migration import LabelChange
from argilla_loop.policy.presentation import Presentation


class ArgillaBackend:
    """``protocol.Backend`` over HTTP.

    Args:
        connection: an open connection, which this object closes.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @classmethod
    def open(
        cls,
        api_url: str,
        api_key: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 60.0,
        ca_file: Path | None = None,
    ) -> ArgillaBackend:
        """Connect to a server; arguments and errors as ``connection.connect``."""
        return cls(connect(api_url, api_key, headers=headers, timeout=timeout, ca_file=ca_file))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def server_version(self) -> str:
        """The server's version."""
        return self._connection.server_version

    @property
    def user_id(self) -> str:
        """Id of the user whose key is used."""
        return self._connection.user_id

    @property
    def username(self) -> str:
        """Name of that user."""
        return self._connection.username

    @property
    def role(self) -> str:
        """Role of that user: ``owner``, ``admin`` or ``annotator``."""
        return self._connection.role

    def find(self, workspace: str, name: str, *, remembered: str | None = None) -> ArgillaFoundDataset | None:
        """Return the dataset that the settings call ``name``; see ``working``."""
        workspace_id = find_workspace(self._connection, workspace)
        found = find_working(self._connection, workspace_id, name, remembered=remembered)
        if found.dataset is None:
            return None
        return ArgillaFoundDataset(self._connection, workspace, found.dataset, found.note)

    @staticmethod
    def refuse_labels(labels: Sequence[str]) -> None:
        """Check that a dataset can be created with these labels."""
        refuse_labels(labels)

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
        """Find the working dataset or create it; see ``schema.ensure_dataset``."""
        return ensure_dataset(
            self._connection,
            workspace=workspace,
            name=name,
            labels=labels,
            presentation=presentation,
            min_submitted=min_submitted,
            remembered=remembered,
        )

    def dataset(
        self,
        info: DatasetInfo,
        *,
        before_write: Callable[[], object] = lambda: None,
        render_html: bool = False,
    ) -> ArgillaDataset:
        """Return the records of a dataset."""
        return ArgillaDataset(self._connection, info, before_write=before_write, render_html=render_html)

    def lease(self, info: DatasetInfo, *, holder: str, token: str, seconds: float) -> ArgillaLease:
        """Return the lease on a dataset, which is not held yet."""
        return ArgillaLease(self._connection, info, holder=holder, token=token, seconds=seconds)

    def writer(self, dataset_id: str) -> Writer | None:
        """Return the service that holds the lease on a dataset; ``None`` if there is none."""
        return writer_of(self._connection, dataset_id)

    def migration(
        self,
        source: DatasetInfo,
        name: str,
        change: LabelChange,
        *,
        before_write: Callable[[], object] = lambda: None,
    ) -> ArgillaMigration:
        """Return what makes dataset ``name`` from ``source``, with other labels."""
        return ArgillaMigration(self._connection, source, name, change, before_write=before_write)

    def notice_board(
        self, info: DatasetInfo, *, before_write: Callable[[], object] = lambda: None
    ) -> ArgillaNoticeBoard:
        """Return the place where annotators of a dataset read notices."""
        return ArgillaNoticeBoard(self._connection, info, before_write=before_write)

    def visibility(
        self, dataset_id: str, *, before_write: Callable[[], object] = lambda: None
    ) -> ArgillaVisibility:
        """Return what annotators of a dataset can see of its metadata."""
        return ArgillaVisibility(self._connection, dataset_id, before_write=before_write)

    def webhooks(self, workspace: str, name: str) -> ArgillaWebhooks:
        """Return the webhooks that wake the service of a dataset."""
        return ArgillaWebhooks(self._connection, workspace, name)

    def rows(self, workspace: str, dataset: str, *, text_field: str, question: str) -> ArgillaRows:
        """Return the records of another dataset, to be used as a pool."""
        return ArgillaRows(
            self._connection, workspace=workspace, dataset=dataset, text_field=text_field, question=question
        )

    def record_url(self, dataset_id: str, record: LoggedRecord) -> str:
        """Return the address that shows ``record`` to whoever answered it."""
        return record_url(self._connection.client.api_url, dataset_id, record)

    def accepted_by_user(self, dataset_id: str) -> dict[str, int]:
        """Return how many records the service of each user has accepted, by user id."""
        return users.accepted_by_user(self._connection, dataset_id)

    def usernames(self, workspace: str) -> dict[str, str]:
        """Return names by user id, as far as our user may see them."""
        return users.usernames(self._connection, workspace)

    def ensure_annotator(self, workspace: str, username: str, password: str) -> None:
        """Create an annotator if nobody has that name, and add the user to the workspace."""
        users.ensure_annotator(self._connection, workspace, username, password)


class ArgillaFoundDataset:
    """``protocol.FoundDataset`` over HTTP.

    Args:
        connection: of a user of the workspace.
        workspace: name of the dataset's workspace.
        dataset: as the API describes it.
        note: one line about its name, for operators.
    """

    def __init__(
        self, connection: Connection, workspace: str, dataset: dict[str, Any], note: str | None
    ) -> None:
        self._connection, self._workspace, self._dataset = connection, workspace, dataset
        self.id, self.name, self.note = str(dataset["id"]), str(dataset["name"]), note
        self.is_draft = dataset["status"] == "draft"
        self.migrated_from = (migration_of(dataset) or {}).get("from")

    def labels(self) -> tuple[str, ...]:
        """Return the labels of its label question; empty if it has no such question."""
        return labels_of(self._connection, self._dataset)

    def differences(self, labels: Sequence[str]) -> list[str]:
        """Return what keeps the service from working on it."""
        return differences(self._connection, self._dataset, labels)

    def verified(self, labels: Sequence[str]) -> DatasetInfo:
        """Return its properties; raise ``SchemaError`` if the service cannot work on it."""
        return verify_dataset(self._connection, self._dataset, workspace=self._workspace, labels=labels)

    def indexed(self) -> int:
        """Return how many records the search index finds."""
        path = f"/datasets/{self.id}/records/search"
        found = self._connection.call("POST", path, where="a search", params={"limit": 1}, json={})
        return int(found["total"])

    def stored(self) -> int:
        """Return how many records the database holds."""
        path = f"/datasets/{self.id}/records"
        return int(self._connection.call("GET", path, where="the records", params={"limit": 1})["total"])
