"""Two services on one dataset of a real team stack: one writes, the other takes over."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

from daemon import Daemon, held, until
from patient_person import Labelling, PatientPerson
from stack_checks import batches_of, to_the_end
from team_stack import TeamStack
from worlds import sentences

LABELLED = 15
SLICE = 5
ALL = sentences(LABELLED + 40)
ROWS = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ALL)]
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ALL}


def test_the_lease_is_taken_over_and_no_batch_is_torn(
    stack: TeamStack, configured: Callable[..., Path], record_property: Callable[..., None]
) -> None:
    """Two services: SIGSTOP, take-over, SIGCONT, kill -9, an outage of the server: every batch is whole."""
    dataset = "writers"
    key = stack.credentials.loop.api_key
    first_config, second_config = (
        configured(dataset, ROWS, machine=machine, slice_size=SLICE, lease_seconds=5.0)
        for machine in ("a", "b")
    )
    person = PatientPerson(stack, dataset)

    def answer() -> None:
        until(lambda: person.answer_all(GOLD) > 0, what="something to answer", pause=0.2)

    with Daemon(first_config, key) as first:
        first.wait_for("batch_logged", batch=0)
        with Daemon(second_config, key) as second:
            second.wait_for("standing_by")
            os.kill(first.pid, signal.SIGSTOP)
            answer()
            second.wait_for("lease_taken_over")
            second.wait_for("batch_logged", batch=1)
            os.kill(first.pid, signal.SIGCONT)
            first.wait_for("lease_lost")
            stack.part("server").kill()
            stack.part("server").start()
            answer()
            until(
                lambda: batches_of(stack, dataset) == 3,
                what="a batch by one of them",
                daemons=[first, second],
            )
            writer, other = (second, first) if second.said("batch_logged", batch=2) else (first, second)
            writer.kill()
            answer()
            other.wait_for("batch_logged", batch=3)
            with Labelling(person, GOLD):
                records = to_the_end(stack, dataset, other, person, ROWS, slice_size=SLICE)
            assert other.terminate() == 0
    person.close()
    sizes = [sum(r["metadata"]["idx"] == n for r in records.values()) for n in range(8)]
    assert sizes == [SLICE] * 8
    assert records == held(stack, dataset)
    record_property("batches", len(sizes))
