"""Load a pool: read the source, leave out unusable rows and duplicates, and report on all of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray
from argilla_loop.errors import PoolError
from argilla_loop.pool.arrow import ArrowPool, ArrowStrings
from argilla_loop.pool.collect import MAX_NAMED_ROWS, Collected, Collector, first_occurrences, keys_of_digests
from argilla_loop.pool.files import files_revision
from argilla_loop.pool.layout import Problem, read_rows
from argilla_loop.pool.read import BATCH, ArgillaRows, describe_source, read
from argilla_loop.pool.report import PoolReport, percentiles
from argilla_loop.settings import PoolSettings

log = structlog.get_logger(__name__)

# Unknown labels that an error names. Chosen, not measured.
MAX_NAMED_LABELS = 5


def load_pool(
    settings: PoolSettings,
    *,
    labels: Sequence[str] | None,
    cache_dir: Path,
    argilla_rows: ArgillaRows | None = None,
    batch_rows: int = BATCH,
) -> tuple[ArrowPool, PoolReport]:
    """Read the pool that ``settings`` describes.

    Args:
        settings: where the texts come from.
        labels: the possible labels; ``None`` or empty accepts those of the label column as they are.
        cache_dir: a folder with room for all texts; no file remains there.
        argilla_rows: for the source ``argilla``, returns ``(id, text, label or None)`` of each record, with the label
            that was submitted.
        batch_rows: rows read at a time.

    Returns:
        The pool, and the report on reading it.

    Raises:
        PoolError: the source cannot be read, holds no usable text, or has labels that are not among ``labels``.
        RetryableError: the Hugging Face hub cannot be reached.
    """
    started = time.monotonic()
    source = describe_source(settings)
    with closing(Collector(cache_dir / "pool", settings.relabel)) as collector:
        for columns, batch in read(settings, argilla_rows, batch_rows=batch_rows):
            collector.add(read_rows(batch, columns))
        collected = collector.finish()
    taken = _select_rows(collected, collector)
    counts = np.bincount(taken.labels[taken.labels >= 0], minlength=len(collected.label_names))
    balance = {
        name: int(count) for name, count in sorted(zip(collected.label_names, counts, strict=True)) if count
    }
    report = PoolReport(
        source=source,
        rows=collector.rows,
        taken=len(taken.rows),
        skipped={p.name.lower(): collector.skipped[p] for p in Problem if collector.skipped[p]},
        duplicates=taken.duplicates,
        conflicts=taken.conflicts,
        ignored_labels={p.name.lower(): n for p, n in sorted(collector.ignored_labels.items())},
        mended=collector.mended,
        labelled=int(counts.sum()),
        labels=balance,
        lengths=percentiles(collected.lengths[taken.rows]),
        seconds=time.monotonic() - started,
    )
    _refuse_unusable(report, labels)
    _log_report(report, collector)
    pool = ArrowPool(
        batches=collected.batches,
        rows=taken.rows,
        keys=keys_of_digests(collected.text_digests[taken.rows]),
        labels=taken.labels,
        label_names=collected.label_names,
        fingerprint=_fingerprint(collected, taken),
    )
    return pool, report


def pool_revision(settings: PoolSettings, argilla_revision: Callable[[], str] | None = None) -> str:
    """Return a value that changes when the source may have changed, without reading it; then load the pool again.

    For files it is a digest of names, sizes and times. For the hub it is constant: a new version is used from the next
    start on. For Argilla it is the result of ``argilla_revision``.

    Raises:
        PoolError: the files no longer exist.
    """
    if settings.source == "files":
        return files_revision(settings)
    if settings.source == "argilla" and argilla_revision is not None:
        return argilla_revision()
    return settings.revision or settings.source


class _Selection:
    """The collected rows that make the pool."""

    def __init__(self, rows: IndexArray, labels: NDArray[np.int32], duplicates: int, conflicts: int) -> None:
        self.rows = rows
        self.labels = labels
        self.duplicates = duplicates
        self.conflicts = conflicts


def _select_rows(collected: Collected, collector: Collector) -> _Selection:
    """Select the first row of each text, with the label of any duplicate that has one, unless two labels differ."""
    texts = collected.text_digests
    owner = first_occurrences(collected.id_digests)
    taken_ids = np.flatnonzero((texts[owner] != texts).any(axis=1))
    if len(taken_ids):
        collector.skipped[Problem.ID_TAKEN] = len(taken_ids)
        collector.named[Problem.ID_TAKEN] = _ids(collected, taken_ids[:MAX_NAMED_ROWS])
    usable = np.setdiff1d(np.arange(len(texts)), taken_ids, assume_unique=True)

    first = usable[first_occurrences(texts[usable])]
    kept = usable[first == usable]
    labels = np.full(len(texts), -1, np.int32)
    has_label = collected.labels[usable] >= 0
    pairs = np.unique(np.stack([first[has_label], collected.labels[usable][has_label]]), axis=1)
    labels[pairs[0]] = pairs[1]
    seen, times = np.unique(pairs[0], return_counts=True)
    conflicting = seen[times > 1]
    labels[conflicting] = -1  # two labels: leave the text to people
    if len(conflicting):
        named = _ids(collected, conflicting[:MAX_NAMED_ROWS])
        log.warning("pool_labels_conflict", count=len(conflicting), ids=named)
    return _Selection(kept, labels[kept], len(usable) - len(kept), len(conflicting))


def _ids(collected: Collected, rows: IndexArray) -> list[str]:
    return list(ArrowStrings([batch.column("id") for batch in collected.batches], rows))


def _fingerprint(collected: Collected, taken: _Selection) -> str:
    digest = blake2b(digest_size=8)
    digest.update(collected.id_digests[taken.rows].tobytes())
    digest.update(collected.text_digests[taken.rows].tobytes())
    # Label codes depend on the order of the labels, including those of rows that were left out: use names instead.
    used = np.unique(taken.labels[taken.labels >= 0])
    for name, code in sorted((collected.label_names[code], code) for code in used.tolist()):
        digest.update(f"\0{name}\0".encode())
        digest.update(np.flatnonzero(taken.labels == code).tobytes())
    return digest.hexdigest()


def _refuse_unusable(report: PoolReport, labels: Sequence[str] | None) -> None:
    if not report.taken:
        why = "".join(f", {count} {reason}" for reason, count in report.skipped.items())
        raise PoolError(
            f"{report.source} holds no usable text ({report.rows} rows{why}): check the source and "
            "pool.text_column"
        )
    unknown = Counter({name: n for name, n in report.labels.items() if labels and name not in labels})
    if unknown:
        shown = ", ".join(f"{name[:50]!r} ({n} rows)" for name, n in unknown.most_common(MAX_NAMED_LABELS))
        more = f" and {len(unknown) - MAX_NAMED_LABELS} more" if len(unknown) > MAX_NAMED_LABELS else ""
        raise PoolError(
            f"{report.source} has labels that are not among the configured ones: {shown}{more}; add them to `labels`, "
            "or correct the label column, or leave pool.label_column out"
        )


def _log_report(report: PoolReport, collector: Collector) -> None:
    for problem, named in sorted(collector.named.items()):
        log.warning(
            "pool_rows_skipped", reason=problem.name.lower(), count=collector.skipped[problem], rows=named
        )
    for reason, count in report.ignored_labels.items():
        log.warning("pool_labels_ignored", reason=reason, count=count)
    log.info(
        "pool_loaded",
        rows=report.rows,
        taken=report.taken,
        skipped=sum(report.skipped.values()),
        duplicates=report.duplicates,
        conflicts=report.conflicts,
        labelled=report.labelled,
        seconds=round(report.seconds, 2),
    )
