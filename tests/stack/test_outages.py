"""Each part of the stack goes away while people answer: killed (-9) once, stopped once; then all goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import Daemon, until
from patient_person import Labelling, PatientPerson
from stack_checks import batches_of, to_the_end
from team_stack import TeamStack
from team_stack.parts import ORDER
from worlds import sentences

LABELLED = 15
SLICE = 5
ALL = sentences(LABELLED + 70)
ROWS = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ALL)]
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ALL}
AWAY = 8.0  # seconds


@pytest.mark.parametrize("part", ORDER)
def test_an_outage_is_waited_out_while_people_answer(
    stack: TeamStack, configured: Callable[..., Path], part: str, record_property: Callable[..., None]
) -> None:
    """A part is killed (-9) and later stopped, 8 s each, while somebody answers: all texts get done."""
    dataset = f"without-{part}"
    person = PatientPerson(stack, dataset)
    config = configured(dataset, ROWS, slice_size=SLICE)
    slowest = 0.0
    with Daemon(config, stack.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        with Labelling(person, GOLD, pause=0.2):
            for number, end in enumerate((stack.part(part).kill, stack.part(part).stop)):
                until(lambda n=3 * number + 2: batches_of(stack, dataset) >= n, pause=0.3, daemons=[daemon])  # type: ignore[misc]  # binds the loop's value
                end()
                time.sleep(AWAY)
                stack.part(part).start()
                back, before = time.monotonic(), batches_of(stack, dataset)
                # a part that nobody needs to label, the worker, may be back after the last batch
                until(
                    lambda b=before: batches_of(stack, dataset) > b or daemon.said("pool_exhausted"),  # type: ignore[misc]  # binds the loop's value
                    pause=0.3,
                    daemons=[daemon],
                )
                slowest = max(slowest, time.monotonic() - back)
            to_the_end(stack, dataset, daemon, person, ROWS, slice_size=SLICE)
        assert daemon.terminate() == 0
        assert not any("Traceback" in line for line in daemon.lines)
    person.close()
    record_property("seconds to the next batch", round(slowest))
