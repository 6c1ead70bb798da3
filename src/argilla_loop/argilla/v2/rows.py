"""The records of another Argilla dataset as a pool; those that people have submitted are the first examples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.markup import unescape_markup
from argilla_loop.argilla.v2.reading import PAGE
from argilla_loop.argilla.v2.schema import find_dataset, find_workspace
from argilla_loop.argilla.v2.service_user import service_user_of
from argilla_loop.domain import Answer, LoggedRecord, Route
from argilla_loop.errors import GoneError, PoolError
from argilla_loop.policy.answers import AnswerRule, adjudicate

_STATUSES: dict[str, Literal["submitted", "discarded"]] = {
    "submitted": "submitted",
    "discarded": "discarded",
}


class ArgillaRows:
    """``protocol.PoolRows`` over HTTP.

    Args:
        connection: of an owner, or of an admin in that workspace.
        workspace: name of the dataset's workspace.
        dataset: its name.
        text_field: the field that holds the text.
        question: the label question; if the dataset has none of that name, all records are unlabelled.

    Raises:
        PoolError: there is no such dataset or field.
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
        """Yield id, text and label of each record, in the order in which records were added."""
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
        """Return a value that changes with every answer, and with every record that is added or deleted.

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
        return Answer(
            user_id=str(response["user_id"]),
            status=_STATUSES.get(str(response["status"]), "draft"),
            label=value if isinstance(value, str) else None,
            updated_at=str(response["updated_at"]),
        )


def _record(item: dict[str, Any], answers: tuple[Answer, ...]) -> LoggedRecord:
    """Return a record without its text; a label that another service accepted is not a label of a person."""
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
