"""The manifest beside a data set: digests of what it was made from, for ``argilla-loop verify --against``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from argilla_loop.errors import SettingsError
from argilla_loop.policy.answers import AdjudicatedRecord
from argilla_loop.policy.verification import FORMAT, Kept, from_json, to_json
from argilla_loop.settings.files import files_digest

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says.

    Attributes:
        dataset: id of the working dataset.
        files: SHA-256 of each file of the data, by its name.
        records: what is kept of each record, by id.
    """

    dataset: str
    files: Mapping[str, str]
    records: Mapping[str, Kept]


def manifest_of(out: Path) -> Path:
    """Return where the manifest of the data set ``out`` lies."""
    return out / NAME if out.is_dir() else out.with_name(f"{out.name}.{NAME}")


def card_at(out: Path) -> Path:
    """Return where the card of a data set that is one file lies: never at a README.md, which may be somebody's."""
    return out.with_name(f"{out.name}.README.md")


def write_manifest(
    target: Path, dataset: str, rows: int, files: Sequence[Path], records: Sequence[AdjudicatedRecord]
) -> None:
    """Write a manifest.

    Args:
        target: its file.
        dataset: id of the working dataset.
        rows: number of rows of the data set.
        files: of the data.
        records: all records of the working dataset.
    """
    content = {
        "format": FORMAT,
        "dataset": dataset,
        "rows": rows,
        "files": {file.name: files_digest(file) for file in files},
        "records": to_json(records),
    }
    target.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")


def read_manifest(out: Path) -> Manifest:
    """Return the manifest of the data set ``out``.

    Raises:
        SettingsError: there is none, or it cannot be read.
    """
    path = manifest_of(out)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise SettingsError(f"{path} has format {content['format']!r}, this version reads {FORMAT}")
        return Manifest(str(content["dataset"]), dict(content["files"]), from_json(content["records"]))
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}; name the OUT of an earlier argilla-loop export"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SettingsError(f"{path} is not a manifest of argilla-loop export: {error!r}") from None


def changed_files(out: Path, manifest: Manifest) -> list[str]:
    """Return one line for each file of the data that is not as it was written."""
    found = []
    for name, digest in manifest.files.items():
        file = out / name if out.is_dir() else out.with_name(name)
        if not file.is_file():
            found.append(f"{file} is gone")
        elif files_digest(file) != digest:
            found.append(f"{file} is not as the export wrote it")
    return found
