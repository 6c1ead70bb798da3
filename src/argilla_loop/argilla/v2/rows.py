"""The rows of another Argilla dataset, as a pool: the records that people submitted are the first examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from argilla_loop.argilla.v2.connection import Connection, GoneError
from argilla_loop.argilla.v2.dataset import PAGE
from argilla_loop.argilla.v2.markup import unescape_markup
from argilla_loop.argilla.v2.schema import find_dataset, find_workspace
from argilla_loop.argilla.v2.validation import service_user_of
from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.errors import PoolError
from argilla_loop.policy.answers import AnswerRule, adjudicate


class ArgillaRows:
    """Reads ``(id, text, label or None)`` of each record; discarded ones are left out.

    Args:
        connection: whose user must be owner, or admin in that workspace.
        workspace: of the dataset.
        dataset: its name.
        text_field: the field that holds the text.
        question: the label question; a dataset without it has no labels.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        workspace: str,
        dataset: str,
        text_field: str = "text",
        question: str = "label",
    ) -> None:
        self._connection, self._name, self._field, self._question = connection, dataset, text_field, question
        found = find_dataset(connection, find_workspace(connection, workspace), dataset)
        if found is None:
            raise PoolError(
                f"pool.dataset {dataset!r} does not exist in workspace {workspace!r}: create it or name another"
            )
        self._path = f"/datasets/{found['id']}"
        fields = connection.call("GET", f"{self._path}/fields", where="the pool's fields")["items"]
        names = [field["name"] for field in fields]
        if text_field not in names:
            raise PoolError(
                f"pool.dataset {dataset!r} has no field {text_field!r}: set pool.text_column to one of {names}"
            )

    def __call__(self) -> Iterator[tuple[str, str, str | None]]:
        """The rows, in the order they were logged."""
        offset = 0
        while True:
            params = {"offset": offset, "limit": PAGE, "include": ["responses"]}
            page = self._connection.call(
                "GET", f"{self._path}/records", where="the pool's records", params=params
            )["items"]
            for item in page:
                answers = tuple(self._answer(response) for response in item.get("responses") or ())
                record = _record(item, answers)
                label = adjudicate(record, AnswerRule(service_user_id="")).label
                if label is None and any(a.status == "discarded" for a in answers):
                    continue
                text = item["fields"].get(self._field)
                yield record.id, unescape_markup(text) if isinstance(text, str) else text, label
            offset += len(page)
            if len(page) < PAGE:
                return

    def revision(self) -> str:
        """Moves with every answer and every record that is added or deleted.

        Raises:
            PoolError: the dataset was deleted.
        """
        try:
            return self._revision()
        except GoneError:
            raise PoolError(
                f"pool.dataset {self._name!r} is no longer there: create it or name another"
            ) from None

    def _revision(self) -> str:
        dataset = self._connection.call("GET", self._path, where=f"pool {self._name!r}")
        progress = self._connection.call("GET", f"{self._path}/progress", where="the pool's progress")
        return f"{dataset['last_activity_at']} {progress['total']}"

    def _answer(self, response: dict[str, object]) -> Answer:
        values = response.get("values")
        value = values.get(self._question, {}).get("value") if isinstance(values, dict) else None
        status = str(response["status"])
        return Answer(
            user_id=str(response["user_id"]),
            status="submitted"
            if status == "submitted"
            else "discarded"
            if status == "discarded"
            else "draft",
            label=value if isinstance(value, str) else None,
            updated_at=str(response["updated_at"]),
        )


def _record(item: dict[str, Any], answers: tuple[Answer, ...]) -> LoggedRecord:
    """A record without its text; what another service validated is known as that, and is no person's label."""
    metadata = item.get("metadata") or {}
    accepted = metadata.get("route") == Route.ACCEPT.value
    prediction = metadata.get("prediction") if accepted else None
    return LoggedRecord(
        str(item.get("external_id") or item["id"]),
        "",
        route=Route.ACCEPT if accepted else None,
        prediction=prediction,
        answers=answers,
        service_user=service_user_of(item, prediction) if accepted else None,
    )
