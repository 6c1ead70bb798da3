"""The runbook for backups in docs/deployment.md, on a native stack."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from daemon import Daemon, held, until
from patient_person import Labelling, PatientPerson
from stack_checks import check_index, to_the_end
from team_stack import TeamStack
from team_stack.kit import program, run
from team_stack.layout import HOST
from team_stack.parts import POSTGRES, SERVER, WORKER
from worlds import sentences

LABELLED, SLICE = 15, 5
ALL = sentences(LABELLED + 25)
ROWS = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ALL)]
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ALL}


def postgres(stack: TeamStack, name: str, *arguments: str) -> None:
    """Run one of PostgreSQL's programs as the database's owner."""
    command = [program(name), "--host", HOST, "--port", str(stack.ports.postgres), "--username", "argilla"]
    run([*command, *arguments], name, env={"PGPASSWORD": stack.home.secret(POSTGRES)})


def test_a_backup_is_restored_and_labelling_goes_on_where_it_was(
    stack: TeamStack, configured: Callable[..., Path], tmp_path: Path, record_property: Callable[..., None]
) -> None:
    """A backup made while the service ran is restored: the open batch is asked again, and all texts get done."""
    dataset, dump = "restored", str(tmp_path / "argilla.dump")
    person = PatientPerson(stack, dataset)
    config, key = configured(dataset, ROWS, slice_size=SLICE), stack.credentials.loop.api_key
    with Daemon(config, key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        until(lambda: person.answer_all(GOLD) > 0, daemons=[daemon])
        daemon.wait_for("batch_logged", batch=1)
        before = held(stack, dataset)
        postgres(stack, "pg_dump", "--format=custom", "--file", dump, "argilla")
        until(lambda: person.answer_all(GOLD) > 0, daemons=[daemon])  # these answers will be lost
        daemon.wait_for("batch_logged", batch=2)
        assert daemon.terminate() == 0

    began = time.monotonic()
    for part in (WORKER, SERVER):
        stack.part(part).stop()
    postgres(stack, "dropdb", "--force", "argilla")
    postgres(stack, "createdb", "argilla")
    postgres(stack, "pg_restore", "--dbname", "argilla", "--exit-on-error", dump)
    stack.argilla("search-engine", "reindex")
    for part in (SERVER, WORKER):
        stack.part(part).start()
    record_property("seconds to restore", round(time.monotonic() - began))
    assert held(stack, dataset) == before

    person.answers = {
        record_id: given for record_id, given in person.answers.items() if before[record_id]["responses"]
    }
    found = person.dataset_id()
    assert found is not None
    with Daemon(config, key) as daemon, Labelling(person, GOLD):
        records = to_the_end(stack, dataset, daemon, person, ROWS, slice_size=SLICE)
        check_index(records, stack.index(found).documents)
        assert daemon.terminate() == 0
        assert not any("Traceback" in line for line in daemon.lines)
    person.close()
