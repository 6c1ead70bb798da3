"""Read all that ``policy.verification`` judges, and put the findings together."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from argilla_loop.argilla.protocol import FoundDataset
from argilla_loop.errors import SettingsError, printable
from argilla_loop.policy import verification
from argilla_loop.service.results.manifest import changed_files, read_manifest
from argilla_loop.service.snapshot import Snapshot, snapshot
from argilla_loop.settings import Settings

LOOKS, PAUSE_SECONDS = (
    3,
    2.0,
)  # of the search index, which may lag behind for some seconds; chosen, not measured


@dataclass(frozen=True, slots=True)
class Verified:
    """One line for each finding, and a line that says what was checked if there is none."""

    lines: list[str]
    summary: str


def verify(settings: Settings, against: Path | None) -> Verified:
    """Check the working dataset; nothing is changed.

    Args:
        settings: of the service.
        against: an earlier export; ``None`` compares with none.

    Raises:
        SettingsError: ``against`` is no export of this dataset.
        SchemaError: there is no working dataset, or the service cannot work on it.
        RetryableError, FatalError: Argilla is away or refuses.
    """
    manifest = read_manifest(against) if against is not None else None
    with snapshot(settings) as now:
        if manifest is not None and manifest.dataset != now.info.id:
            raise SettingsError(f"{against} is an export of another dataset than {now.info.name!r}")
        lines = list(_of_records(now))
        lines += _of_dataset(now)
        if manifest is not None and against is not None:
            lines += verification.since_export(now.records, manifest.records)
            lines += changed_files(against, manifest)
        return Verified([printable(line) for line in lines], _summary(now, compared=manifest is not None))


def _of_records(now: Snapshot) -> Iterator[str]:
    records = [one.record for one in now.records]
    yield from verification.repeated_texts(records)
    yield from verification.batches(records)
    yield from verification.accepted(now.records)
    yield from verification.promises(now.records, now.info.labels)
    yield from verification.audits(records)


def _of_dataset(now: Snapshot) -> Iterator[str]:
    for one in now.backend.visibility(now.info.id).exposed():
        if one.reveals:
            yield f"audits are not blind: annotators see the metadata {one.name!r} (since {one.since} at the latest)"
    if now.found is not None and (missing := _not_indexed(now.found)):
        yield (
            f"Argilla's search index lacks {missing:,} records, so annotators do not find them; a running service has "
            "them indexed again"
        )


def _not_indexed(found: FoundDataset) -> int:
    """Return how many records the search index lacks, at each of some looks."""
    missing = 0
    for look in range(LOOKS):
        if look:
            time.sleep(PAUSE_SECONDS)
        missing = found.stored() - found.indexed()
        if missing <= 0:
            return 0
    return missing


def _summary(now: Snapshot, *, compared: bool) -> str:
    accepted = sum(one.is_accepted for one in now.records)
    answered = sum(bool(one.answers) for one in now.records)
    batches = len({one.record.batch for one in now.records if one.record.batch is not None})
    since = (
        "no answer changed since the export"
        if compared
        else "answers were not compared with an export (--against OUT)"
    )
    carried = sum(one.is_accepted and verification.is_carried(one.record) for one in now.records)
    if carried:
        since += f"; {carried:,} were accepted in an earlier dataset: verify their promise there"
    return (
        f"all holds: {len(now.records):,} records in {batches:,} batches, {answered:,} answered by people, "
        f"{accepted:,} accepted; {since}"
    )
