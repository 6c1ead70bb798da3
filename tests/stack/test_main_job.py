"""The main job on a real team stack: to the end, and to the same end where the service is killed (-9) on the way."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import Daemon, until
from models import news
from patient_person import Labelling, PatientPerson
from stack_checks import check_index, to_the_end
from team_stack import TeamStack

TOPICS = ("business", "politics", "tech")
EACH = 105  # texts of a topic
LABELLED = 15
SLICE = 20
KILLS = 6


def texts() -> list[tuple[str, str, str]]:
    """The beginnings of real news articles of three topics, in turn."""
    topics = news()
    rows = zip(*(topics[topic][:EACH] for topic in TOPICS), strict=True)
    flat = [(topic, text) for group in rows for topic, text in zip(TOPICS, group, strict=True)]
    return [(f"n{number:03d}", text, topic) for number, (topic, text) in enumerate(flat)]


TEXTS = texts()
ROWS = [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)]
LAST = (len(ROWS) - LABELLED - 1) // SLICE


def answers() -> dict[str, str | None]:
    """What the person answers, the same in every run: mostly right, some wrong, some discarded."""
    given: dict[str, str | None] = {}
    for record_id, _, label in TEXTS:
        chance = hashlib.sha256(record_id.encode()).digest()[0]
        wrong = next(other for other in TOPICS if other != label)
        given[record_id] = None if chance < 20 else wrong if chance < 40 else label
    return given


Configure = Callable[..., Path]
Outcome = dict[str, dict[str, Any]]


def settings(configured: Configure, dataset: str) -> Path:
    return configured(
        dataset, ROWS, slice_size=SLICE, auto_validate=True, accept_limit=SLICE, train_on="human+model"
    )


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """What the runs of this module left, by their names."""
    return {}


def test_the_main_job_runs_to_its_end(
    stack: TeamStack,
    configured: Configure,
    outcomes: dict[str, Outcome],
    record_property: Callable[..., None],
) -> None:
    """The main job: real news, a real annotator, to the last text; the index agrees with the database."""
    dataset = "news"
    person = PatientPerson(stack, dataset)
    with Daemon(settings(configured, dataset), stack.credentials.loop.api_key) as daemon:
        daemon.wait_for("batch_logged", batch=0)
        with Labelling(person, answers()):
            records = to_the_end(stack, dataset, daemon, person, ROWS, slice_size=2 * SLICE)
        assert daemon.terminate() == 0
    dataset_id = person.dataset_id()
    person.close()
    assert dataset_id is not None
    check_index(records, stack.index(dataset_id).documents)
    routes = [record["metadata"]["route"] for record in records.values()]
    record_property("texts", len(records))
    record_property("batches", len({r["metadata"]["idx"] for r in records.values()}))
    record_property("validated by the model", routes.count("accept"))
    assert set(routes) >= {"ask", "accept"}
    outcomes["undisturbed"] = records


def test_killed_at_random_it_ends_like_the_undisturbed_run(
    stack: TeamStack,
    configured: Configure,
    outcomes: dict[str, Outcome],
    record_property: Callable[..., None],
) -> None:
    """The service is killed (-9) at random moments: the same records, labels, suggestions and answers in the end."""
    if "undisturbed" not in outcomes:
        pytest.fail("the undisturbed run failed, or was not run: there is nothing to compare with")
    moments = random.Random(11)
    dataset = "killed"
    person = PatientPerson(stack, dataset)
    config = settings(configured, dataset)
    given = answers()

    def work(gate: int) -> int:
        waiting = [record for record in person.waiting() if record["metadata"]["idx"] <= gate]
        for record in waiting:
            person.answer(record, given[record["external_id"]])
        return len(waiting)

    for kill in range(KILLS):
        gate = kill  # so that no kill comes after the end
        with Daemon(config, stack.credentials.loop.api_key) as daemon:
            end = time.monotonic() + moments.uniform(3.0, 14.0)
            while time.monotonic() < end:
                work(gate)
                time.sleep(0.1)
            assert daemon.is_running, "\n".join(daemon.lines)
            daemon.kill()
    with Daemon(config, stack.credentials.loop.api_key) as daemon:
        until(lambda: work(LAST) == 0 and daemon.said("pool_exhausted"), daemons=[daemon])
        records = to_the_end(stack, dataset, daemon, person, ROWS, slice_size=2 * SLICE)
        assert daemon.terminate() == 0
    person.close()
    record_property("kills", KILLS)
    assert records == outcomes["undisturbed"]
