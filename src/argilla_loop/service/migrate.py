"""Making a dataset with other labels from the working one, and letting the settings name it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from argilla_loop.argilla.protocol import Copied, Lease, Migration, Target
from argilla_loop.domain import LoggedRecord
from argilla_loop.errors import FatalError, RetryableError, SettingsError
from argilla_loop.observability.progress import progress
from argilla_loop.policy.migration import LabelChange, Migrated, migrated, relabelled
from argilla_loop.service.identity import remember_dataset
from argilla_loop.service.snapshot import Snapshot
from argilla_loop.settings import Settings, load_settings
from argilla_loop.settings.edit import edit_file, written

# Times that both datasets are read until nothing new comes in the old one. Chosen, not measured.
PASSES = 6
MAX_NAME = 200  # characters of a dataset's name, as Argilla's


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a migration would do.

    Attributes:
        name: of the new dataset.
        found: what there is under that name.
        records: number of records of the old dataset.
        does: what becomes of labels and evidence.
        settings: the settings to change, by key; ``None`` comments one out.
    """

    name: str
    found: Target
    records: int
    does: Migrated
    settings: Mapping[str, Any]


def propose(now: Snapshot, name: str, change: LabelChange) -> Proposal:
    """Read the working dataset, and check that it can be migrated; nothing is changed.

    Args:
        now: the working dataset.
        name: of the new one.
        change: of the labels.

    Raises:
        SettingsError: the server would not take the labels or the name; or another dataset has the name.
        FatalError: audits are not blind any more.
    """
    if not name.strip() or len(name) > MAX_NAME:
        raise SettingsError(f"--to {name[:50]!r}: give a name of 1 to {MAX_NAME} characters")
    now.backend.refuse_labels(change.after)
    found = now.backend.migration(now.info, name, change).target()
    for one in now.backend.visibility(now.info.id).exposed():
        if one.reveals:  # the copies' answers would look older than this
            raise FatalError(
                f"annotators can see the metadata {one.name!r} of dataset {now.info.name!r}, so its audits are not "
                "blind: start the service once, which hides it and takes the audits for plain questions; then migrate"
            )
    records = list(now.dataset.scan())
    does = migrated(records, change, now.rule)
    return Proposal(name, found, len(records), does, changed_settings(now.settings, change, name))


def carry_out(
    now: Snapshot, proposal: Proposal, lease: Lease, *, on_copied: Callable[[Copied], object]
) -> str:
    """Make the new dataset; safe to kill and to repeat. Return its id.

    Args:
        now: the old dataset, which is only read.
        proposal: what to do.
        lease: on the old dataset, so that no service writes to it.
        on_copied: called after each pass that copied something.

    Raises:
        LeaseLostError: a service writes to the old dataset.
        RetryableError: people keep answering there, or Argilla is away.
    """
    change = proposal.does.change
    migration = now.backend.migration(now.info, proposal.name, change, before_write=lease.confirm)
    if proposal.found is not Target.COMPLETE:
        migration.prepare()
        _copy_all(now, migration, change, on_copied)
    new_id = migration.complete()
    remember_dataset(now.settings.model_copy(update={"dataset": proposal.name}), new_id)
    return new_id


def _copy_all(
    now: Snapshot, migration: Migration, change: LabelChange, on_copied: Callable[[Copied], object]
) -> None:
    """Copy until a pass finds nothing to copy, and nobody has answered in the old dataset since it began."""

    def anew(records: Sequence[LoggedRecord]) -> bool:
        return migrated(records, change, now.rule).anew

    for _ in range(PASSES):
        before = now.dataset.revision()
        with ExitStack() as shown:

            def begun(total: int, shown: ExitStack = shown) -> Callable[[int], None]:
                return shown.enter_context(progress("copying_records", total))

            copied = migration.copy(anew, begun)
        if not copied.records and now.dataset.revision() == before:
            return
        on_copied(copied)
    raise RetryableError(
        f"annotators keep answering in dataset {now.info.name!r}: ask them to pause, and repeat the command, which "
        "goes on where it is"
    )


def changed_settings(settings: Settings, change: LabelChange, name: str) -> dict[str, Any]:
    """Return the settings to change, by key, so that the service works on dataset ``name``."""
    changes: dict[str, Any] = {"dataset": name}
    if settings.labels:
        kept = dict.fromkeys(change.of(label) for label in settings.labels)
        changes["labels"] = [*kept, *change.added]
    meanings = settings.label_descriptions
    if any(label in change.names for label in meanings):  # merged labels have no description in common
        changes["label_descriptions"] = {
            change.of(label): meaning for label, meaning in meanings.items() if change.is_alone(label)
        }
    pool = settings.pool
    has_labels = pool.label_column is not None or pool.source == "argilla"
    if change.names and (has_labels or pool.relabel):
        changes["pool.relabel"] = relabelled(change, pool.relabel)
    if change.names and settings.start_from is not None:  # that model knows the former labels
        changes["start_from"] = None
    return changes


def rewrite(config: Path | None, changes: Mapping[str, Any]) -> list[str]:
    """Change the settings file; return one line for each setting that you have to change yourself."""
    done = False
    if config is not None:
        try:
            done = edit_file(config, changes)
        except (OSError, ValueError):  # no permission, or not text
            done = False
    if done:
        loaded = load_settings(config)
        changes = {key: value for key, value in changes.items() if _value(loaded, key) != value}
    return [_by_hand(key, value) for key, value in changes.items()]


def _by_hand(key: str, value: Any) -> str:
    table = key.rpartition(".")[0]
    place = f", in the table [{table}]" if table else ""
    return f"remove {key}" if value is None else f"{written(key, value)}{place}"


def _value(settings: Settings, key: str) -> object:
    found: object = settings
    for part in key.split("."):
        found = getattr(found, part)
    return found
