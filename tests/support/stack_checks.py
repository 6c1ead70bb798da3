"""What must hold after anything that befell the stack."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
from daemon import Daemon, held, until
from invariants import check_invariants
from patient_person import PatientPerson
from team_stack import TeamStack

CATCH_UP = 90.0  # seconds until the index must agree with the database: it is refreshed once a second
Rows = Sequence[tuple[str, str, str | None]]  # id, text, label where the pool has one


def batches_of(stack: TeamStack, dataset: str) -> int:
    """How many batches the database holds."""
    records = held(stack, dataset).values()
    return len({record["metadata"]["idx"] for record in records})


def to_the_end(
    stack: TeamStack, dataset: str, daemon: Daemon, person: PatientPerson, rows: Rows, *, slice_size: int
) -> dict[str, dict[str, Any]]:
    """Wait until every text of the pool is done, somebody being at work; check, and return what Argilla holds then."""
    pool = {record_id: text for record_id, text, label in rows if label is None}

    def done() -> bool:
        try:
            records = held(stack, dataset)
        except httpx.HTTPError:
            return False
        return len(records) == len(pool) and all(record["responses"] for record in records.values())

    until(done, what="the end of the pool", pause=0.5, daemons=[daemon])
    assert daemon.is_running
    records = held(stack, dataset)
    person.settle(records)
    check_invariants(
        records,
        texts=pool,
        answers=person.answers,
        person=person.username,
        daemon=stack.credentials.loop.username,
        largest_batch=slice_size,
        complete=True,
    )
    return records


def check_index(
    records: Mapping[str, Mapping[str, Any]], documents: Callable[[], Mapping[str, Mapping[str, Any]]]
) -> None:
    """The index holds every record as the database does, once it is refreshed: its status, how many answered."""
    held = {record_id: (record["status"], len(record["responses"])) for record_id, record in records.items()}

    def differences() -> dict[str, tuple[object, object]]:
        indexed = {
            one["external_id"]: (one["status"], len(one.get("responses") or []))
            for one in documents().values()
        }
        ids = sorted(held.keys() | indexed.keys())
        return {i: (held.get(i), indexed.get(i)) for i in ids if held.get(i) != indexed.get(i)}

    deadline = time.monotonic() + CATCH_UP
    while found := differences():
        assert time.monotonic() < deadline, (
            f"database and index differ in {len(found)}: {dict(list(found.items())[:9])}"
        )
        time.sleep(0.5)
