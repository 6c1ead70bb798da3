"""The metrics of the service for Prometheus, in the order in which a turn updates them.

The code that does something updates its metric; ``service.http`` serves them. Labels of metrics are phases, causes,
verdicts and the dataset's labels, but never a text, a record or a person. Every series carries the workspace and the
dataset that the service works on. The table in docs/observability.md is generated from this module.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

PREFIX = "argilla_loop_"
# Seconds, from a phase of a small turn to the first embedding of a large pool. Chosen, not measured.
BUCKETS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)

CAUSES = (
    "unreachable",
    "timeout",
    "rate_limited",
    "server_error",
    "conflict",
    "unreadable",
    "not_argilla",
    "gone",
    "lease_lost",
    "unexpected",
    "other",
)

REGISTRY = CollectorRegistry()
# They would add a second series for each counter, which Prometheus does not use.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the package has no types for it
ProcessCollector(registry=REGISTRY)  # process_resident_memory_bytes, process_open_fds and the like

SERVICE = Info(f"{PREFIX}service", "Version of this service.", registry=REGISTRY)
WRITER = Gauge(
    f"{PREFIX}writer", "1: this service writes to the dataset; 0: it is a standby.", registry=REGISTRY
)
LAST_LOOK = Gauge(
    f"{PREFIX}last_look_timestamp_seconds",
    "Unix time of the last successful poll of Argilla.",
    registry=REGISTRY,
)
RETRIES = Counter(
    f"{PREFIX}retries_total",
    f"Failed attempts that are repeated, by cause: {', '.join(CAUSES)}.",
    ["cause"],
    registry=REGISTRY,
)
WEBHOOK_EVENTS = Counter(
    f"{PREFIX}webhook_events_total",
    "Requests to the webhook's address, by verdict.",
    ["verdict"],
    registry=REGISTRY,
)
INDEX_BEHIND = Gauge(
    f"{PREFIX}index_behind_records",
    "Records that are missing in Argilla's search index, or that have other answers there than in the database.",
    registry=REGISTRY,
)
INDEX_HEALED = Counter(
    f"{PREFIX}index_healed_records_total",
    "Records that were indexed again because they were missing or incomplete in Argilla's search index.",
    registry=REGISTRY,
)
TURNS = Counter(
    f"{PREFIX}turns_total",
    "Turns, by outcome: wait, cold_start, next_batch, finished, stopped, failed.",
    ["outcome"],
    registry=REGISTRY,
)
LAST_BATCH = Gauge(
    f"{PREFIX}last_batch_timestamp_seconds",
    "Unix time at which this service last logged a batch; 0: not yet.",
    registry=REGISTRY,
)
TURN_SECONDS = Histogram(
    f"{PREFIX}turn_seconds",
    "Duration of a turn in seconds, by phase.",
    ["phase"],
    buckets=BUCKETS,
    registry=REGISTRY,
)
BATCH_NUMBER = Gauge(f"{PREFIX}batch_number", "Number of the latest batch; -1: none yet.", registry=REGISTRY)
BATCH_RECORDS = Gauge(f"{PREFIX}batch_records", "Records in the latest batch.", registry=REGISTRY)
BATCH_DONE = Gauge(
    f"{PREFIX}batch_done_records", "Records in the latest batch that are done.", registry=REGISTRY
)
POOL_LEFT = Gauge(f"{PREFIX}pool_left_texts", "Pool texts that are not logged yet.", registry=REGISTRY)
EXAMPLES = Gauge(
    f"{PREFIX}examples",
    "Examples that the classifier is trained on, by label and origin.",
    ["label", "origin"],
    registry=REGISTRY,
)
RECORDS = Counter(
    f"{PREFIX}records_total",
    "Records that this process logged, by route: ask, accept, audit.",
    ["route"],
    registry=REGISTRY,
)
SUGGESTIONS = Gauge(
    f"{PREFIX}suggestions",
    "Suggestions that annotators answered, by outcome: kept, changed.",
    ["outcome"],
    registry=REGISTRY,
)
CHECKS = Gauge(
    f"{PREFIX}checks",
    "Blind audits by annotators, by outcome: right, wrong.",
    ["outcome"],
    registry=REGISTRY,
)
LABELS = Gauge(
    f"{PREFIX}labels",
    "Labels, by whether records can be accepted as this label: granted, waiting, stopped.",
    ["state"],
    registry=REGISTRY,
)
PRECISION = Gauge(
    f"{PREFIX}precision",
    "Precision of what may be accepted, as a share, from the blind audits, by figure: measured, lower_bound (at the"
    " confidence of the settings), target (what is promised). If each label has its own, the lowest.",
    ["figure"],
    registry=REGISTRY,
)
LABELLED = Gauge(
    f"{PREFIX}labelled_records",
    "Records that have a label, by who labelled them: people, service. delta(...[1d]) gives the labels a day.",
    ["by"],
    registry=REGISTRY,
)
LOG_LINES_LOST = Counter(
    f"{PREFIX}log_lines_lost_total",
    "Log lines that could not be written, because the reader is gone or does not read, or the disk is full.",
    registry=REGISTRY,
)


# Initialised, so that the first failure shows as an increase.
for _outcome in ("wait", "cold_start", "next_batch", "finished", "failed"):
    TURNS.labels(_outcome)
for _route in ("ask", "accept", "audit"):
    RECORDS.labels(_route)
for _cause in CAUSES:
    RETRIES.labels(_cause)


class _OfDataset(Collector):
    """All metrics, with the labels that ``describe_service`` was given added to each sample."""

    labels: Mapping[str, str] = MappingProxyType({})

    def collect(self) -> Iterator[Metric]:
        for family in REGISTRY.collect():
            family.samples = [one._replace(labels={**self.labels, **one.labels}) for one in family.samples]
            yield family


_OF_DATASET = _OfDataset()
# A registry of its own, so that what collects from REGISTRY directly sees each metric once.
_SERVED = CollectorRegistry()
_SERVED.register(_OF_DATASET)


def describe_service(version: str, workspace: str, dataset: str) -> None:
    """Say of which service the metrics are: from now on each series carries its workspace and dataset."""
    SERVICE.info({"version": version})
    _OF_DATASET.labels = {"workspace": workspace, "dataset": dataset}


def exposition() -> tuple[bytes, str]:
    """Return all current values in Prometheus' text format, and its content type."""
    return generate_latest(_SERVED), CONTENT_TYPE_PLAIN_0_0_4


def catalogue() -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """Yield name in Prometheus, kind, labels and description of each metric, in the order of this module."""
    for metric in vars(sys.modules[__name__]).values():
        if isinstance(metric, MetricWrapperBase):
            (family,) = metric.describe()
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            yield family.name + suffix, family.type, metric._labelnames, family.documentation  # noqa: SLF001  there is no public one


def metrics_table() -> str:
    """Return a Markdown table with a row for each metric: name, kind, labels, meaning."""
    lines = ["| metric | kind | further labels | meaning |", "|---|---|---|---|"]
    for name, kind, labels, meaning in catalogue():
        shown = ", ".join(f"`{label}`" for label in labels) or "-"
        lines.append(f"| `{name}` | {kind} | {shown} | {meaning} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(metrics_table() + "\n")
