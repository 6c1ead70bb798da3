"""Which dataset is the working one, where several could be."""

from __future__ import annotations

from typing import Any, cast

import pytest

from argilla_loop.argilla.v2.connection import Connection
from argilla_loop.argilla.v2.working import ensure_marked, find_working, mark_of


class Server:
    """What Argilla lists, and what it was asked to change."""

    def __init__(self, *datasets: dict[str, Any]) -> None:
        self.datasets = list(datasets)
        self.changes: list[Any] = []

    def call(self, method: str, path: str, *, where: str, **kwargs: Any) -> Any:
        del where
        if method == "GET":
            assert (path, kwargs["params"]) == ("/me/datasets", {"workspace_id": "w"})
            return {"items": self.datasets}
        self.changes.append((method, path, kwargs["json"]))
        return None

    @property
    def connection(self) -> Connection:
        return cast("Connection", self)


def dataset(id_: str, name: str, marked: str | None = None, last: int = 1, **theirs: Any) -> dict[str, Any]:
    metadata = {**theirs, **(mark_of(marked) if marked else {})} or None
    return {"id": id_, "name": name, "metadata": metadata, "last_activity_at": f"2026-01-0{last}T00:00:00"}


@pytest.mark.parametrize(
    ("datasets", "remembered", "found", "said"),
    [
        ([], None, None, None),
        ([], "1", None, None),
        ([dataset("1", "other"), dataset("2", "another", "another")], None, None, None),
        ([dataset("1", "news", "news")], "1", "1", None),
        ([dataset("1", "news")], None, "1", None),
        ([dataset("1", "june", "news")], None, "1", "set dataset to 'june'"),
        ([dataset("1", "june")], "1", "1", "set dataset to 'june'"),
        # of several that had the name: what this machine worked on, else what people worked on last
        ([dataset("1", "a", "news", 2), dataset("2", "b", "news", 3)], None, "2", "set dataset to 'b'"),
        ([dataset("1", "a", "news", 2), dataset("2", "b", "news", 3)], "1", "1", "set dataset to 'a'"),
        # one that has the name comes first; the other is named until that one is marked
        ([dataset("1", "june", "news"), dataset("2", "news")], None, "2", "to go on there"),
        ([dataset("1", "june"), dataset("2", "news")], "1", "2", "to go on there"),
        ([dataset("1", "june", "news"), dataset("2", "news", "news")], None, "2", None),
        # nonsense of others in the place of our mark
        ([dataset("1", "june", argilla_loop="news")], None, None, None),
        ([dataset("1", "june", argilla_loop={"dataset": 7})], None, None, None),
    ],
)
def test_the_settings_name_comes_before_what_this_machine_remembers_and_that_before_our_mark(
    datasets: list[dict[str, Any]], remembered: str | None, found: str | None, said: str | None
) -> None:
    working = find_working(Server(*datasets).connection, "w", "news", remembered=remembered)
    assert (working.dataset and working.dataset["id"]) == found
    assert (said is None) is (working.note is None)
    assert said is None or said in str(working.note)


@pytest.mark.parametrize(
    ("there", "stored"),
    [
        (dataset("1", "news", "news"), []),
        (dataset("1", "news"), [mark_of("news")]),
        (dataset("1", "news", "before"), [None, mark_of("news")]),  # Argilla 2.8 drops a change of a dict
        (dataset("1", "news", theirs=1), []),
        (dataset("1", "news", "before", theirs=1), []),
    ],
)
def test_a_dataset_is_marked_once_and_what_others_keep_there_is_never_changed(
    there: dict[str, Any], stored: list[Any]
) -> None:
    server = Server()
    ensure_marked(server.connection, there, "news")
    assert server.changes == [("PATCH", "/datasets/1", {"metadata": one}) for one in stored]
