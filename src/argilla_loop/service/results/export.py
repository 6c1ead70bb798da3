"""Make a data set from a snapshot: rows to a file or folder, with its card and its manifest."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from argilla_loop.domain import IndexArray, Model
from argilla_loop.errors import FatalError, ModelError, SettingsError, TrainingError
from argilla_loop.observability.progress import progress
from argilla_loop.policy.figures import Figures, Tally, count_people, estimate, measure
from argilla_loop.policy.progress import progress as progress_of
from argilla_loop.policy.result import Layout, Source, Wanted, lay_out, rows
from argilla_loop.policy.task import Task
from argilla_loop.service.results.card import card_of
from argilla_loop.service.results.manifest import NAME as MANIFEST
from argilla_loop.service.results.manifest import card_at, manifest_of, write_manifest
from argilla_loop.service.results.writers import Write, writer
from argilla_loop.service.snapshot import Snapshot
from argilla_loop.settings.files import make_private_folder, replace_folder

CARD = "README.md"
TEXTS = 256  # scored from the text at a time, so that the progress moves; chosen, not measured


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written: the data, its card, and the counts; ``no_model`` says why there are no predictions."""

    out: Path
    card: Path
    figures: Figures
    no_model: str | None = None


def refuse_existing(out: Path, form: str, *, force: bool) -> None:
    """Check that nothing is lost if ``out`` is written.

    Raises:
        SettingsError: something is there, and may not be replaced.
    """
    if form == "datasets":
        if not out.exists():
            return
        if not out.is_dir() or not (out / MANIFEST).is_file():
            raise SettingsError(f"{out} exists and is no data set of argilla-loop export: choose another OUT")
    elif out.is_dir():
        raise SettingsError(f"{out} is a folder: end OUT with the name of a file")
    there = [path for path in _files(out, form) if path.exists()]
    if there and not force:
        raise SettingsError(f"{there[0]} exists: choose another OUT, or replace it with --force")


def export(
    now: Snapshot,
    out: Path,
    form: str,
    wanted: Wanted,
    *,
    predictions: bool = True,
    for_spreadsheets: bool = False,
) -> Exported:
    """Write the data set to ``out``, its card and its manifest.

    The files appear as a whole or not at all. What was there is replaced, see ``refuse_existing``.

    Args:
        now: what Argilla and the pool hold.
        out: file, or folder for the format ``datasets``.
        form: one of ``writers.FORMATS``.
        wanted: which rows to take.
        predictions: whether the model labels what nobody has labelled.
        for_spreadsheets: see ``writers.writer``.

    Raises:
        ModelError: the encoder cannot be used.
        FatalError: the files cannot be written.
        RetryableError: Argilla is away.
    """
    records, pool = now.records, now.pool
    layout = lay_out(pool, records)
    predictor, no_model = None, None
    if predictions and wanted.predictions:
        predictor, no_model = _predictor(now)
    labels = _all_labels(now)
    tally = Tally(now.info.min_submitted)
    with _written(out, form) as (folder, name):
        target = folder if form == "datasets" else folder / name
        with (
            progress("exporting_rows", len(pool) + len(layout.outside)) as advance,
            writer(form, target, labels, for_spreadsheets=for_spreadsheets) as write,
        ):
            _write_rows(now, layout, predictor, wanted, tally, write, advance)
        figures = _figures(now, layout, predictor, tally)
        files = sorted(path for path in folder.iterdir() if path.is_file())
        card = card_of(now.settings.dataset, name, form, labels, figures, wanted)
        (folder / CARD).write_text(card, encoding="utf-8")
        write_manifest(folder / MANIFEST, now.info.id, tally.rows, files, records)
    return Exported(out, out / CARD if form == "datasets" else card_at(out), figures, no_model)


class _ModelPredictor:
    """``policy.result.Predictor`` of one model: the pool by its embeddings, other texts by themselves."""

    def __init__(self, now: Snapshot, model: Model, task: Task) -> None:
        self._now, self._model, self._task = now, model, task
        self.version = model.version
        now.vectors.ready(now.pool, at_least=len(now.pool))

    def at(self, positions: IndexArray) -> tuple[list[str], NDArray[np.float64]]:
        probabilities = self._model.score(self._now.vectors.rows(positions).astype(np.float32))
        found = self._task.predict(probabilities, self._model.labels)
        return found.labels, found.certainties

    def of(self, texts: Sequence[str]) -> tuple[list[str], NDArray[np.float64]]:
        labels: list[str] = []
        certainties: list[NDArray[np.float64]] = []
        with progress("scoring_records", len(texts)) as advance:
            for start in range(0, len(texts), TEXTS):
                part = texts[start : start + TEXTS]
                found = self._task.predict(self._model.predict_proba(part), self._model.labels)
                labels += found.labels
                certainties.append(found.certainties)
                advance(len(part))
        return labels, np.concatenate(certainties)


def _predictor(now: Snapshot) -> tuple[_ModelPredictor | None, str | None]:
    try:
        return _ModelPredictor(now, now.model, now.plan.seen.task), None
    except TrainingError as error:
        return None, str(error)
    except ModelError as error:
        raise ModelError(f"{error}; or leave the predictions out with --no-predictions") from None


def _write_rows(
    now: Snapshot,
    layout: Layout,
    predictor: _ModelPredictor | None,
    wanted: Wanted,
    tally: Tally,
    write: Write,
    advance: Callable[[int], object],
) -> None:
    above = now.plan.acceptance.thresholds
    for block in rows(now.pool, now.records, layout, predictor=predictor, thresholds=above):
        taken = [row for row in block if wanted.takes(row)]
        tally.add(taken)
        if taken:
            write(taken)
        advance(len(block))


def _figures(now: Snapshot, layout: Layout, predictor: _ModelPredictor | None, tally: Tally) -> Figures:
    seen, acceptance = now.plan.seen, now.plan.acceptance
    level = acceptance.rules.confidence
    measured = measure(seen.checks, seen.labels, level)
    part, whole = estimate(now.records, seen.checks, tally, predictor, level)
    return Figures(
        tally,
        progress_of(now.records),
        acceptance,
        count_people(now.records),
        len(layout.repeated),
        measured[None],
        {label: found for label, found in measured.items() if label is not None},
        part if tally.of(Source.PREDICTION) else None,
        whole,
    )


def _all_labels(now: Snapshot) -> list[str]:
    """Return the labels of the question, then any that an answer or the pool has beside them, sorted."""
    labels = list(now.info.labels)
    used = {one.label for one in now.records} | {
        one.record.prediction for one in now.records if one.is_accepted
    }
    used |= {example.label for example in now.pool.examples()}
    return [*labels, *sorted(label for label in used if label is not None and label not in labels)]


def _files(out: Path, form: str) -> list[Path]:
    return [out] if form == "datasets" else [out, manifest_of(out), card_at(out)]


@contextmanager
def _written(out: Path, form: str) -> Iterator[tuple[Path, str]]:
    """Yield a temporary folder beside ``out`` and the name of the data; put its files in place at the end.

    The data come last: where they are, their manifest and card are, too.

    Raises:
        FatalError: the files cannot be written.
    """
    folder: Path | None = None
    try:
        make_private_folder(out.parent)
        folder = Path(tempfile.mkdtemp(prefix=f".{out.stem}-", dir=out.parent))
        yield folder, out.name
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        if form == "datasets":
            replace_folder(folder, out)
            return
        (folder / MANIFEST).replace(manifest_of(out))
        (folder / CARD).replace(card_at(out))
        (folder / out.name).replace(out)
    except OSError as error:
        raise FatalError(
            f"cannot write {out}: {error.strerror or error}; nothing was replaced, free some room or choose another OUT"
        ) from None
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
