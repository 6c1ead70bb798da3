"""Whose service validated a record: as it is written, or by the age of its answers where an earlier version did not."""

from __future__ import annotations

from typing import Any

import pytest

from argilla_loop.argilla.v2.service_user import service_user_of

MADE = "2026-01-01T10:00:00.000001"
TOGETHER = "2026-01-01T10:00:02.5"
SOON = "2026-01-01T10:00:04"
LATER = "2026-01-01T10:05:00"


def item(*responses: dict[str, Any], **metadata: str) -> dict[str, Any]:
    return {"inserted_at": MADE, "responses": list(responses), "metadata": metadata}


def said(user: str, label: str | None, inserted_at: str, status: str = "submitted") -> dict[str, Any]:
    values = {"label": {"value": label}} if label else None
    return {"user_id": user, "status": status, "values": values, "inserted_at": inserted_at}


def test_what_is_written_counts_whatever_the_answers() -> None:
    assert service_user_of(item(said("ann", "A", TOGETHER), service_user="daemon"), "A") == "daemon"


@pytest.mark.parametrize(
    ("responses", "user"),
    [
        ([said("daemon", "A", TOGETHER)], "daemon"),
        ([said("ann", "A", LATER), said("daemon", "A", TOGETHER)], "daemon"),
        ([said("daemon", "B", TOGETHER)], "daemon"),  # corrected with the service's account
        ([said("daemon", None, TOGETHER, "discarded")], "daemon"),
        ([said("ann", "A", LATER)], None),  # the service's is gone: nobody else's is taken for it
        ([said("ann", "B", TOGETHER), said("daemon", "A", TOGETHER)], "daemon"),  # copied with its answers
        ([said("ann", "A", SOON), said("daemon", "A", TOGETHER)], "daemon"),  # confirmed at once
        ([said("ann", "B", SOON), said("daemon", "A", TOGETHER)], "daemon"),
        ([], None),
    ],
)
def test_where_nothing_is_written_the_answer_as_old_as_the_record_is_the_services(
    responses: list[dict[str, Any]], user: str | None
) -> None:
    assert service_user_of(item(*responses), "A") == user


def test_times_that_cannot_be_read_tell_nothing() -> None:
    assert service_user_of({**item(said("daemon", "A", TOGETHER)), "inserted_at": None}, "A") is None
    assert service_user_of(item(said("daemon", "A", "yesterday")), "A") is None
