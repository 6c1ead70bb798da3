"""Time of observing a large dataset: all of it, or what may have changed; prints the table of ``observe.md``.

    python benchmarks/observe.py 1000 10000 50000 [--url URL --owner-key KEY --loop-key KEY --annotator-key KEY]

Without ``--url`` an embedded server is started. Each dataset has batches of 20 records that are answered, and an open
one. In each round a person answers one record of the open batch; then the observation of a turn is timed, with what the
loop makes of it (examples, checks, the open batch), and a whole read in its place. Figures are medians over the rounds.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from argilla_embedded import EmbeddedServer
from argilla_loop.argilla.index_watch import IndexWatch
from argilla_loop.argilla.observer import Observer
from argilla_loop.argilla.v2.connection import connect
from argilla_loop.argilla.v2.dataset import ArgillaDataset
from argilla_loop.argilla.v2.schema import ensure_dataset, question_id_of
from argilla_loop.domain import Example, IndexArray, KeyArray
from argilla_loop.loop.turn import Loop
from argilla_loop.policy.rules import Rules
from argilla_loop.policy.text_keys import keys_of
from argilla_loop.simulate.precomputed import PrecomputedVectors
from shared.machine import versions
from shared.timing import seconds

LABELS = ("Business", "Sci/Tech", "Sports", "World")
BATCH, CHUNK, ROUNDS = 20, 500, 7
WORDS = (
    "minister",
    "shares",
    "club",
    "match",
    "coach",
    "market",
    "election",
    "league",
    "said",
    "fell",
    "on",
    "the",
)


@dataclass(frozen=True)
class Server:
    """Where it is measured, and as whom."""

    url: str
    owner: str
    loop: str
    annotator: str
    name: str


@contextmanager
def server(arguments: argparse.Namespace) -> Iterator[Server]:
    """The server that was named, or an embedded one."""
    if arguments.url:
        yield Server(
            arguments.url, arguments.owner_key, arguments.loop_key, arguments.annotator_key, arguments.named
        )
        return
    with tempfile.TemporaryDirectory() as folder, EmbeddedServer(Path(folder) / "home") as embedded:
        keys = embedded.credentials
        yield Server(
            embedded.url, keys.owner.api_key, keys.loop.api_key, keys.annotator.api_key, "embedded server"
        )


def text_of(number: int) -> str:
    """Some 40 words, all texts different."""
    return f"{number} " + " ".join(WORDS[(number * 7 + n * n) % len(WORDS)] for n in range(40))


class Everything:
    """A pool that is logged but for ten texts."""

    def __init__(self, size: int) -> None:
        self.fingerprint = str(size)
        self._ids = [str(number) for number in range(size + 10)]
        self._keys = keys_of([text_of(number) for number in range(size + 10)])

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> list[str]:
        """The numbers from 0 on."""
        return self._ids

    def texts(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """The texts at ``positions``."""
        return [text_of(int(position)) for position in positions]

    def examples(self) -> list[Example]:
        """None came with a label."""
        return []

    def ids_at(self, positions: Sequence[int] | IndexArray) -> list[str]:
        """The numbers at ``positions``."""
        return [self._ids[int(position)] for position in positions]

    def keys(self) -> KeyArray:
        """What the texts are known by."""
        return self._keys

    def unlabelled(self, *, excluding: Any = ()) -> IndexArray:
        """What is not logged."""
        return np.asarray([n for n, one in enumerate(self._ids) if one not in excluding], dtype=np.int64)

    def revision(self) -> str:
        """It never changes."""
        return self.fingerprint

    def current(self) -> Everything:
        """Itself."""
        return self


class Filled:
    """A dataset of ``size`` records, all but the last batch answered."""

    def __init__(self, where: Server, size: int) -> None:
        self.http = httpx.Client(base_url=f"{where.url}/api/v1", timeout=300)
        self.owner, self.person = ({"X-Argilla-Api-Key": key} for key in (where.owner, where.annotator))
        self.connection = connect(where.url, where.loop, timeout=300)
        name = f"observe-{size}-{os.getpid()}"
        self.info = ensure_dataset(self.connection, workspace="argilla", name=name, labels=LABELS)
        self.question_id = question_id_of(self.connection, self.info.id)
        self.size = size
        self._fill()
        self.open = self._open_batch()

    def call(self, method: str, path: str, headers: dict[str, str], **kwargs: Any) -> Any:
        """One request; its answer."""
        response = self.http.request(method, path, headers=headers, **kwargs)
        response.raise_for_status()
        return response.json() if response.content else None

    def _fill(self) -> None:
        person = self.call("GET", "/me", self.person)["id"]
        for start in range(0, self.size, CHUNK):
            items = [self._item(n, person) for n in range(start, min(start + CHUNK, self.size))]
            self.call("PUT", f"/datasets/{self.info.id}/records/bulk", self.owner, json={"items": items})

    def _item(self, number: int, person: str) -> dict[str, Any]:
        values = {"label": {"value": LABELS[number % 4]}}
        metadata = {"idx": number // BATCH, "route": "ask", "model": "linear-000000000000", "certainty": 0.5}
        item: dict[str, Any] = {
            "external_id": str(number),
            "fields": {"text": text_of(number)},
            "metadata": metadata,
        }
        item["suggestions"] = [
            {
                "question_id": self.question_id,
                "value": LABELS[0],
                "score": 0.5,
                "agent": "argilla-loop/x",
            }
        ]
        if number < self.size - BATCH:
            item["responses"] = [{"user_id": person, "status": "submitted", "values": values}]
        return item

    def _open_batch(self) -> list[str]:
        params = {"offset": self.size - BATCH, "limit": BATCH}
        return [
            one["id"]
            for one in self.call("GET", f"/datasets/{self.info.id}/records", self.owner, params=params)[
                "items"
            ]
        ]

    def answer(self, number: int) -> None:
        """A person answers one record of the open batch."""
        body = {"status": "submitted", "values": {"label": {"value": LABELS[0]}}}
        self.call("POST", f"/records/{self.open[number]}/responses", self.person, json=body)

    def close(self) -> None:
        """Delete the dataset."""
        self.call("DELETE", f"/datasets/{self.info.id}", self.owner)
        self.http.close()
        self.connection.close()


def measure(where: Server, size: int) -> list[float]:
    """Medians in seconds: first read, whole read, observation, look, comparison with the index, policy."""
    filled = Filled(where, size)
    dataset = ArgillaDataset(filled.connection, filled.info)
    pool, rules = Everything(size), Rules()
    loop = Loop(dataset, pool, NoLearner(), PrecomputedVectors(NoEncoder(), seed=1), rules)
    observer = Observer(dataset)
    figures: dict[str, list[float]] = {name: [] for name in ("first", "whole", "observe", "turn", "index")}
    figures["first"].append(seconds(observer.observe))
    loop.turn()
    for number in range(ROUNDS):
        filled.answer(number)
        figures["observe"].append(seconds(observer.observe))
        figures["turn"].append(loop.turn().seconds["observe"])
        records = observer.records
        watch = IndexWatch(dataset)
        waiting = [record for record in records if record.batch == (size - 1) // BATCH]
        figures["index"].append(seconds(partial(watch.compare, waiting, records)))
    for _ in range(2):
        figures["whole"].append(seconds(lambda: list(dataset.scan())))
    filled.close()
    return [statistics.median(figures[name]) for name in ("first", "whole", "observe", "turn", "index")]


class NoLearner:
    """The open batch is never done, so nothing is learnt."""

    def fit(self, *_: Any, **__: Any) -> Any:
        """Never called."""
        raise NotImplementedError


class NoEncoder:
    """As above."""

    fingerprint = "none"

    def encode(self, *_: Any, **__: Any) -> Any:
        """Never called."""
        raise NotImplementedError


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 10_000, 50_000])
    parser.add_argument("--url", help="of an Argilla server; default: an embedded one")
    parser.add_argument("--named", default="server", help="its name in the table")
    for who in ("owner", "loop", "annotator"):
        parser.add_argument(f"--{who}-key", default=f"{who}.apikey")
    arguments = parser.parse_args()
    with server(arguments) as where:
        for size in arguments.sizes:
            _, whole, observe, turn, index = measure(where, size)
            figures = f"{whole:.2f} | {observe:.3f} | {turn:.3f} | {whole / turn:.0f} | {index:.3f}"
            print(f"| {where.name} | {size:,} | {figures} |", flush=True)
    print(circumstances())


def circumstances() -> str:
    """When and with what."""
    found = versions(("argilla", "argilla-server", "httpx"))
    day = datetime.now(tz=timezone.utc).date()
    return f"{day}, Python {platform.python_version()}, {found}, {os.cpu_count()} cores, not quiet"


if __name__ == "__main__":
    main()
